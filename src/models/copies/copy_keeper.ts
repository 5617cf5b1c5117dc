import { setTimeout as pause } from "node:timers/promises";
import { type NodeId, shortId } from "@ark/node/identity";
import { reasonOf } from "@ark/node/protocol";
import type { Logger } from "@ark/node/telemetry";
import { type CopyState, type CopyWish, keepersOf, type ToldWish } from "./copy_state.ts";

/** A model as copies are counted. */
export interface CopiedModel {
  /** `name:tag` */
  readonly id: string;
  /** SHA-256, hex, or null while it is not known. */
  readonly digest: string | null;
  /** Bytes. */
  readonly size: number;
}

/** Options of {@linkcode CopyKeeper}. */
export interface CopyKeeperOptions {
  /** This node. */
  self: NodeId;
  /** Whether the owner lets it fetch copies by itself. */
  accepts: boolean;
  /** What the owner wishes of his nodes. */
  wishes: { list(): readonly CopyWish[] };
  /** The models that are here. */
  models(): readonly CopiedModel[];
  /** Bytes that there is room for, with what stays free left out. */
  freeBytes(): Promise<number>;
  /** The owner's other nodes: approved here as his own. */
  own(): readonly NodeId[];
  /** Asks one of them. Rejects where it does not take this one for its owner's own. */
  ask(id: NodeId, signal: AbortSignal): Promise<CopyState>;
  /** Fetches a model from one of them, and from no other kind of node. */
  pull(model: string, options: { from: NodeId; signal: AbortSignal }): AsyncIterable<unknown>;
  /** Says what it does. */
  logger: Pick<Logger, "info" | "warn">;
  /** Monotonic time in milliseconds. @default {performance.now} */
  now?: () => number;
}

/** A copy that is on its way. */
interface Coming {
  digest: string;
  from: NodeId;
  stop: AbortController;
  done: Promise<void>;
}

const EVERY_MS = 30_000;
/** A copy that failed is tried again after this time, and later each time. */
const [SOON_MS, LATE_MS] = [60_000, 6 * 3_600_000];
/** Failures that are remembered. */
const MOST_FAILURES = 1_024;

/**
 * Keeps as many copies of models' files among an owner's nodes as he wishes. Each node decides for itself, from what the nodes
 * that are its owner's own tell: the one that has a wish says who has the model and who could fetch it, and whoever is
 * chosen from that (by {@linkcode keepersOf}, the same for everybody) fetches it, where its owner lets it (`--accept-copies`).
 * One copy comes at a time. Nothing is ever removed.
 */
export class CopyKeeper {
  readonly #options: CopyKeeperOptions;
  readonly #now: () => number;
  #states = new Map<NodeId, CopyState>();
  #coming: Coming | null = null;
  #soon = new AbortController();
  readonly #failures = new Map<string, { count: number; until: number }>();

  /** Makes a keeper that has asked nobody yet. */
  constructor(options: CopyKeeperOptions) {
    this.#options = options;
    this.#now = options.now ?? (() => performance.now());
  }

