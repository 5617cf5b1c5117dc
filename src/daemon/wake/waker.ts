import { setTimeout as rest } from "node:timers/promises";
import type { NodeId } from "@ark/node/identity";

/** What {@linkcode Waker} needs. */
export interface WakerOptions {
  /** Longest time that is waited for a node, in milliseconds. */
  wakeMs: number;
  /** Sends the packets for one node; how many were sent. Nothing is sent for one that may not be woken. */
  send(id: NodeId): Promise<number>;
  /** Asks a node whether it is there; resolves when that is known. */
  ask(id: NodeId, signal: AbortSignal): Promise<void>;
  /** Whether it answers, as far as is known. */
  answers(id: NodeId): boolean;
  /** Fires when the node stops. */
  closing: AbortSignal;
  /** Times of a test, in milliseconds. */
  times?: Partial<WakerTimes>;
}

/** How often something is done. */
export interface WakerTimes {
  /** When packets are sent, from the beginning; none after the last. */
  readonly bursts: readonly number[];
  /** Between two questions whether it is there. */
  readonly askMs: number;
  /** After an attempt that was in vain; twice as long after each further one. */
  readonly pauseMs: number;
  /** Longest such pause. */
  readonly longestPauseMs: number;
}

/** A packet may be lost, and some cards miss the first one: so it is sent some times, and never more often than that. */
const TIMES: WakerTimes = {
  bursts: [0, 2_000, 8_000, 20_000, 40_000],
  askMs: 500,
  pauseMs: 30_000,
  longestPauseMs: 900_000,
};
/** Nodes that are remembered. */
const MOST = 64;
/** How often it is looked whether a node is there, and how long one is asked, in milliseconds. */
const LOOK_MS = 50;
const ASK_MS = 2_000;
/** The owner himself may try again after so many milliseconds. */
const FORCED_MS = 3_000;

/** How one waits for a node. */
export interface WakeWish {
  /** Whether it is there. */
  there: () => boolean;
  /** Fires when nobody wants to know any more. */
  signal: AbortSignal;
  /** How long it is waited, in milliseconds; the default is for as long as an attempt lasts. */
  ms?: number;
  /** Whether it is the owner's own word. */
  force?: boolean;
}

/**
 * Wakes nodes: requests that wait for the same one share one attempt, which sends few packets and ends; after one in
 * vain there is a pause, in which nobody is woken. An attempt goes on when nobody waits for it any more: who comes and goes
 * all the time makes no more packets than who waits.
 */
export class Waker {
  readonly #options: WakerOptions;
  readonly #times: WakerTimes;
  readonly #running = new Map<NodeId, Promise<boolean>>();
  /** Attempts in vain, one after the other, and until when nobody tries again. */
  readonly #vain = new Map<NodeId, { count: number; at: number; until: number }>();

  /** Wakes nobody yet. */
  constructor(options: WakerOptions) {
    this.#options = options;
    this.#times = { ...TIMES, ...options.times };
  }

  /** Whether a node is being woken now. */
  isWaking(id: NodeId): boolean {
    return this.#running.has(id);
  }

  /**
   * Wakes a node and waits until `there` says that it is; false where it is not in time, or was woken in vain a moment
   * ago, and when the signal fires. With `force` that it was in vain does not count, but for the shortest while.
   */
  async wake(id: NodeId, { there, signal, ms, force = false }: WakeWish): Promise<boolean> {
    if (there()) return true;
    const attempt = this.#running.get(id) ?? this.#begin(id, { force });
    if (attempt === null) return false;
    const until = performance.now() + (ms ?? this.#options.wakeMs);
    let answered: boolean | null = null;
    attempt.then((result) => answered = result);
    while (!there() && !signal.aborted && answered !== false && performance.now() < until) {
      // What it offers is known a little after it answers.
      await rest(LOOK_MS, undefined, { signal }).catch(() => {});
    }
    return there();
  }

  #begin(id: NodeId, { force }: { force: boolean }): Promise<boolean> | null {
    const { at, until } = this.#vain.get(id) ?? { at: -Infinity, until: -Infinity };
    if (performance.now() < (force ? at + FORCED_MS : until)) return null;
    const attempt = this.#attempt(id).finally(() => this.#running.delete(id));
    this.#running.set(id, attempt);
    return attempt;
  }

  /** True where the node answered. */
  async #attempt(id: NodeId): Promise<boolean> {
    const { wakeMs, send, ask, answers, closing } = this.#options;
    const { bursts, askMs } = this.#times;
    const began = performance.now();
    const left = [...bursts];
    const limit = AbortSignal.any([closing, AbortSignal.timeout(wakeMs)]);
    let sent = 0;
    while (!limit.aborted) {
      const [next] = left;
      if (next !== undefined && performance.now() - began >= next) {
        left.shift();
        sent += await send(id);
        if (sent === 0) break;
      }
      await ask(id, AbortSignal.any([limit, AbortSignal.timeout(ASK_MS)]));
      if (answers(id)) {
        this.#vain.delete(id);
        return true;
      }
      await rest(askMs, undefined, { signal: limit }).catch(() => {});
    }
    this.#inVain(id);
    return false;
  }

  #inVain(id: NodeId): void {
    const { pauseMs, longestPauseMs } = this.#times;
    const count = (this.#vain.get(id)?.count ?? 0) + 1;
    this.#vain.delete(id);
    const at = performance.now();
    this.#vain.set(id, { count, at, until: at + Math.min(longestPauseMs, pauseMs * 2 ** (count - 1)) });
    const [oldest] = this.#vain.keys();
    if (this.#vain.size > MOST && oldest !== undefined) this.#vain.delete(oldest);
  }
}
