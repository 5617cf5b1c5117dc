import { Buffer } from "node:buffer";
import { fieldOf } from "./field_line.ts";
import { joined } from "./joined.ts";

/** The head of an HTTP/1 request. */
export interface RequestHead {
  /** Such as `POST`. */
  readonly method: string;
  /** As it was sent: a path with its query, or a whole address. */
  readonly target: string;
  /** Header fields, several of one name joined. */
  readonly headers: Headers;
  /** Bytes of the body, -1 where it comes in chunks. */
  readonly length: number;
  /** Whether the connection may carry another request afterwards. */
  readonly keepAlive: boolean;
  /** Whether the sender waits to be told that the body is welcome. */
  readonly waits: boolean;
  /** Whether it knows no chunks (HTTP/1.0). */
  readonly old: boolean;
}

/** A request that is no HTTP/1.1 that this node accepts; `status` says so to its sender. */
export class RequestFault extends Error {
  /** HTTP status. */
  readonly status: 400 | 431 | 505;

  /** Makes a fault. */
  constructor(status: 400 | 431 | 505, message: string) {
    super(message);
    this.status = status;
  }
}

/** What a {@linkcode RequestReader} reads from. */
export interface ReadableConnection {
  /** Reads some bytes; null at the end. */
  read(buffer: Uint8Array): Promise<number | null>;
}

const FIRST_BYTES = 8 << 10;
const MOST_HEAD_BYTES = 64 << 10;
const MOST_FIELDS = 256;
const PIECE_BYTES = 64 << 10;
const MOST_SIZE_LINE = 18;
const CR = 13;
const LF = 10;

