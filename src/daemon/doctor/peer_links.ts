import { isIP } from "node:net";
import type { Finding } from "@ark/node/http";
import { formatNodeId, type NodeId, shortId } from "@ark/node/identity";
import { type Neighbour, type PeerRotation, sharesModel } from "@ark/node/peers";
import { ANSWERING, type PeerView } from "@ark/node/routing";
import { formatAddress, type PeerAddress } from "@ark/node/transport";
import { peerWord, shellWord } from "./typed_word.ts";

/** What a running node knows of its ways to approved peers. */
export interface LinkFacts {
  /** This node. */
  self: NodeId;
  /** Approved peers, as they stand. */
  peers: readonly PeerView[];
  /** Nodes that proved their key. */
  neighbours: readonly Neighbour[];
  /** Changes of keys that wait for the owner. */
  rotations: readonly PeerRotation[];
  /** Peers that asked this node for something since it started. */
  asked: ReadonlySet<NodeId>;
  /** Where peers connect. */
  mesh: PeerAddress;
  /** How to let others reach that port. */
  openMesh: string;
  /** Names of the models here, and second names of them; null where this node has no engine. */
  models: readonly string[] | null;
  /** Where this node's own key answered, and this machine's own addresses. */
  mirrors: readonly PeerAddress[];
  /** Addresses of this machine. */
  own: ReadonlySet<string>;
  /** What the clock says, in milliseconds since 1970. */
  nowMs?: number;
}

/** How long a peer that answers has time to come back to this node, in milliseconds. */
const RETURN_MS = 10_000;
const MOST_SHOWN = 16;

/** Whether approved peers can be reached, let this node in, and reach it. Pure. */
export function peerLinks(facts: LinkFacts): Finding[] {
  const { peers } = facts;
  const found = [...copies(facts), ...peers.slice(0, 64).flatMap((view) => linkOf(view, facts))];
  if (found.length > 0) return found.slice(0, 4 * MOST_SHOWN);
  const there = peers.filter(({ state }) => ANSWERING.has(state)).length;
  if (peers.length === 0 || there === 0) return [];
  const sentence = there === 1
    ? "The approved peer that is there answers, and lets this node in"
    : `${there} approved ` +
      "peers answer, and let this node in";
  return [{ check: "peer-links", level: "ok", sentence }];
}

function linkOf(view: PeerView, facts: LinkFacts): Finding[] {
  const { peer: { name, node_id: id }, state } = view;
  const word = peerWord(view.peer);
  const warning = (check: string, sentence: string, rest: { why?: string; fix: string }): Finding[] => [
    { check, level: "warning", sentence, ...rest },
  ];
  const pending = facts.rotations.find(({ old }) => old === id);
  if (pending !== undefined) {
    return pending.state === "contested"
      ? warning("peer-key", `Two new keys claim to follow the key of ${name}`, {
        why: "Somebody else has its old key",
        fix: `Take it off the list (ark-node peers revoke ${word}), and pair with its owner again: ark-node peers pair`,
      })
      : warning("peer-key", `${name} goes on under a new key, which you have not accepted`, {
        fix: `Ask its owner whether it is ${shortId(pending.new)}, then: ark-node peers accept-rotation ${word}`,
      });
  }
  switch (state) {
    case "not_approved":
      return warning("peer-approval", `You approved ${name}, and its owner has not approved this node`, {
        why: "Each owner decides for his own node, so it answers nothing here",
        fix: `Ask its owner to run: ark-node peers approve ${formatNodeId(facts.self)}`,
      });
    case "revoked":
      return warning("peer-approval", `The owner of ${name} took the approval of this node back`, {
        fix: `Ask its owner, or take it off your list, too: ark-node peers revoke ${word}`,
      });
    case "unseen":
      return warning("peer-reach", `${name} was never seen`, {
        why: "No address of it is known: it is not running, or multicast does not pass between you",
        fix: "Start ark-node there, or name where it is when you start this node: --peer HOST:8911",
      });
    case "unreachable":
      return unreachable(view, facts);
  }
  if (!ANSWERING.has(state)) return [];
  return [...comesBack(view, facts), ...sharedModels(view, facts)];
}

