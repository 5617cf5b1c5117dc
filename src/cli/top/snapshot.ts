import type { PeerStatus } from "@ark/node/http";
import type { LoadedModel, LoadingModel } from "@ark/node/inference";
import type { DensityGrid, LedgerEntry, PeerState } from "@ark/node/routing";
import type { HistorySample } from "@ark/node/telemetry";

/** Which node it is. */
interface NodeFacts {
  node_id: string;
  name: string;
  version: string;
  roles: string[];
  uptime_s: number;
  api: string;
}

/** What the node's own calls answered at one time. */
export interface TopAnswers {
  /** `GET /status`. */
  status: NodeFacts & {
    models: { here: number; within_reach: number; loaded: LoadedModel[]; loading: LoadingModel[]; queued: number };
    peers: { pending: number };
    /** Whether peers are served, and why; absent where a node cannot pause that. */
    sharing?: TopSharing | null;
    faults: string[];
  };
  /** `GET /peers/status`. */
  peers: PeerStatus[];
  /** `GET /api/v1/requests`. */
  requests: LedgerEntry[];
  /** `GET /api/v1/history`, its samples. */
  samples: HistorySample[];
  /** `GET /grid`, or null where nobody has asked for it yet. */
  grid: Pick<DensityGrid, "nodes"> | null;
  /** Milliseconds since 1970. */
  now: number;
}

/** Whether peers are served. */
export interface TopSharing {
  /** How it stands, such as `paused`. */
  state: string;
  /** Whether they are. */
  shares: boolean;
  /** Why, as one sentence without a full stop. */
  sentence: string;
}

/** Something that happened, in a sentence. */
export interface TopEvent {
  /** When, RFC 3339. */
  at: string;
  /** What. */
  text: string;
  /** Whether the owner should look at it. */
  bad: boolean;
}

/** A request that runs. */
export interface TopRequest {
  /** Its id. */
  id: string;
  /** Who asks: `you`, `key NAME`, or a peer's name. */
  who: string;
  /** Model as it was asked for. */
  model: string;
  /** Who answers: `this node`, a name, or null while nobody does. */
  where: string | null;
  /** Tokens of the prompt, or null where nobody has counted them. */
  prompt_tokens: number | null;
  /** Tokens of the answer so far. */
  tokens: number;
  /** Tokens a second since the first of them, or null before. */
  tokens_per_second: number | null;
  /** How long it runs, in milliseconds. */
  ms: number;
}

/** An approved peer. */
export interface TopPeer {
  /** Its id, grouped. */
  node_id: string;
  /** Its label. */
  name: string;
  /** How it stands. */
  state: PeerState;
  /** Why it is not ready, or null. */
  reason: string | null;
  /** Smoothed round trip in milliseconds, or null. */
  round_trip_ms: number | null;
  /** Requests of ours that it answers. */
  in_flight: number;
  /** Requests that wait there, as it says. */
  queued: number;
  /** Models that it offers to us. */
  models: string[];
}

/** What `ark-node top` shows, and with `--json` prints. */
export interface TopSnapshot {
  /** When, RFC 3339. */
  at: string;
  /** This node. */
  node: NodeFacts & {
    /** Memory of the machine in bytes, or null where it is not known. */
    memory: { free: number; total: number } | null;
    /** Answers that it writes, that it could write at once, and requests that wait. */
    slots: { running: number; total: number; queued: number };
    models: {
      here: number;
      within_reach: number;
      loaded: { id: string; gpu: string | null; running: number; slots: number; bytes: number }[];
      loading: { id: string; fraction: number }[];
    };
    /** Whether peers are served; null where a node cannot pause that. */
    sharing: TopSharing | null;
    /** Nodes that wait for approval. */
    pending: number;
    faults: string[];
  };
  /** How fast it is. */
  speed: {
    /** Tokens a second of all that runs. */
    tokens_per_second: number;
    /** What ended within the last minute. */
    minute: { requests: number; failed: number; tokens: number; first_token_ms: number | null };
  };
  running: TopRequest[];
  peers: TopPeer[];
  /** The newest first. */
  events: TopEvent[];
}

/** Events that are kept. */
export const MOST_EVENTS = 100;

