// deno-lint-ignore-file no-boolean-literal-for-arguments -- that is how setters of hooks are called
/** Neighbours: the map, who waits, pairing by words, and what each may do. */
import { useState } from "preact/hooks";
import { call } from "./api.js";
import { useLive } from "./live.js";
import { Act, Badge, Card, Confirm, Empty, html, say, Waiting } from "./parts.js";
import { ago, counted, millis, percent, short } from "./format.js";
import { NodeMap } from "./map.js";
import { PairByAddress, Pairings } from "./pairing.js";
import { Permissions } from "./permissions.js";
import { Invite } from "./invite.js";

const STATES = {
  ready: ["good", "ready"],
  busy: ["warn", "busy with its owner"],
  draining: ["warn", "stopping"],
  yielding: ["warn", "not sharing now"],
  thrashing: ["warn", "short of memory"],
  unreachable: ["bad", "not reachable"],
  not_approved: ["warn", "has not approved you yet"],
  revoked: ["bad", "has revoked you"],
  paused: ["quiet", "paused by you"],
};

export function Neighbours() {
  const status = useLive(() => call("/peers/status"), { on: ["peer", "request"], everyMs: 4_000 });
  const pending = useLive(() => call("/peers/pending"), { on: ["peer", "pair"], everyMs: 10_000 });
  const { data: reputation } = useLive(() => call("/peers/reputation"), { everyMs: 15_000, on: ["peer"] });
  const { data: grid } = useLive(() => call("/grid"), { on: ["peer", "request"], everyMs: 5_000 });
  const [chosen, setChosen] = useState(null);
  const [inviting, setInviting] = useState(false);
  const [revoking, setRevoking] = useState(null);
  if (status.data === undefined || pending.data === undefined) {
    return html`<${Waiting} error=${status.error ?? pending.error}/>`;
  }
  const peers = status.data.peers;
  const trust = new Map((reputation?.peers ?? []).map((one) => [one.node_id, one]));
  const reload = () => {
    status.reload();
    pending.reload();
  };
  return html`
    <${Pairings} pairings=${pending.data.pairings} onChange=${reload}/>
      <${Pending} data=${pending.data} onChange=${reload}/>
        <${Card} title="The grid around you">
          <${NodeMap} grid=${grid}/>
            </${Card}>
            <${Card} title="Approved" actions=${html`<button type="button" class="act" onClick=${() =>
              setInviting(true)}>Invite someone far away</button>`}>
      ${peers.length === 0
        ? html`<${Empty}>Nobody yet. A node in the same network shows up above by itself; one elsewhere is paired by its address, or invited by a link.</${Empty}>`
        : html`<ul class="list">${
          peers.map((peer) =>
            html`
              <${Peer} key=${peer.node_id} peer=${peer} trust=${trust.get(peer.node_id)}
                onPermissions=${() => setChosen(peer)} onRevoke=${() => setRevoking(peer)} onChange=${reload}/>
            `
          )
        }</ul>`}
      <${PairByAddress} onChange=${reload}/>
    </${Card}>
    ${pending.data.ignored.length === 0 ? null : html`
      <${Card} title="Ignored">
        <ul class="list">${pending.data.ignored.map((one) =>
          html`
            <li key=${one.node_id}>
              <div><strong>${short(one.node_id)}</strong><small>${one.why}, ${ago(one.since)}</small></div>
              <${Act} act=${async () => {
                await call("/peers/unignore", { node_id: one.node_id });
                reload();
              }}>Take back</${Act}></li>
          `
        )}</ul>
        </${Card}>
    `}
    ${chosen === null
      ? null
      : html`<${Permissions} peer=${chosen} onClose=${() => setChosen(null)} onChange=${reload}/>`}
    ${inviting ? html`<${Invite} onClose=${() => setInviting(false)}/>` : null}
    ${revoking === null ? null : html`
      <${Confirm} title=${`Revoke ${revoking.name}?`} verb="Revoke now" onClose=${() => setRevoking(null)}
        sentence=${`${revoking.name} is cut off at once: its running answers stop, and it may ask nothing until you approve it again.`}
        onYes=${async () => {
          await call("/peers/revoke", { node_id: revoking.node_id });
          say(`${revoking.name} is revoked.`);
          reload();
        }}/>
    `}
  `;
}

