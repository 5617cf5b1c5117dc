import type { AuditEntry, UnplacedEntry } from "./audit_record.ts";
import { type Head, place } from "./chain.ts";
import { LINE_BYTES } from "./journal_lines.ts";
import { GROUP_BYTES } from "./recover.ts";

/** Lines that are committed together, made while those before them are on their way to the disk. */
export class Group {
  /** What they are. */
  readonly entries: AuditEntry[] = [];
  /** Number of its first entry. */
  readonly first: number;
  readonly #buffer: Uint8Array<ArrayBuffer>;
  #head: Head;
  #used = 0;

  /** Begins one behind `head` in a buffer of {@linkcode GROUP_BYTES}, which is its own until it is committed. */
  constructor(buffer: Uint8Array<ArrayBuffer>, head: Head) {
    this.#buffer = buffer;
    this.first = head.seq + 1;
    this.#head = head;
  }

  /** What the next entry would hang on. */
  get head(): Head {
    return this.#head;
  }

  /** Each with its line feed. */
  get bytes(): Uint8Array<ArrayBuffer> {
    return this.#buffer.subarray(0, this.#used);
  }

  /** Adds an entry, where there is room for it. */
  add(unplaced: UnplacedEntry): boolean {
    if (this.#used + LINE_BYTES > GROUP_BYTES) return false;
    const { entry, end } = place(unplaced, this.#head, { bytes: this.#buffer, at: this.#used });
    this.#used = end;
    this.#head = entry;
    this.entries.push(entry);
    return true;
  }
}
