import { Buffer } from "node:buffer";
import type { TLSSocket } from "node:tls";
import type { NodeId } from "@ark/node/identity";
import { AnswerWriter } from "./answer_writer.ts";
import { type MeshHead, readMeshHead } from "./mesh_head.ts";
import type { MeshLimits } from "./mesh_limits.ts";
import type { BodySource, SignedRequest } from "./mesh_request.ts";
import { NOT_ALLOWED } from "./refusal.ts";
import { plainAddress } from "./source_limiter.ts";

/** What a {@linkcode MeshConnection} needs of its listener. */
export interface ConnectionOwner {
  /** Times and sizes. */
  readonly limits: MeshLimits;
  /** Told of the head of a request. It answers, refuses or accepts it; what it throws closes the connection. */
  asked(connection: MeshConnection, head: MeshHead): void;
  /** Told of what is no request, or none that is allowed, or comes too late. */
  malformed(connection: MeshConnection): void;
  /** Told when it is closed. */
  closed(connection: MeshConnection): void;
}

const NOTHING = Buffer.alloc(0);
const BLANK_LINE = "\r\n\r\n";
/** How a caller ends a connection without a word. */
const HANG_UPS: ReadonlySet<string | undefined> = new Set(["ECONNRESET", "EPIPE"]);

/**
 * One connection of a peer, and HTTP/1.1 on it: it carries one request at a time.
 *
 * | state | what comes | then |
 * |---|---|---|
 * | `head` | a head, perhaps behind the rest of a body that nobody wanted | `answering`, or the connection is closed |
 * | `answering` | the body, and nothing else | `head` as soon as the last bytes of the answer go out |
 * | `over` | nothing that counts: the caller was turned away and gets to read why | closed |
 *
 * Own code instead of `node:https`, which makes a dozen objects and as many turns of each request: between two requests that
 * come some time apart none of that is in the processor's caches, and it took a third of the round trip.
 */
export class MeshConnection implements BodySource {
  /** IP address of the caller. */
  readonly remote: string;
  /** Where answers go. */
  readonly writer: AnswerWriter;
  /** The socket, which stands for the connection elsewhere. */
  readonly socket: TLSSocket;
  /** Whose key proved itself last. */
  provenBy: NodeId | null = null;
  readonly #owner: ConnectionOwner;
  #state: "head" | "answering" | "over" = "head";
  /** What has come of a head that is not complete. */
  #text = "";
  /** What came behind the head at hand. */
  #rest = NOTHING;
  /** Bytes of the body that are still to come, and who takes them. */
  #left = 0;
  #body: SignedRequest | null = null;
  /** The one that is being answered, and the one whose answer was written and may not be taken yet. */
  #request: SignedRequest | null = null;
  #sending: SignedRequest | null = null;
  /** Whether nothing follows the answer at hand. */
  #last = false;
  /** Monotonic times in milliseconds: when the first byte of a head came that was not complete then, and when it is closed. */
  #began = 0;
  #until: number;
  /** Whether it was kept after an answer, and nothing came since. */
  #kept = false;
  /** What whoever was turned away may still send, in bytes, and whether he was told. */
  #allowance = 0;
  #told = false;
  #linger: ReturnType<typeof setTimeout> | undefined;

