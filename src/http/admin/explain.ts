import { type ApprovedPeer, describePermissions, lasting, type Obstacle, sharesModel } from "@ark/node/peers";
import type { PeerState } from "@ark/node/routing";
import { explainPull } from "./explain_pull.ts";

/** Everything that decides whether a peer may ask a model here, and whether we can ask it there. */
export interface Circumstances {
  /** What the owner calls the peer. */
  name: string;
  /** The model as it was asked for. */
  model: string;
  /** Its approval, or null where there is none that counts now. */
  peer: ApprovedPeer | null;
  /** When its approval ended by itself, RFC 3339, or null. */
  expiredAt: string | null;
  /** When the owner revoked it, RFC 3339, or null. */
  revokedAt: string | null;
  /** How it stands here. */
  here: {
    /** Whether the node takes work; false while it stops. */
    accepting: boolean;
    /** Why it works for no peer now, as a sentence, or null. */
    yields?: string | null;
    /** Whether it has an engine. */
    engine: boolean;
    /** Id of the model here, or null where there is none. */
    model: string | null;
    /** Why its engine cannot run it now, or null. */
    failure: string | null;
    /** What keeps the node from recording requests, or null. */
    auditFault: string | null;
    /** Requests of the peer that run now. */
    held: number;
    /** What it has used up, or null. */
    obstacle: Obstacle | null;
  };
  /** How the peer stands to us, or null where it is not approved. */
  there: {
    /** Its state. */
    state: PeerState;
    /** Why it is not ready, or null. */
    reason: string | null;
    /** Since when, RFC 3339, or null. */
    since: string | null;
    /** Ids of the models that it offers to us. */
    models: readonly string[];
    /** Whether the model is one of them. */
    offers: boolean;
    /** Requests of ours that it answers now. */
    inFlight: number;
    /** Requests of ours that it answers at a time, or null where that is not known. */
    slots: number | null;
  } | null;
}

/** Why a peer may not ask a model here; `ok` where it may. */
export type ReasonHere =
  | "ok"
  | "revoked"
  | "expired"
  | "not_approved"
  | "paused"
  | "inference_off"
  | "model_not_shared"
  | "no_engine"
  | "no_such_model"
  | "stopping"
  | "yielding"
  | "audit_unavailable"
  | "slots"
  | "engine_failed"
  | Obstacle["kind"];

/** Why we cannot ask a model there; `ok` where we can. */
export type ReasonThere = "ok" | "not_approved_here" | "not_offered" | "slots" | Exclude<PeerState, "ready" | "busy">;

/** One direction. */
export interface Verdict<Reason> {
  /** Why not, or `ok`. */
  reason: Reason;
  /** The same as a sentence. */
  sentence: string;
  /** What to do about it, as a sentence, or null. */
  advice: string | null;
}

/** The answer of `GET /peers/why`. */
export interface Explanation {
  /** Both directions in one sentence. */
  sentence: string;
  /** Whether that peer may ask this model here. */
  here: Verdict<ReasonHere>;
  /** Whether we can ask this model there. */
  there: Verdict<ReasonThere>;
  /** What is known beside, as sentences. */
  details: string[];
}

/** A refusal before it is put into words: what stands after "because", and what to do. */
interface Why<Reason> {
  reason: Reason;
  because: string;
  advice: string | null;
}

/** Says in plain words what decides about a peer and a model, in both directions. Pure. */
export function explain(circumstances: Circumstances): Explanation {
  const { name, model, peer } = circumstances;
  const [here, there] = [whyHere(circumstances), whyThere(circumstances)];
  const first = here === null
    ? `${name} may ask ${model} here`
    : `${name} cannot ask ${model} here, because ${here.because}`;
  const second = there === null
    ? `you can ask ${model} there`
    : `you cannot ask ${model} there, because ${there.because}`;
  const link = (here === null) === (there === null) ? "and" : "but";
  return {
    sentence: `${first}, ${link} ${second}.`,
    here: { reason: here?.reason ?? "ok", sentence: `${first}.`, advice: here?.advice ?? null },
    there: { reason: there?.reason ?? "ok", sentence: `${capital(second)}.`, advice: there?.advice ?? null },
    details: peer === null ? [] : detailsOf(circumstances, peer),
  };
}