  /** What one of the owner's other nodes is told; of models only those that it `may` know of. */
  async state(may: (model: string) => boolean): Promise<CopyState> {
    const { accepts, models, freeBytes } = this.#options;
    const known = models().filter(({ id }) => may(id));
    return {
      accepts,
      free: await freeBytes(),
      has: known.flatMap(({ digest }) => digest ?? []),
      coming: this.#coming === null ? [] : [this.#coming.digest],
      cannot: [...this.#failures.keys()].filter((digest) => this.#cannot(digest)),
      wishes: this.told().filter(({ model }) => may(model)),
    };
  }

  /** Looks now, in place of half a minute later: a wish has changed. */
  look(): void {
    this.#soon.abort();
  }

  /** Looks every half a minute until the signal fires; what is coming then is left for the next time. */
  async run(signal: AbortSignal): Promise<void> {
    try {
      while (!signal.aborted) {
        this.#soon = new AbortController();
        await this.round(signal);
        await pause(EVERY_MS, undefined, { signal: AbortSignal.any([signal, this.#soon.signal]) }).catch(() => {});
      }
    } finally {
      this.#coming?.stop.abort();
      await this.#coming?.done;
    }
  }

  /** Asks the owner's other nodes, and begins or ends what follows from that. */
  async round(signal: AbortSignal): Promise<void> {
    const { own, ask } = this.#options;
    const answers = await Promise.all(own().map(async (id) => [id, await ask(id, signal).catch(() => null)] as const));
    if (signal.aborted) return;
    this.#states = new Map(answers.flatMap(([id, state]) => state === null ? [] : [[id, state] as const]));
    if (!this.#options.accepts) return;
    const free = await this.#options.freeBytes();
    if (this.#coming !== null) {
      const { digest, from, stop } = this.#coming;
      const state = this.#states.get(from);
      // A node that is away for a moment has not taken its wish back.
      if (state !== undefined && !state.wishes.some((wish) => wish.digest === digest && this.#isWanted(wish))) {
        stop.abort();
      }
      return;
    }
    for (const [from, { wishes }] of this.#states) {
      for (const wish of wishes) {
        if (this.#mayBegin(wish, free)) return this.#begin(wish, from);
      }
    }
  }

  /** Resolves when nothing is coming. */
  async settled(): Promise<void> {
    await this.#coming?.done;
  }

  /** The wishes of this node, with who has what as far as it knows. */
  told(): ToldWish[] {
    const { wishes, models, self } = this.#options;
    return wishes.list().flatMap(({ model, copies }): ToldWish[] => {
      const here = models().find(({ id }) => id === model);
      if (here === undefined || here.digest === null) return [];
      const { digest, size } = here;
      const has = ({ has, coming }: CopyState) => has.includes(digest) || coming.includes(digest);
      const could = ({ accepts, free, cannot }: CopyState) => accepts && free >= size && !cannot.includes(digest);
      const nodes = [...this.#states];
      return [{
        model,
        copies,
        digest,
        size,
        holders: [self, ...nodes.filter(([, state]) => has(state)).map(([id]) => id)],
        candidates: nodes.filter(([, state]) => !has(state) && could(state)).map(([id]) => id),
      }];
    });
  }

  #mayBegin(wish: ToldWish, free: number): boolean {
    const { self, models } = this.#options;
    if (models().some(({ digest }) => digest === wish.digest) || this.#cannot(wish.digest)) return false;
    if (wish.size > free || !keepersOf(wish).includes(self)) return false;
    // A name that is taken here means another file: others are told that this node is none for it.
    if (!models().some(({ id }) => id === wish.model)) return true;
    this.#fail(wish.digest);
    return false;
  }

  /** Whether a copy that is coming here is still wanted: by then the one who wishes counts this node among those that have it. */
  #isWanted({ copies, holders }: ToldWish): boolean {
    const { self } = this.#options;
    return new Set(holders.filter((id) => id !== self)).size < copies;
  }

  #begin({ model, digest }: ToldWish, from: NodeId): void {
    const stop = new AbortController();
    this.#options.logger.info("Fetches a copy of a model that the owner wishes for", { model, peer: from });
    const coming: Coming = { digest, from, stop, done: Promise.resolve() };
    this.#coming = coming;
    coming.done = this.#fetch({ model, digest }, { from, signal: stop.signal }).finally(() => {
      this.#coming = null;
    });
  }

  async #fetch(
    { model, digest }: Pick<ToldWish, "model" | "digest">,
    { from, signal }: { from: NodeId; signal: AbortSignal },
  ): Promise<void> {
    const { pull, models, logger } = this.#options;
    try {
      for await (const _progress of pull(model, { from, signal })) signal.throwIfAborted();
      if (!models().some((one) => one.digest === digest)) throw new Error("what came is another file");
      this.#failures.delete(digest);
    } catch (error) {
      if (signal.aborted) return;
      this.#fail(digest);
      logger.warn("A copy of a model could not be fetched", { model, name: shortId(from), reason: reasonOf(error) });
    }
  }

  /** Leaves a model to others for a while. */
  #fail(digest: string): void {
    const count = (this.#failures.get(digest)?.count ?? 0) + 1;
    this.#failures.delete(digest);
    this.#failures.set(digest, { count, until: this.#now() + Math.min(LATE_MS, SOON_MS * 2 ** (count - 1)) });
    const [oldest] = this.#failures.keys();
    if (this.#failures.size > MOST_FAILURES && oldest !== undefined) this.#failures.delete(oldest);
  }

  #cannot(digest: string): boolean {
    return this.#now() < (this.#failures.get(digest)?.until ?? -Infinity);
  }
}
