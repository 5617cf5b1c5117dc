/**
 * What the dashboard is told as it happens. No event has a field for text of a prompt or an answer.
 *
 * | type | when |
 * |---|---|
 * | `peer` | a node was seen, is gone, asked without being approved, was approved or revoked, has a new key, or contradicts the audit |
 * | `pair` | a pairing by words began, went on or ended |
 * | `request` | a request began or ended, here or at a peer |
 * | `models` | the catalogue changed |
 * | `load` | a model is on its way into memory: so much of it, 0 to 1, is there; 1 when it can be used |
 * | `upload` | a peer's download of a model from here began or ended |
 * | `pull` | a model is being fetched, at most once a second; or it is here, or that failed |
 * | `journey` | the entry of the request ledger with that number is new, or has changed |
 * | `sharing` | whether this node works for peers has changed, or until when |
 * | `audit` | the audit log cannot be written, or can again |
 * | `lost` | this subscriber was too slow: so many events before the next one are missing, so read the state anew |
 */
export type ArkEvent =
  | { type: "peer"; change: PeerChange; peer: string }
  | { type: "pair"; session: string; phase: string; peer: string }
  | RequestEvent
  | { type: "models"; count: number }
  | { type: "load"; model: string; fraction: number }
  | UploadEvent
  | PullEvent
  | { type: "journey"; seq: number }
  | { type: "sharing"; state: string; shares: boolean }
  | { type: "audit"; available: boolean }
  | { type: "lost"; count: number };

/** What happened to a peer. `contradicted`: its audit log, or ours, is not what a witness saw. */
export type PeerChange = "seen" | "gone" | "knocked" | "approved" | "revoked" | "rotated" | "contradicted";

/** How far a model is that is being fetched. */
export interface PullEvent {
  /** Tells it from the other events. */
  type: "pull";
  /** As the owner asked for it. */
  model: string;
  /** Whether it goes on. */
  state: "running" | "done" | "failed";
  /** Bytes of the file at hand that are here. */
  completed: number;
  /** Bytes of that file, or 0 while nobody has said. */
  total: number;
  /** Bytes a second, or 0 where that is not known. */
  speed: number;
  /** How many give it now. */
  sources: number;
  /** Node id of a peer that was dropped because it sent wrong bytes. */
  wrong?: string;
}

/** A request began or ended. */
export interface RequestEvent {
  /** Tells it from the other events. */
  type: "request";
  /** Which end of the request this is. */
  phase: "start" | "end";
  /** Unique among the requests that run; for display only. */
  request: string;
  /** `in`: a peer asked us; `out`: we asked a peer; `own`: the owner asked our own engine. */
  direction: "in" | "out" | "own";
  /** Node id of the peer, or null for `own`. */
  peer: string | null;
  /** Model as the request names it. */
  model: string;
  /** At the end: `ok` or an error code. */
  outcome?: string;
  /** At the end: tokens that the model wrote. */
  tokens?: number;
  /** At the end: duration in milliseconds. */
  ms?: number;
}

/** A peer's download of a model of this node began or ended. */
export interface UploadEvent {
  /** Tells it from the other events. */
  type: "upload";
  /** Which end of it this is. */
  phase: "start" | "end";
  /** Node id of the peer. */
  peer: string;
  /** Model. */
  model: string;
  /** At the end: `ok` or an error code. */
  outcome?: string;
  /** At the end: bytes that went to the peer. */
  bytes?: number;
  /** At the end: time from its first request to its last byte, in milliseconds. */
  ms?: number;
}

/** Options of {@linkcode Events}. */
export interface EventsOptions {
  /**
   * Most events that wait for one subscriber. Beyond, its oldest are dropped.
   *
   * @default {256}
   */
  queueLimit?: number;
}

/**
 * Hands each event to every subscriber. `emit()` never waits and never throws: a slow subscriber loses its oldest
 * events, is told how many by a `lost` event, and holds nobody up.
 */
export class Events {
  readonly #subscriptions = new Set<Subscription>();
  readonly #queueLimit: number;
  #dropped = 0;

  /** Makes a hub without subscribers. */
  constructor({ queueLimit = 256 }: EventsOptions = {}) {
    this.#queueLimit = queueLimit;
  }

  /** Events dropped so far, summed over all subscribers. */
  get dropped(): number {
    return this.#dropped;
  }

  /** Subscriptions that are open now. */
  get subscribers(): number {
    return this.#subscriptions.size;
  }

  /** Hands an event to all subscribers. */
  emit(event: ArkEvent): void {
    for (const subscription of this.#subscriptions) this.#dropped += subscription.push(event, this.#queueLimit);
  }

  /**
   * Subscribes from this call on. The iteration ends when the signal aborts or the loop is left; until then the
   * subscription holds its queue, iterated or not.
   */
  subscribe(signal: AbortSignal): AsyncIterable<ArkEvent> {
    const subscription = new Subscription((ended) => {
      this.#subscriptions.delete(ended);
      signal.removeEventListener("abort", abort);
    });
    function abort(): void {
      subscription.end();
    }
    this.#subscriptions.add(subscription);
    if (signal.aborted) subscription.end();
    else signal.addEventListener("abort", abort);
    return { [Symbol.asyncIterator]: () => subscription };
  }
}

class Subscription implements AsyncIterator<ArkEvent> {
  readonly #onEnd: (subscription: Subscription) => void;
  readonly #queue: ArkEvent[] = [];
  readonly #waiting: ((result: IteratorResult<ArkEvent>) => void)[] = [];
  #lost = 0;
  #ended = false;

  constructor(onEnd: (subscription: Subscription) => void) {
    this.#onEnd = onEnd;
  }

  /** Returns how many events were dropped to make room: 0 or 1. */
  push(event: ArkEvent, limit: number): number {
    const waiting = this.#waiting.shift();
    if (waiting !== undefined) {
      waiting({ done: false, value: event });
      return 0;
    }
    this.#queue.push(event);
    if (this.#queue.length <= limit) return 0;
    this.#queue.shift();
    this.#lost += 1;
    return 1;
  }

  next(): Promise<IteratorResult<ArkEvent>> {
    if (this.#ended) return Promise.resolve({ done: true, value: undefined });
    if (this.#lost > 0) {
      const value: ArkEvent = { type: "lost", count: this.#lost };
      this.#lost = 0;
      return Promise.resolve({ done: false, value });
    }
    const value = this.#queue.shift();
    if (value !== undefined) return Promise.resolve({ done: false, value });
    return new Promise((resolve) => this.#waiting.push(resolve));
  }

  return(): Promise<IteratorResult<ArkEvent>> {
    this.end();
    return Promise.resolve({ done: true, value: undefined });
  }

  end(): void {
    if (this.#ended) return;
    this.#ended = true;
    this.#queue.length = 0;
    this.#onEnd(this);
    for (const waiting of this.#waiting.splice(0)) waiting({ done: true, value: undefined });
  }
}
