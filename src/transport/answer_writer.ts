import { Buffer } from "node:buffer";
import type { Writable } from "node:stream";
import { chunkOf } from "./chunk_sink.ts";
import { joined } from "./joined.ts";
import type { ByteSink } from "./socket_writer.ts";

/** What the owner of an {@linkcode AnswerWriter} is told. */
export interface AnswerEvents {
  /** The last bytes of an answer are about to go out: who has them may ask again. */
  ended(): void;
  /** Everything that was written was taken. */
  sent(): void;
}

const LAST_CHUNK = "0\r\n\r\n";

/**
 * Writes the answers of one connection, one after the other: the head together with the first bytes of the body, and all of a
 * short answer in one write. Where the connection is closed it drops what is written, and nobody waits any more.
 */
export class AnswerWriter implements ByteSink {
  readonly #socket: Writable;
  readonly #events: AnswerEvents;
  /** Of the answer that begins, as long as nothing of it was written. */
  #head = "";
  /** Bytes of a body of a stated length that are still to come; -1 where it is in chunks. */
  #left = -1;
  /** Writes that were not taken yet, and how many were. */
  #pending = 0;
  #taken = 0;
  #gone = false;
  #emptied: PromiseWithResolvers<void> | null = null;
  /** What {@linkcode stalled} saw last. */
  #seen = 0;
  #since = -1;

  /** Writes to a socket. */
  constructor(socket: Writable, events: AnswerEvents) {
    this.#socket = socket;
    this.#events = events;
  }

  /** Whether everything was taken. */
  get idle(): boolean {
    return this.#pending === 0;
  }

  /** Whether the connection is closed. */
  get gone(): boolean {
    return this.#gone;
  }

  /** Whether anything of the answer at hand was written. */
  get begun(): boolean {
    return this.#head === "";
  }

  /** Begins an answer whose head is this. With a length its body is passed, without one written. */
  begin(head: string, length = -1): void {
    this.#head = head;
    this.#left = length;
  }

  /** Sends the head, where it has not been sent. */
  flush(): void {
    if (this.#left === 0) this.#end();
    const head = this.#takeHead();
    if (head !== "") this.#send(head);
  }

  /** Writes bytes as one chunk. */
  write(bytes: Uint8Array): Promise<void> | null {
    if (bytes.length === 0 || this.#gone) return null;
    return this.#send(chunkOf(bytes, { before: this.#takeHead() })) ? null : this.emptied();
  }

  /** Writes the last bytes, as one chunk, and the end of a body in chunks. */
  end(last?: Uint8Array): void {
    if (this.#gone) return;
    this.#end();
    const before = this.#takeHead();
    this.#send(last === undefined ? before + LAST_CHUNK : chunkOf(last, { before, behind: LAST_CHUNK }));
  }

  /** Writes bytes of a body whose length was stated; the last of them end it. */
  pass(bytes: Uint8Array): void {
    if (bytes.length === 0 || this.#gone) return;
    this.#left -= bytes.length;
    if (this.#left === 0) this.#end();
    const head = this.#takeHead();
    this.#send(head === "" ? bytes : joined([Buffer.from(head, "latin1"), bytes]));
  }

  /** Resolves when everything was taken, or the connection is closed. */
  emptied(): Promise<void> {
    if (this.#pending === 0 || this.#gone) return Promise.resolve();
    return (this.#emptied ??= Promise.withResolvers<void>()).promise;
  }

  /** Told when the connection is closed. */
  close(): void {
    this.#gone = true;
    this.#emptied?.resolve();
  }

  /** Whether nothing was taken of what waits for so many milliseconds, as far as can be told from when it is asked. */
  stalled(now: number, { stallMs }: { stallMs: number }): boolean {
    if (this.#pending === 0) this.#since = -1;
    else if (this.#since === -1 || this.#seen !== this.#taken) this.#since = now;
    this.#seen = this.#taken;
    return this.#since !== -1 && now - this.#since >= stallMs;
  }

  #takeHead(): string {
    const head = this.#head;
    this.#head = "";
    return head;
  }

  #end(): void {
    this.#left = -1;
    this.#events.ended();
  }

  #send(bytes: Uint8Array | string): boolean {
    if (this.#gone) return true;
    this.#pending++;
    return typeof bytes === "string"
      ? this.#socket.write(bytes, "latin1", this.#wrote)
      : this.#socket.write(bytes, this.#wrote);
  }

  readonly #wrote = (error?: Error | null): void => {
    // The connection is about to close.
    if (error) return;
    this.#taken++;
    if (--this.#pending > 0) return;
    this.#emptied?.resolve();
    this.#emptied = null;
    this.#events.sent();
  };
}
