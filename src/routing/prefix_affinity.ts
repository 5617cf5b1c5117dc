import { createHash } from "node:crypto";
import type { InferenceRequest } from "@ark/node/protocol";

/** Hashes of the beginnings of a prompt, each over one block more than the one before. */
export type PrefixChain = readonly string[];

/** Whose prompt it is, and for which model. */
export interface PrefixScope {
  /** State of a prompt is never shared between two principals. */
  readonly principal: string;
  /** SHA-256 of the model's file in hex, or its name where that is not known. */
  readonly model: string;
}

/** Tokens of a block. */
export const BLOCK_TOKENS = 64;
/** Bytes of text that stand for a block where the tokens are not known: four for each token, as in English. */
const BLOCK_BYTES = 256;
/** No longer chain is made: what lies behind 64 Ki tokens makes no difference to the choice. */
const MOST_BLOCKS = 1_024;
/** Blocks that are remembered of one who answers. */
const MOST_OF_ONE = 4_096;
/** Blocks that are remembered at all. */
const MOST = 65_536;
/** A cache is not thought to last longer, in milliseconds. */
const LASTING_MS = 600_000;

/**
 * The chain of a request: `h_0` is the first 8 bytes of SHA-256 over `"ark-prefix/1\n"` and the scope, `h_j` those over
 * `h_(j-1)` and block j; complete blocks only, in hex, without h_0. The request is not rendered yet: blocks are those of its
 * tools and messages in their order, as they are written into the prompt by any template. What is appended to a conversation
 * changes no block before it.
 */
export function prefixOfRequest({ input }: InferenceRequest, { principal, model }: PrefixScope): PrefixChain {
  const text = input.kind === "chat"
    ? [JSON.stringify(input.tools ?? []), ...input.messages.map((message) => JSON.stringify(message))].join("\n")
    : input.kind === "completion"
    ? typeof input.prompt === "string" ? input.prompt : input.prompt.join()
    : "";
  const bytes = new TextEncoder().encode(text.slice(0, MOST_BLOCKS * BLOCK_BYTES));
  const scope = new TextEncoder().encode(JSON.stringify([principal, model]));
  return chainOf(begin(scope), { bytes: bytes.subarray(0, MOST_BLOCKS * BLOCK_BYTES), size: BLOCK_BYTES });
}

/**
 * Who has the beginning of which prompt in its cache, as far as one can know: where it was sent lately. In memory only,
 * since a short hash of a guessable prompt confirms the guess to whoever sees it; bounded; forgotten after ten minutes.
 */
export class PrefixAffinity {
  readonly #clock: () => number;
  /** Of each who answers: hash of a block and when it was used last; the latest comes last. */
  readonly #known = new Map<string, Map<string, number>>();
  /** Who has a block: a look at the first one leaves few. */
  readonly #holders = new Map<string, Set<string>>();
  #size = 0;

  /** Makes one that knows nothing. The clock is monotonic, in milliseconds. */
  constructor({ clock = () => performance.now() }: { clock?: () => number } = {}) {
    this.#clock = clock;
  }

  /** Notes that one has read a prompt. */
  note(key: string, chain: PrefixChain): void {
    let blocks = this.#known.get(key);
    // The one that was used last comes last.
    this.#known.delete(key);
    this.#known.set(key, blocks ??= new Map());
    const now = this.#clock();
    for (const hash of chain) {
      if (!blocks.delete(hash)) {
        this.#size++;
        const holders = this.#holders.get(hash);
        if (holders === undefined) this.#holders.set(hash, new Set([key]));
        else holders.add(key);
      }
      blocks.set(hash, now);
    }
    this.#bound(key, blocks);
  }

  /** How many tokens of a prompt each has in its cache: only those who have any. */
  cached(chain: PrefixChain): ReadonlyMap<string, number> {
    const found = new Map<string, number>();
    const from = this.#clock() - LASTING_MS;
    for (const key of this.#holders.get(chain[0] ?? "") ?? []) {
      const blocks = this.#known.get(key);
      let count = 0;
      while (count < chain.length && (blocks?.get(chain[count] ?? "") ?? -Infinity) >= from) count++;
      if (count > 0) found.set(key, count * BLOCK_TOKENS);
    }
    return found;
  }

  /** Forgets what one has: it was restarted, or is not there any more. */
  forget(key: string): void {
    for (const hash of this.#known.get(key)?.keys() ?? []) this.#drop(key, hash);
    this.#known.delete(key);
  }

  /** How many blocks are remembered. */
  get size(): number {
    return this.#size;
  }

  #bound(key: string, blocks: Map<string, number>): void {
    for (const hash of blocks.keys()) {
      if (blocks.size <= MOST_OF_ONE) break;
      blocks.delete(hash);
      this.#drop(key, hash);
    }
    for (const [other, its] of this.#known) {
      for (const hash of its.keys()) {
        if (this.#size <= MOST) return;
        its.delete(hash);
        this.#drop(other, hash);
      }
      if (its.size === 0) this.#known.delete(other);
    }
  }

  #drop(key: string, hash: string): void {
    this.#size--;
    const holders = this.#holders.get(hash);
    holders?.delete(key);
    if (holders?.size === 0) this.#holders.delete(hash);
  }
}

function begin(scope: Uint8Array): Uint8Array {
  return createHash("sha256").update("ark-prefix/1\n").update(scope).digest().subarray(0, 8);
}

function chainOf(first: Uint8Array, { bytes, size }: { bytes: Uint8Array; size: number }): PrefixChain {
  const chain: string[] = [];
  let before = first;
  for (let at = 0; at + size <= bytes.length; at += size) {
    before = createHash("sha256").update(before).update(bytes.subarray(at, at + size)).digest().subarray(0, 8);
    chain.push(before.toHex());
  }
  return chain;
}