  /** Takes over a connection that has shaken hands. */
  constructor(socket: TLSSocket, owner: ConnectionOwner) {
    this.socket = socket;
    this.#owner = owner;
    this.remote = plainAddress(socket.remoteAddress ?? "");
    this.#until = performance.now() + owner.limits.headersMs;
    this.writer = new AnswerWriter(socket, { ended: () => this.#answered(), sent: () => this.#sent() });
    socket.on("data", (bytes: Buffer<ArrayBuffer>) => this.#arrived(bytes));
    socket.on("end", () => this.#ended());
    socket.on("error", (error: NodeJS.ErrnoException) => {
      // A caller that hangs up is no attack.
      if (!HANG_UPS.has(error.code)) owner.malformed(this);
      socket.destroy();
    });
    socket.once("close", () => this.#closed());
  }

  /** How long a body may take that is waited for, in milliseconds. */
  get bodyMs(): number {
    return this.#owner.limits.requestMs;
  }

  /** Closes it at once. */
  close(): void {
    this.socket.destroy();
  }

  /** Closes it where something takes too long. */
  look(now: number): void {
    if (this.writer.stalled(now, { stallMs: this.#owner.limits.writeStallMs })) return this.close();
    if (now < this.#until) return;
    if (!this.#kept) this.#owner.malformed(this);
    this.close();
  }

  /** Takes the body of the request at hand for this one, and tells it when its caller has left. */
  accept(request: SignedRequest): void {
    this.#request = request;
    if (this.#left === 0) return;
    this.#body = request;
    this.#rest = this.#feed(this.#rest);
  }

  /** What the head of the answer at hand says where it is the last one. */
  get farewell(): string {
    return this.#last ? "connection: close\r\n" : "";
  }

  /**
   * Answers the request at hand, and takes nothing more. Closing while the body still arrives would reset the connection and
   * lose the answer.
   */
  turnAway(answer: Uint8Array | string): void {
    if (this.socket.destroyed) return;
    this.#over();
    this.#request = null;
    this.#body?.cut();
    this.#body = null;
    this.#linger = setTimeout(() => this.close(), this.#owner.limits.lingerMs);
    // Deno 2.9 never finishes an answer over TLS that is ended while its last bytes are being written.
    this.socket.write(answer, () => this.#hangUp());
  }

  get #isOver(): boolean {
    return this.#state === "over";
  }

  #arrived(bytes: Buffer<ArrayBuffer>): void {
    let rest = bytes;
    do rest = this.#take(rest); while (rest.length > 0 && !this.socket.destroyed);
  }

  /** Takes some bytes, and returns what has to be looked at again. */
  #take(bytes: Buffer<ArrayBuffer>): Buffer<ArrayBuffer> {
    if (this.#isOver) return this.#ignore(bytes.length);
    if (this.#left > 0) return this.#feed(bytes);
    if (this.#state === "answering") {
      this.close();
      return NOTHING;
    }
    const { headersMs, requestMs, headerBytes } = this.#owner.limits;
    const before = this.#text.length;
    const most = headerBytes + BLANK_LINE.length;
    const text = this.#text + bytes.toString("latin1", 0, most - before);
    const end = text.indexOf(BLANK_LINE, Math.max(0, before - BLANK_LINE.length + 1));
    if (end === -1) {
      if (text.length === most) return this.#malformed();
      // The time of a head begins with its first byte.
      if (before === 0) {
        this.#began = performance.now();
        this.#until = this.#began + headersMs;
      }
      this.#kept = false;
      this.#text = text;
      return NOTHING;
    }
    this.#text = "";
    this.#kept = false;
    this.#until = Infinity;
    const head = readMeshHead(text.slice(0, end + 2));
    if (head === "malformed") return this.#malformed();
    this.#rest = bytes.subarray(end + BLANK_LINE.length - before);
    this.#begin(head);
    const rest = this.#rest;
    this.#rest = NOTHING;
    // A body that came with its head is complete by now, or will be in a moment.
    if (this.#left > rest.length && !this.#isOver) {
      this.#until = (before === 0 ? performance.now() : this.#began) + requestMs;
    }
    return rest;
  }

  #begin(head: MeshHead | "not_allowed"): void {
    this.#state = "answering";
    if (head === "not_allowed") {
      this.#owner.malformed(this);
      return this.turnAway(NOT_ALLOWED);
    }
    this.#left = head.contentLength;
    this.#last = head.last;
    this.#owner.asked(this, head);
  }

  /** Gives the body what belongs to it, and returns the rest. */
  #feed(bytes: Buffer<ArrayBuffer>): Buffer<ArrayBuffer> {
    const count = Math.min(bytes.length, this.#left);
    if (count === 0) return bytes;
    this.#left -= count;
    this.#body?.arrive(new Uint8Array(bytes.buffer, bytes.byteOffset, count));
    if (this.#left === 0) {
      this.#body = null;
      if (this.#state === "head") this.#keep();
      else this.#until = Infinity;
    }
    return bytes.subarray(count);
  }

  #ignore(count: number): Buffer<ArrayBuffer> {
    this.#left = Math.max(0, this.#left - count);
    this.#allowance -= count;
    // Nobody who keeps to the rules sends more than this, and taking it in would cost time until the end.
    if (this.#allowance < 0) this.close();
    else if (this.#told) this.#hangUp();
    return NOTHING;
  }

  #malformed(): Buffer<ArrayBuffer> {
    // Nothing that comes yet is looked at.
    this.#over();
    this.#owner.malformed(this);
    this.close();
    return NOTHING;
  }

  /** The last bytes of an answer go out: whoever has them may ask again. */
  #answered(): void {
    this.#sending = this.#request;
    this.#request = null;
    if (this.#last) return this.#over();
    this.#state = "head";
    if (this.#left === 0) this.#keep();
  }

  #keep(): void {
    this.#kept = true;
    this.#until = performance.now() + this.#owner.limits.keepAliveMs;
  }

  #sent(): void {
    this.#sending = null;
    if (this.#isOver) this.#hangUp();
  }

  #over(): void {
    this.#state = "over";
    this.#until = Infinity;
    this.#allowance = this.#owner.limits.bodyBytes;
  }

  /** Closes it when he who was turned away was told and has said all that he wanted. */
  #hangUp(): void {
    if (this.socket.destroyed) return;
    this.#told = true;
    // Whatever the caller does, or leaves undone.
    this.#linger ??= setTimeout(() => this.close(), this.#owner.limits.lingerMs);
    if (this.#left === 0 && this.socket.writable) this.socket.destroySoon();
  }

  #ended(): void {
    // Nobody stays who has nothing more to say: that is how peers hang up.
    if (!this.#isOver) return this.close();
    this.#left = 0;
    if (this.#told) this.#hangUp();
  }

  #closed(): void {
    clearTimeout(this.#linger);
    this.writer.close();
    this.#body?.cut();
    this.#request?.leave();
    this.#sending?.leave();
    this.#owner.closed(this);
  }
}
