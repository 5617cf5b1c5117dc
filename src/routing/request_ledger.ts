import type { ErrorCode, InferenceEvent, ModelRef } from "@ark/node/protocol";
import { tokensOf } from "@ark/node/protocol";
import type { RankedCandidate, RouteStep } from "./route.ts";

/** Who sent a request: the owner without a key, a program with one of his keys, or a peer. */
export type LedgerSender = "owner" | "key" | "peer";

/** Where an answer came from. */
export type AnsweredAt = "local" | "peer" | "upstream";

/** One candidate, with the numbers that its place in the order rests on. */
export interface LedgerCandidate {
  /** Stable key: the id of a peer, `local`, or `upstream:NAME`. */
  key: string;
  /** Name for people. */
  name: string;
  /** Expected time to the whole answer in milliseconds, or null where that is not known. */
  estimate_ms: number | null;
  /** Whether the model was in its memory. */
  loaded: boolean;
  /** Requests of ours that it was answering. */
  in_flight: number;
  /** Requests that waited there, as it claimed. */
  queued: number;
}

/** One step of a request's journey. `ms` is the time since the request came. */
export interface LedgerStep {
  /** As in {@linkcode RouteStep}. */
  type: Exclude<RouteStep["type"], "ranked" | "ended">;
  /** When. */
  ms: number;
  /** Name of the one that it is about. */
  name: string;
  /** Whether it was asked beside another one that went on. */
  hedge?: true;
  /** Why it failed. */
  code?: ErrorCode;
  /** Tokens that the client had by then. */
  tokens?: number;
  /** How long the client got nothing, in milliseconds. */
  gap_ms?: number;
  /** Whether it went on because it is faster, and nobody had failed. */
  moved?: true;
}

/** The journey of one request. Nothing in it is text or a token of a prompt or an answer. */
export interface LedgerEntry {
  /** Counts from 1 since the node started. */
  seq: number;
  /** The `x-request-id` that the client got; of a peer's request, the hash of its signature. */
  id: string;
  /** When it came, RFC 3339. */
  at: string;
  /** Who sent it. */
  from: LedgerSender;
  /** Label of the key, or id of the peer; null for the owner. */
  sender: string | null;
  /** The model, as it was asked for. */
  model: string;
  /** How it ended: `ok` or an error code; null while it runs. */
  outcome: "ok" | ErrorCode | null;
  /** Where the answer came from; null where nobody has begun one. */
  where: AnsweredAt | null;
  /** Name of the one who answered last, or null. */
  answered_by: string | null;
  /** The candidates, best first: at most 16 of them. */
  candidates: LedgerCandidate[];
  /** How many there were. */
  candidate_count: number;
  /** What happened, in order: at most 64 steps. */
  steps: LedgerStep[];
  /** How many were asked, hedges included. */
  asked: number;
  /** How many failed. */
  failed: number;
  /** How many were asked beside another one that went on. */
  hedged: number;
  /** How often the answer was gone on with elsewhere. */
  continued: number;
  /** Tokens of the prompt, or null where nobody has counted them. */
  prompt_tokens: number | null;
  /** Tokens of the answer. */
  tokens: number;
  /** Time to the first token in milliseconds, or null. */
  first_token_ms: number | null;
  /** Time to the end in milliseconds, or null while it runs. */
  total_ms: number | null;
}

/** Options of {@linkcode RequestLedger}. */
export interface RequestLedgerOptions {
  /** Most requests that are kept; older ones are forgotten. @default {1000} */
  limit?: number;
  /** Told of every change of an entry, as it stands then. It must not throw. */
  changed?(entry: LedgerEntry): void;
}

/** One request as it is told to the ledger. */
export interface LedgerRun {
  /** Takes note of a step. */
  step(step: RouteStep): void;
  /** Takes note of who answers, where no step says so. */
  answering(route: { name: string; where: AnsweredAt }): void;
  /** Takes note of how many tokens an event brings, at a monotonic time, or now; nothing else of it is looked at. */
  event(event: InferenceEvent, at?: number): void;
  /** Takes note of the end. Only the first one counts. */
  end(outcome: "ok" | ErrorCode): void;
}

const MOST_CANDIDATES = 16;
const MOST_STEPS = 64;
const MOST_CHARACTERS = 200;