/** Puts together what is shown. `told` is what the node told by itself, beside requests, which it keeps a list of. */
export function snapshotOf(answers: TopAnswers, told: readonly TopEvent[]): TopSnapshot {
  const { status, peers, requests, samples, grid, now } = answers;
  const { models } = status;
  const names = namesOf(peers);
  const running = requests.filter(({ outcome }) => outcome === null).map((entry) => runningOf(entry, { names, now }));
  const own = grid?.nodes.find(({ kind }) => kind === "own");
  const ended = requests.flatMap((entry) => endOf(entry, names));
  return {
    at: new Date(now).toISOString(),
    node: {
      node_id: status.node_id,
      name: status.name,
      version: status.version,
      roles: status.roles,
      uptime_s: status.uptime_s,
      api: status.api,
      memory: own?.hardware?.memory ?? null,
      slots: {
        running: models.loaded.reduce((sum, one) => sum + one.running, 0),
        total: models.loaded.reduce((sum, one) => sum + one.slots, 0),
        queued: models.queued,
      },
      models: {
        here: models.here,
        within_reach: models.within_reach,
        loaded: models.loaded.map(({ id, gpu, running, slots, bytes }) => ({ id, gpu, running, slots, bytes })),
        loading: models.loading.map(({ id, fraction }) => ({ id, fraction })),
      },
      sharing: sharingOf(status.sharing),
      pending: status.peers.pending,
      faults: status.faults,
    },
    speed: {
      tokens_per_second: Math.round(running.reduce((sum, one) => sum + (one.tokens_per_second ?? 0), 0) * 10) / 10,
      minute: minuteOf(samples, now),
    },
    running,
    peers: peers.map(({ node_id, name, state, reason, round_trip_ms, in_flight, queued, models }) => {
      return { node_id, name, state, reason, round_trip_ms, in_flight, queued, models };
    }),
    events: [...told, ...ended].sort((a, b) => a.at < b.at ? 1 : a.at > b.at ? -1 : 0).slice(0, MOST_EVENTS),
  };
}

function sharingOf(sharing: TopSharing | null | undefined): TopSharing | null {
  if (sharing === null || sharing === undefined) return null;
  const { state, shares, sentence } = sharing;
  return { state, shares, sentence };
}

/** Labels of peers by their ids without groups. */
export function namesOf(peers: readonly Pick<PeerStatus, "node_id" | "name">[]): Map<string, string> {
  return new Map(peers.map(({ node_id, name }) => [node_id.replaceAll("-", ""), name]));
}

function runningOf(entry: LedgerEntry, { names, now }: { names: Map<string, string>; now: number }): TopRequest {
  const ms = Math.max(0, now - Date.parse(entry.at));
  const writing = entry.first_token_ms === null ? 0 : ms - entry.first_token_ms;
  return {
    id: entry.id,
    who: whoOf(entry, names),
    model: entry.model,
    where: whereOf(entry),
    prompt_tokens: entry.prompt_tokens,
    tokens: entry.tokens,
    tokens_per_second: writing < 100 || entry.tokens < 2
      ? null
      : Math.round((entry.tokens - 1) / writing * 10_000) / 10,
    ms,
  };
}

function whoOf({ from, sender }: LedgerEntry, names: Map<string, string>): string {
  if (from === "owner") return "you";
  if (from === "key") return `key ${sender}`;
  return names.get(sender ?? "") ?? `peer ${sender?.slice(0, 8)}`;
}

/** Who answers; before the first word of it, who was asked last. */
function whereOf({ where, answered_by, steps }: LedgerEntry): string | null {
  if (where === "local") return "this node";
  return answered_by ?? steps.findLast(({ type }) => type === "asked")?.name ?? null;
}

function endOf(entry: LedgerEntry, names: Map<string, string>): TopEvent[] {
  const { at, outcome, total_ms, model, tokens, failed, continued } = entry;
  if (outcome === null || total_ms === null) return [];
  const where = whereOf(entry);
  const detours = [
    ...failed > 0 ? [`${failed} failed before`] : [],
    ...continued > 0 ? [`gone on with elsewhere ${continued} times`] : [],
  ].map((text) => `, ${text}`).join("");
  const how = outcome === "ok"
    ? `${where ?? "nobody"} answered with ${tokens} tokens in ${(total_ms / 1_000).toFixed(1)} s${detours}`
    : outcome === "cancelled"
    ? `given up after ${tokens} tokens`
    : `failed: ${outcome}${detours}`;
  return [{
    at: new Date(Date.parse(at) + total_ms).toISOString(),
    text: `${whoOf(entry, names)} asked ${model}: ${how}`,
    bad: outcome !== "ok" && outcome !== "cancelled",
  }];
}

function minuteOf(samples: readonly HistorySample[], now: number): TopSnapshot["speed"]["minute"] {
  const last = samples.filter(({ at }) => at > now - 60_000);
  const firsts = last.flatMap(({ first_token_ms }) => first_token_ms ?? []).sort((a, b) => a - b);
  return {
    requests: last.reduce((sum, one) => sum + one.requests, 0),
    failed: last.reduce((sum, one) => sum + one.failed, 0),
    tokens: last.reduce((sum, one) => sum + one.tokens, 0),
    first_token_ms: firsts[Math.floor(firsts.length / 2)] ?? null,
  };
}