const REQUEST_LINE = /^([!#$%&'*+.^_`|~0-9A-Za-z-]{1,32}) ([\x21-\x7e]+) HTTP\/(\d)\.(\d)$/;
const LENGTH = /^\d{1,15}$/;
const CHUNK_SIZE = /^[0-9a-fA-F]{1,12}$/;

/**
 * Reads HTTP/1 requests from a connection, one after the other. Strict where two readers could understand two things: one
 * length, no line that goes on in the next, no space before a colon, nothing but `chunked` as an encoding, no extension of
 * a chunk, no trailers.
 */
export class RequestReader {
  readonly #connection: ReadableConnection;
  #buffer = new Uint8Array(FIRST_BYTES);
  #start = 0;
  #end = 0;
  /** Bytes of the body, or of the current chunk, that are still to come. */
  #left = 0;
  #chunked = false;
  #state: "head" | "size" | "chunk" | "chunk-end" | "last" | "body" | "done" = "head";
  #watching: Promise<void> | null = null;
  #ended = false;

  /** Reads from a connection. */
  constructor(connection: ReadableConnection) {
    this.#connection = connection;
  }

  /** Whether the body of the last request was read to its end. */
  get done(): boolean {
    return this.#state === "done";
  }

  /** Whether nothing of a next request has come yet. */
  get idle(): boolean {
    return this.#start === this.#end;
  }

  /** Whether the whole body has come already. */
  get arrived(): boolean {
    return this.#state === "done" || (this.#state === "body" && this.#end - this.#start >= this.#left);
  }

  /**
   * The next head; null where the connection ends instead.
   *
   * @throws {RequestFault}
   */
  async head(): Promise<RequestHead | null> {
    this.#state = "head";
    // An empty line before a request belongs to none (RFC 9112, 2.2).
    let from = this.#start;
    for (;;) {
      while (this.#buffer[this.#start] === CR && this.#buffer[this.#start + 1] === LF && this.#end - this.#start >= 2) {
        this.#start += 2;
      }
      const end = blankLine(this.#buffer.subarray(0, this.#end), Math.max(this.#start, from));
      if (end !== -1) {
        const text = latin1(this.#buffer.subarray(this.#start, end));
        this.#start = end + 4;
        return this.#take(text);
      }
      if (this.#end - this.#start >= MOST_HEAD_BYTES) throw new RequestFault(431, "The header is too long");
      const held = this.#end - this.#start;
      from = Math.max(0, held - 3);
      if (!await this.#more()) return null;
    }
  }

  /** The next bytes of the body; null at its end. Rejects when the connection ends before the body does. */
  async body(): Promise<Uint8Array<ArrayBuffer> | null> {
    for (;;) {
      const bytes = this.#chunked ? this.#chunk() : this.#takeUpTo();
      if (bytes.length > 0) return bytes;
      if (this.done) return null;
      if (this.#chunked || this.#watching !== null) {
        if (!await this.#more()) throw new Error("The connection ended before the body did");
        continue;
      }
      const piece = new Uint8Array(Math.min(PIECE_BYTES, this.#left));
      const count = await this.#connection.read(piece);
      if (count === null) throw new Error("The connection ended before the body did");
      this.#left -= count;
      if (this.#left === 0) this.#state = "done";
      if (count > 0) return piece.subarray(0, count);
    }
  }

  /** The whole body, whose length was stated. Rejects when the connection ends before it does. */
  async whole(): Promise<Uint8Array<ArrayBuffer>> {
    const length = this.#left;
    const first = this.#takeUpTo();
    if (first.length === length) return first;
    // Memory for what is announced is not taken before it is there.
    const pieces = [first];
    for (let piece = await this.body(); piece !== null; piece = await this.body()) pieces.push(piece);
    return joined(pieces);
  }

  /** Calls `left` when the connection ends while nothing is read from it; what comes instead is kept for the next head. */
  watch(left: () => void): void {
    if (this.#ended) return left();
    if (this.#watching !== null || this.#end - this.#start >= FIRST_BYTES) return;
    this.#watching = this.#fill().then((more) => {
      this.#watching = null;
      if (!more) left();
      else this.watch(left);
    }, () => {
      this.#watching = null;
      this.#ended = true;
      left();
    });
  }

  #take(text: string): RequestHead {
    const [first = "", ...lines] = text.split("\r\n");
    const [, method, target, major, minor] = REQUEST_LINE.exec(first) ?? [];
    if (method === undefined || target === undefined) throw new RequestFault(400, "The request line is none");
    if (major !== "1" || (minor !== "0" && minor !== "1")) throw new RequestFault(505, "The version is not HTTP/1.1");
    if (lines.length > MOST_FIELDS) throw new RequestFault(431, "There are too many header fields");
    const headers = new Headers();
    for (const line of lines) {
      const field = fieldOf(line, { latin1: true });
      if (field === null) throw new RequestFault(400, "A header field is none");
      const { name, value } = field;
      // Two of them, joined, would be a name of neither.
      if (/^host$/i.test(name) && headers.has("host")) throw new RequestFault(400, "There are two hosts");
      headers.append(name, value);
    }
    const old = minor === "0";
    const connection = headers.get("connection") ?? "";
    const length = this.#frame(headers, old);
    return {
      method,
      target,
      headers,
      length,
      keepAlive: !old && !/\bclose\b/i.test(connection),
      waits: !old && /^100-continue$/i.test(headers.get("expect") ?? ""),
      old,
    };
  }

  #frame(headers: Headers, old: boolean): number {
    const encoding = headers.get("transfer-encoding");
    const length = headers.get("content-length");
    if (encoding !== null) {
      // Both at once is how requests are smuggled through proxies.
      if (old || length !== null || encoding.toLowerCase() !== "chunked") {
        throw new RequestFault(400, "The length of the body is ambiguous");
      }
      this.#chunked = true;
      this.#state = "size";
      return -1;
    }
    if (length !== null && !LENGTH.test(length)) throw new RequestFault(400, "The length of the body is none");
    this.#chunked = false;
    this.#left = Number(length ?? 0);
    this.#state = this.#left === 0 ? "done" : "body";
    return this.#left;
  }

  #chunk(): Uint8Array<ArrayBuffer> {
    for (;;) {
      if (this.#state === "chunk") {
        const bytes = this.#takeUpTo();
        if (this.#left === 0) this.#state = "chunk-end";
        if (bytes.length > 0 || this.#left > 0) return bytes;
        continue;
      }
      if (this.#state === "done") return NOTHING;
      const line = this.#line();
      if (line === null) return NOTHING;
      if (this.#state === "size") {
        if (!CHUNK_SIZE.test(line)) throw new RequestFault(400, "The size of a chunk is none");
        this.#left = parseInt(line, 16);
        this.#state = this.#left === 0 ? "last" : "chunk";
      } else {
        if (line !== "") throw new RequestFault(400, "A chunk does not end where it should");
        this.#state = this.#state === "last" ? "done" : "size";
      }
    }
  }

  #takeUpTo(): Uint8Array<ArrayBuffer> {
    const bytes = this.#buffer.slice(this.#start, Math.min(this.#end, this.#start + this.#left));
    this.#start += bytes.length;
    this.#left -= bytes.length;
    if (this.#state === "body" && this.#left === 0) this.#state = "done";
    return bytes;
  }

  #line(): string | null {
    const end = this.#buffer.subarray(0, this.#end).indexOf(LF, this.#start);
    if (end === -1) {
      if (this.#end - this.#start > MOST_SIZE_LINE) throw new RequestFault(400, "The size of a chunk is none");
      return null;
    }
    if (end === this.#start || this.#buffer[end - 1] !== CR || end - this.#start > MOST_SIZE_LINE) {
      throw new RequestFault(400, "A line does not end as it should");
    }
    const line = latin1(this.#buffer.subarray(this.#start, end - 1));
    this.#start = end + 1;
    return line;
  }

  /** Waits for more bytes, those that a watch is waiting for first; false at the end. */
  async #more(): Promise<boolean> {
    if (this.#watching === null) return !this.#ended && await this.#fill();
    await this.#watching;
    return !this.#ended;
  }

  async #fill(): Promise<boolean> {
    if (this.#start > 0) this.#buffer.copyWithin(0, this.#start, this.#end);
    this.#end -= this.#start;
    this.#start = 0;
    if (this.#end === this.#buffer.length) {
      const larger = new Uint8Array(2 * this.#buffer.length);
      larger.set(this.#buffer);
      this.#buffer = larger;
    }
    const count = await this.#connection.read(this.#buffer.subarray(this.#end));
    if (count === null) {
      this.#ended = true;
      return false;
    }
    this.#end += count;
    return true;
  }
}

const NOTHING = new Uint8Array(0);

function blankLine(bytes: Uint8Array, from: number): number {
  for (let at = bytes.indexOf(CR, from); at !== -1; at = bytes.indexOf(CR, at + 1)) {
    if (bytes[at + 1] === LF && bytes[at + 2] === CR && bytes[at + 3] === LF) return at;
  }
  return -1;
}

function latin1(bytes: Uint8Array): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length).toString("latin1");
}