function whyHere(circumstances: Circumstances): Why<ReasonHere> | null {
  const { name, model, peer, expiredAt, revokedAt, here } = circumstances;
  const approve = `Approve it with 'ark-node peers approve', and with the terms that you want`;
  if (peer === null) {
    if (expiredAt !== null) return why("expired", `its approval ended on ${day(expiredAt)}`, approve);
    if (revokedAt !== null) return why("revoked", `you revoked it on ${day(revokedAt)}`, approve);
    return why("not_approved", "you have not approved it", approve);
  }
  const { permissions } = peer;
  const { models_shared: shared, max_concurrent_requests: most } = permissions;
  if (peer.paused) return why("paused", "you paused it", `'ark-node peers resume' lets it ask again`);
  if (!permissions.can_request_inference) {
    return why("inference_off", "its approval does not let it ask models", approve);
  }
  if (!sharesModel(shared, here.model ?? model)) {
    const patterns = shared.length === 0 ? "no model" : shared.join(", ");
    return why("model_not_shared", `you share ${patterns} with it`, approve);
  }
  if (!here.engine) {
    return why("no_engine", "this node has not the role compute", "Start it with --role compute,gateway");
  }
  if (here.model === null) {
    return why(
      "no_such_model",
      "there is no such model on this node",
      "'ark-node models list' shows those that there are",
    );
  }
  if (!here.accepting) return why("stopping", "this node is stopping", null);
  if (here.yields !== undefined && here.yields !== null && peer.own !== true) {
    return why("yielding", "this node does not share now", here.yields);
  }
  if (here.auditFault !== null) {
    return why("audit_unavailable", "this node cannot record requests now", `${here.auditFault.replace(/\.?$/, "")}`);
  }
  if (here.held >= most) {
    const slots = most === 1 ? "its one request at a time runs now" : `all of its ${most} requests at a time run now`;
    return why("slots", slots, "It may ask again when one has ended");
  }
  if (here.obstacle !== null) return limited(here.obstacle, name);
  if (here.failure !== null) return why("engine_failed", "the engine could not run it", here.failure);
  return null;
}

function limited({ kind, most, freeInMs }: Obstacle, name: string): Why<ReasonHere> {
  const [count, when] = [most.toLocaleString("en-US"), lasting(freeInMs)];
  const again = `${name} may ask again in ${when}`;
  if (kind === "rate") return why(kind, `it has asked ${count} times in the last minute`, again);
  if (kind === "tokens") return why(kind, `it has used its ${count} tokens of 24 hours`, again);
  if (kind === "pace") return why(kind, `it broke off ${count} of its last answers`, again);
  return why(kind, `its running answers may use the rest of its ${count} tokens of 24 hours`, null);
}

function whyThere({ name, peer, there }: Circumstances): Why<ReasonThere> | null {
  if (peer === null || there === null) {
    return why("not_approved_here", "only nodes that you approved are sent prompts", null);
  }
  const { state, reason, since, models, offers, inFlight, slots } = there;
  if (state !== "ready" && state !== "busy") {
    const [because, advice] = NOT_READY[state]({ since: since === null ? "" : ` since ${time(since)}` });
    return why(state, because, advice ?? (state === "not_approved" ? null : reason));
  }
  if (!offers) {
    const all = models.length === 0 ? "no model" : models.join(", ");
    return why("not_offered", `it offers you ${all}`, `The owner of ${name} decides what is shared with you`);
  }
  if (slots !== null && inFlight >= slots) {
    const running = slots === 1
      ? "your one request at a time runs there now"
      : `all of your ${slots} requests at a time run there`;
    return why("slots", running, null);
  }
  return null;
}

const NOT_READY: Record<Exclude<PeerState, "ready" | "busy">, (known: { since: string }) => [string, string | null]> = {
  unseen: () => ["it was not seen yet", null],
  unreachable: ({ since }) => [`it cannot be reached${since}`, null],
  not_approved: () => [
    "its owner has not approved this node",
    "On that machine, 'ark-node peers discovered' shows this node, to be approved",
  ],
  revoked: () => ["its owner took your approval back", "Ask its owner for a new one"],
  draining: ({ since }) => [`it takes no work of yours${since}`, null],
  yielding: ({ since }) => [`its owner has needed the machine, or shared nothing,${since}`, null],
  thrashing: ({ since }) => [`it has had too little memory for the work of others${since}`, null],
  paused: () => ["you paused it", "'ark-node peers resume' ends that"],
};

function detailsOf(circumstances: Circumstances, peer: ApprovedPeer): string[] {
  const { here, there } = circumstances;
  const { name, permissions, expires_at, verified } = peer;
  return [
    describePermissions(name, permissions, expires_at ?? null),
    ...(verified === false
      ? [`The words on both screens were not compared yet, so ${name} may be somebody else.`]
      : []),
    explainPull(circumstances),
    `${here.held} of its ${permissions.max_concurrent_requests} requests at a time run now.`,
    ...(there === null || there.models.length === 0 ? [] : [`It offers you ${there.models.join(", ")}.`]),
  ];
}

function why<Reason>(reason: Reason, because: string, advice: string | null): Why<Reason> {
  return { reason, because, advice };
}

function capital(sentence: string): string {
  return sentence.charAt(0).toUpperCase() + sentence.slice(1);
}

/** A day as people say it: `20 November 2026`, UTC. */
function day(instant: string): string {
  return new Date(instant).toLocaleDateString("en-GB", { dateStyle: "long", timeZone: "UTC" });
}

/** A minute as it is written: `2026-11-20 14:05 UTC`. */
function time(instant: string): string {
  return `${instant.slice(0, 16).replace("T", " ")} UTC`;
}
