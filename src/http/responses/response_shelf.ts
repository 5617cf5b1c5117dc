import type { Message } from "@ark/node/protocol";

/** An answer that later requests of its sender may go on from. */
export interface KeptResponse {
  /** `resp_…` */
  readonly id: string;
  /** The response as it was sent, as JSON. */
  readonly body: string;
  /** Items of its own input with their ids, oldest first, as JSON. */
  readonly items: string;
  /** The conversation up to and with the answer, without instructions. */
  readonly messages: readonly Message[];
  /** Whether it was asked for on the condition that it stays on this machine. */
  readonly localOnly: boolean;
}

/** Options of {@linkcode ResponseShelf}. */
export interface ResponseShelfOptions {
  /** Most bytes of all answers together. @default {64 MiB} */
  mostBytes?: number;
  /** Most bytes of one sender's. @default {16 MiB} */
  mostBytesEach?: number;
  /** Most answers of one sender. @default {1,000} */
  mostEach?: number;
  /** How long one is kept after its last use, in milliseconds. @default {a day} */
  lifetimeMs?: number;
  /** Monotonic time in milliseconds. */
  now?: () => number;
}

interface Held {
  kept: KeptResponse;
  bytes: number;
  usedAt: number;
}

interface Row {
  /** The one that was not used for longest first. */
  held: Map<string, Held>;
  bytes: number;
}

/** What an object takes beside its text, about. */
const OVERHEAD = 256;

/**
 * Keeps answers, so that a request can name one and go on from it. It keeps them in memory and nowhere else: a disk is
 * copied, backed up and sold, and a prompt is nobody's but its sender's. So they are gone when the node stops, at the latest
 * a day after their last use (seen at the next request), and earlier where there are too many: whoever has most loses
 * first, so that nobody can push out another's.
 *
 * What one sender stored, no other sender can find, and none can guess: an id has 122 random bits and counts for its sender
 * alone. Senders without a key are one sender, the owner.
 */
export class ResponseShelf {
  readonly #options: Required<ResponseShelfOptions>;
  readonly #rows = new Map<string | null, Row>();
  #bytes = 0;

  /** Makes an empty one. */
  constructor(options: ResponseShelfOptions = {}) {
    this.#options = {
      mostBytes: 64 << 20,
      mostBytesEach: 16 << 20,
      mostEach: 1_000,
      lifetimeMs: 24 * 60 * 60 * 1_000,
      now: () => performance.now(),
      ...options,
    };
  }

  /** Bytes of all answers together, about. */
  get bytes(): number {
    return this.#bytes;
  }

  /** Keeps an answer. One that is too large for a sender's share is not kept. */
  put(sender: string | null, kept: KeptResponse): void {
    const { mostBytes, mostBytesEach, mostEach, now } = this.#options;
    const bytes = bytesOf(kept);
    this.delete(sender, kept.id);
    if (bytes > Math.min(mostBytesEach, mostBytes)) return;
    const row = this.#rows.get(sender) ?? { held: new Map(), bytes: 0 };
    this.#rows.set(sender, row);
    this.#add(row, { kept, bytes, usedAt: now() });
    while (row.bytes > mostBytesEach || row.held.size > mostEach) this.#dropFirst(sender, row);
    while (this.#bytes > mostBytes) {
      const [largest] = [...this.#rows].sort(([, a], [, b]) => b.bytes - a.bytes);
      if (largest === undefined) return;
      this.#dropFirst(...largest);
    }
  }

  /** An answer of this sender, or undefined. */
  get(sender: string | null, id: string): KeptResponse | undefined {
    this.#dropOld();
    const row = this.#rows.get(sender);
    const held = row?.held.get(id);
    if (row === undefined || held === undefined) return undefined;
    row.held.delete(id);
    row.held.set(id, { ...held, usedAt: this.#options.now() });
    return held.kept;
  }

  /** Forgets an answer of this sender. False where there is none. */
  delete(sender: string | null, id: string): boolean {
    this.#dropOld();
    const row = this.#rows.get(sender);
    return row !== undefined && this.#drop(sender, { row, id });
  }

  #add(row: Row, held: Held): void {
    row.held.set(held.kept.id, held);
    row.bytes += held.bytes;
    this.#bytes += held.bytes;
  }

  #dropOld(): void {
    const since = this.#options.now() - this.#options.lifetimeMs;
    for (const [sender, row] of this.#rows) {
      for (const [id, { usedAt }] of row.held) {
        if (usedAt > since) break;
        this.#drop(sender, { row, id });
      }
    }
  }

  #dropFirst(sender: string | null, row: Row): void {
    const [id] = row.held.keys();
    if (id !== undefined) this.#drop(sender, { row, id });
  }

  #drop(sender: string | null, { row, id }: { row: Row; id: string }): boolean {
    const held = row.held.get(id);
    if (held === undefined) return false;
    row.held.delete(id);
    row.bytes -= held.bytes;
    this.#bytes -= held.bytes;
    if (row.held.size === 0) this.#rows.delete(sender);
    return true;
  }
}

/** Each answer counts the whole conversation before it, although they share it: what is counted is never too little. */
function bytesOf({ body, items, messages }: KeptResponse): number {
  let characters = body.length + items.length;
  let objects = 1 + messages.length;
  for (const { content, reasoning = "", tool_calls = [] } of messages) {
    characters += content.length + reasoning.length;
    for (const call of tool_calls) {
      objects++;
      characters += call.arguments.length + call.name.length + call.id.length;
    }
  }
  return 2 * characters + OVERHEAD * objects;
}