/** The last requests and their journeys, in memory only and bounded in every respect. */
export class RequestLedger {
  readonly #limit: number;
  readonly #changed: (entry: LedgerEntry) => void;
  readonly #entries = new Map<number, LedgerEntry>();
  #seq = 0;

  /** Makes an empty ledger. */
  constructor({ limit = 1_000, changed = () => {} }: RequestLedgerOptions = {}) {
    this.#limit = limit;
    this.#changed = changed;
  }

  /** The last `count` requests, oldest first. */
  list(count: number = this.#limit): LedgerEntry[] {
    return [...this.#entries.values()].slice(-Math.max(1, count));
  }

  /** One request, or undefined where it is forgotten. */
  get(seq: number): LedgerEntry | undefined {
    return this.#entries.get(seq);
  }

  /** Begins an entry. */
  begin(request: { id: string; from: LedgerSender; sender?: string | null; model: ModelRef }): LedgerRun {
    const began = performance.now();
    const entry: LedgerEntry = {
      seq: ++this.#seq,
      id: request.id,
      at: new Date().toISOString(),
      from: request.from,
      sender: request.sender ?? null,
      model: request.model.slice(0, MOST_CHARACTERS),
      outcome: null,
      where: null,
      answered_by: null,
      candidates: [],
      candidate_count: 0,
      steps: [],
      asked: 0,
      failed: 0,
      hedged: 0,
      continued: 0,
      prompt_tokens: null,
      tokens: 0,
      first_token_ms: null,
      total_ms: null,
    };
    this.#entries.set(entry.seq, entry);
    for (const seq of this.#entries.keys()) {
      if (this.#entries.size <= this.#limit) break;
      this.#entries.delete(seq);
    }
    this.#changed(entry);
    return {
      step: (step) => {
        if (entry.outcome !== null || step.type === "ended") return;
        note(entry, step);
        this.#changed(entry);
      },
      answering: ({ name, where }) => {
        if (entry.outcome !== null) return;
        entry.where = where;
        entry.answered_by = name;
      },
      event: (event, at) => {
        if (entry.outcome !== null) return;
        if (event.type === "start") entry.prompt_tokens ??= event.prompt_tokens;
        const tokens = tokensOf(event);
        if (tokens > 0) entry.first_token_ms ??= rounded((at ?? performance.now()) - began);
        entry.tokens += tokens;
      },
      end: (outcome) => {
        if (entry.outcome !== null) return;
        entry.outcome = outcome;
        entry.total_ms = rounded(performance.now() - began);
        this.#changed(entry);
      },
    };
  }
}

/** Where a candidate with this key answers. */
export function answeredAt(key: string): AnsweredAt {
  return key === "local" ? "local" : key.startsWith("upstream:") ? "upstream" : "peer";
}

function note(entry: LedgerEntry, step: Exclude<RouteStep, { type: "ended" }>): void {
  if (step.type === "ranked") {
    entry.candidate_count = step.candidates.length;
    entry.candidates = step.candidates.slice(0, MOST_CANDIDATES).map(candidateOf);
    return;
  }
  const { type, ms, name } = step;
  if (type === "asked") {
    entry.asked++;
    if (step.hedge) entry.hedged++;
  }
  if (type === "failed") entry.failed++;
  if (type === "continued") entry.continued++;
  if (type === "began" || type === "continued") {
    entry.where = answeredAt(step.key);
    entry.answered_by = name;
  }
  if (entry.steps.length >= MOST_STEPS) return;
  entry.steps.push({
    type,
    ms: rounded(ms),
    name,
    ...step.type === "asked" && step.hedge ? { hedge: true } : {},
    ...step.type === "failed" ? { code: step.code, tokens: step.tokens } : {},
    ...step.type === "continued" ? { tokens: step.tokens, gap_ms: rounded(step.gapMs) } : {},
    ...step.type === "continued" && step.moved ? { moved: true } : {},
  });
}

function candidateOf({ key, name, estimateMs, loaded, inFlight, queued }: RankedCandidate): LedgerCandidate {
  const estimate_ms = Number.isFinite(estimateMs) ? rounded(estimateMs) : null;
  return { key, name, estimate_ms, loaded, in_flight: inFlight, queued };
}

/** To a tenth of a millisecond. */
function rounded(ms: number): number {
  return Math.round(ms * 10) / 10;
}