function Pending({ data, onChange }) {
  if (data.pending.length === 0) return null;
  return html`
    <${Card} title="Waiting for you" class="attention">
      <ul class="list">${data.pending.map((node) =>
        html`
          <li key=${node.node_id}>
            <div><strong>${short(node.node_id)}</strong><small>seen ${ago(node.last_seen)} ${wayOf(
              node.sources,
            )}${node.addresses[0] === undefined ? "" : ` at ${node.addresses[0]}`}</small>${node.warning
              ? html`<small class="warn">${node.warning}</small>`
              : null}</div>
            <div class="row">
              <${Act} kind="primary" act=${async () => {
                await call("/peers/pair", { node_id: node.node_id });
                onChange();
              }}>Pair</${Act}>
              <${Act} act=${async () => {
                await call("/peers/dismiss", { node_id: node.node_id });
                onChange();
              }}>Not now</${Act}>
              <${Act} act=${async () => {
                await call("/peers/ignore", { node_id: node.node_id });
                onChange();
              }}>Ignore</${Act}>
            </div></li>
        `
      )}</ul>
      </${Card}>
  `;
}

function Peer({ peer, trust, onPermissions, onRevoke, onChange }) {
  const [kind, words] = peer.paused ? STATES.paused : STATES[peer.state] ?? ["quiet", peer.state];
  return html`
    <li class="peer">
      <div>
          <strong>${peer.name}</strong> <${Badge} kind=${kind}>${words}</${Badge}>
          ${peer.verified === false ? html`<${Badge} kind="warn">words not compared</${Badge}>` : null}
          ${peer.own ? html`<${Badge}>yours</${Badge}>` : null}
          ${peer.asleep ? html`<${Badge}>asleep</${Badge}>` : null}
          <small>${short(peer.node_id)} · ${peer.address ?? "no address"} · ${millis(
            peer.round_trip_ms,
          )}${trust === undefined || trust.answers < 1 ? "" : ` · ${percent(trust.reliability)} reliable`}</small>
          <small>${peer.models.length === 0
            ? "offers you nothing"
            : `offers ${peer.models.slice(0, 4).join(", ")}${
              peer.models.length > 4 ? ` and ${counted(peer.models.length - 4, "more", "more")}` : ""
            }`}</small>
          ${peer.reason && !peer.paused ? html`<small class="warn">${peer.reason}</small>` : null}
        </div>
        <div class="row">
          ${peer.asleep
            ? html`<${Act} act=${async () => {
              const { awake, sentence } = await call("/peers/wake", { node_id: peer.node_id });
              say(`${sentence}.`, awake ? "good" : "bad");
              onChange();
            }}>Wake</${Act}>`
            : null}
          <button type="button" class="act" onClick=${onPermissions}>Permissions</button>
          <${Act} act=${async () => {
            await call(peer.paused ? "/peers/resume" : "/peers/pause", { node_id: peer.node_id });
            onChange();
          }}>${peer.paused ? "Resume" : "Pause"}</${Act}>
          <button type="button" class="act danger" onClick=${onRevoke}>Revoke</button>
        </div></li>
  `;
}

const WAYS = {
  mdns: "on this network",
  fixed: "by its address",
  wireguard: "through WireGuard",
  registry: "by a registry",
  asked: "since it asked",
  paired: "by pairing",
};

/** How a node was found. @param {string[]} sources */
function wayOf(sources) {
  return sources.map((source) => WAYS[source] ?? source).join(" and ");
}