/** One that does not answer where it was: another key, a closed port, or silence. */
function unreachable({ peer: { name, node_id: id }, reason }: PeerView, { neighbours }: LinkFacts): Finding[] {
  const why = (reason ?? "").replace(/^Cannot reach the peer: /, "").replace(/\.$/, "").slice(0, 300);
  const where = neighbours.find((one) => one.id === id)?.addresses.map(formatAddress) ?? [];
  const other = neighbours.find((one) =>
    one.id !== id &&
    one.addresses.some((address) => where.includes(formatAddress(address)) || why.includes(formatAddress(address)))
  );
  if (/does not prove to be this node/.test(why)) {
    const at = /([^\s;]+) does not prove/.exec(why)?.[1] ?? "its address";
    return [{
      check: "peer-key",
      level: "warning",
      sentence: `Where ${name} was, another key answers${other === undefined ? "" : ` (${shortId(other.id)})`}`,
      why: "It was set up anew with an empty data directory, or another node has its address now",
      fix: `If its owner says that it is his: ark-node peers pair ${at}, and then ark-node peers revoke ${shortId(id)}`,
    }];
  }
  const refused = /refused the connection/.test(why);
  return [{
    check: "peer-reach",
    level: "warning",
    sentence: refused
      ? `${name} cannot be reached: its machine is there, and no node listens`
      : `${name} cannot be reached`,
    ...why === "" ? {} : { why: sentence(why) },
    fix: refused
      ? "Start ark-node there; where it runs, see which port its mesh listener has ('ark-node status' there)"
      : "See whether its machine is on and in the network, and open the TCP port of its mesh listener (8911) in its " +
        "firewall; 'ark-node doctor' there says how",
  }];
}

/** One that answers here, and has never come to this node by itself, as each one does that may. */
function comesBack({ peer: { name, node_id }, since, offer, address }: PeerView, facts: LinkFacts): Finding[] {
  const { asked, mesh, openMesh, nowMs = Date.now() } = facts;
  const settled = since !== null && nowMs - Date.parse(since) >= RETURN_MS;
  if (offer === null || asked.has(node_id) || !settled || address === null) return [];
  return [{
    check: "inbound",
    level: "warning",
    sentence: `${name} answers this node, and has never reached it`,
    why: `A firewall or a router most likely blocks TCP port ${mesh.port} of this machine`,
    fix: openMesh,
  }];
}

/** An approval that names models, none of which is here. */
function sharedModels({ peer }: PeerView, { models }: LinkFacts): Finding[] {
  const { name, permissions: { can_request_inference, models_shared } } = peer;
  if (models === null || models.length === 0 || !can_request_inference || models_shared.length === 0) return [];
  if (models.some((model) => sharesModel(models_shared, model))) return [];
  return [{
    check: "shared-models",
    level: "warning",
    sentence: `${name} may use ${models_shared.slice(0, 3).join(", ")}, and no model here is called so`,
    fix: `Approve it again with names of 'ark-node models': ark-node peers approve ${peerWord(peer)} --models ${
      shellWord(models[0] ?? "*")
    }`,
  }];
}

/** Other machines that have this node's own key. */
function copies({ mirrors, own, mesh }: LinkFacts): Finding[] {
  return mirrors.filter(({ hostname, port }) => port !== mesh.port || !(own.has(hostname) || isOwnName(hostname)))
    .slice(0, 4).map((address) => {
      const near = isNear(address.hostname);
      return {
        check: "identity",
        level: near ? "danger" : "warning",
        sentence: `A node at ${formatAddress(address)} has the same key as this one`,
        why: near
          ? "Its data directory was copied, so peers take both for one node, and answers and records get mixed up"
          : "That is this node as others see it, or another one whose data directory was copied from here",
        fix: "If it is another node: stop it, remove node.key in its data directory, start it, and approve it anew",
      };
    });
}

function isOwnName(hostname: string): boolean {
  return hostname === "localhost" || /^127\./.test(hostname) || hostname === "::1";
}

/** Whether an address is of the local network, where nothing comes back to this machine by another way. */
function isNear(hostname: string): boolean {
  if (isIP(hostname) === 0) return false;
  return /^(10\.|127\.|192\.168\.|172\.(1[6-9]|2\d|3[01])\.|169\.254\.|::1$|f[cd][0-9a-f]{2}:|fe80:)/i.test(hostname);
}

function sentence(text: string): string {
  return text.charAt(0).toUpperCase() + text.slice(1);
}
