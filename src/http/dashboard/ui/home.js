/** Home: this node, what runs now, who asks. */
import { call } from "./api.js";
import { useLive } from "./live.js";
import { Badge, Card, Copy, Empty, Figure, html, Waiting } from "./parts.js";
import { Sharing } from "./sharing.js";
import { counted, millis, size, span } from "./format.js";

export function Home() {
  const { data: status, error, reload } = useLive(() => call("/status"), {
    on: ["peer", "models", "load", "audit", "request", "sharing"],
    everyMs: 5_000,
  });
  const { data: asked } = useLive(() => call("/api/v1/requests?count=200"), { on: ["journey"] });
  if (status === undefined) return html`<${Waiting} error=${error}/>`;
  const { models, peers, faults } = status;
  const running = (asked?.requests ?? []).filter(({ outcome }) => outcome === null);
  return html`
    ${faults.map((fault) => html`<p class="fault" key=${fault} role="alert">${fault}</p>`)}
    ${peers.pending > 0
      ? html`<p class="hint"><a href="#/neighbours">${
        counted(peers.pending, "node")
      } near you would like to be let in.</a></p>`
      : null}
    <div class="figures card">
      <${Figure} value=${models.here} label=${models.here === 1
        ? "model here"
        : "models here"} note=${`${models.within_reach} within reach`}/>
        <${Figure} value=${peers.ready} label=${peers.ready === 1
          ? "neighbour ready"
          : "neighbours ready"} note=${`${peers.approved} approved`}/>
          <${Figure} value=${running.length} label=${running.length === 1
            ? "request now"
            : "requests now"} note=${models.queued > 0 ? `${models.queued} waiting` : "nobody waits"}/>
            <${Figure} value=${span(status.uptime_s)} label="up" note=${`version ${status.version}`}/>
              </div>
              <${Card} title="What runs now">
      ${running.length === 0
        ? html`<${Empty}>Nothing: this node waits for its first question, or its next one.</${Empty}>`
        : html`
          <ul class="list">${running.map((one) =>
            html`
              <li key=${one.seq}>
                <div><strong>${one.model}</strong><small>${senderOf(one)}</small></div>
                <div class="right">${one.answered_by ?? "not begun yet"}<small>${counted(
                  one.tokens,
                  "token",
                )}</small></div>
              </li>
            `
          )}</ul>
        `}
    </${Card}>
    ${status.sharing === null ? null : html`<${Sharing} sharing=${status.sharing} reload=${reload}/>`}
    <${Card} title="In memory">
      ${models.loaded.length + models.loading.length === 0
        ? html`<${Empty}>No model is in memory: the first question loads one.</${Empty}>`
        : html`<ul class="list">
      ${
          models.loading.map(({ id, fraction }) =>
            html`<li key=${id}><div><strong>${id}</strong><small>on its way into memory</small></div>
        <progress max="1" value=${fraction} aria-label=${`Loading ${id}`}></progress></li>`
          )
        }
      ${
          models.loaded.map((model) =>
            html`
              <li key=${model.id + model.task}>
                <div><strong>${model.id}</strong><small>${model.gpu ?? "CPU"} · ${size(model.bytes)} · ${model
                  .running} of ${model.slots} slots busy</small></div>
                <div class="right">${model.pinned
                  ? html`<${Badge} kind="good">stays</${Badge}>`
                  : leaves(model.expiresAt)}</div>
              </li>
            `
          )
        }
    </ul>`}
    </${Card}>
    <${Card} title="This node">
      <dl class="facts">
        <dt>Name</dt><dd>${status.name}</dd>
        <dt>Roles</dt><dd>${status.roles.join(", ")}</dd>
        <dt>Id</dt><dd><${Copy} text=${status.node_id}/></dd>
        <dt>For your apps</dt><dd><${Copy} text=${`${status.api}/v1`}/></dd>
        <dt>For neighbours</dt><dd>${status.mesh}</dd>
      </dl>
      ${status.upstreams.length === 0 ? null : html`
        <h3>Servers behind it</h3>
        <ul class="list">${status.upstreams.map((one) =>
          html`
            <li key=${one.name}>
              <div><strong>${one.name}</strong><small>${one.url}</small></div>
              <${Badge} kind=${one.ready ? "good" : "bad"}>${one.ready
                ? counted(one.models, "model")
                : one.reason}</${Badge}></li>
          `
        )}</ul>
      `}
    </${Card}>
  `;
}

/** @param {number | null} expiresAt */
function leaves(expiresAt) {
  return expiresAt === null ? "" : html`<small>leaves in ${millis(Math.max(0, expiresAt - Date.now()))}</small>`;
}

/** Who asked, in words. @param {{ from: string, sender: string | null }} entry */
export function senderOf({ from, sender }) {
  if (from === "peer") return `asked by neighbour ${sender?.slice(0, 8) ?? ""}`;
  return from === "key" ? `asked by ${sender ?? "a program with a key"}` : "asked on this machine";
}
