import { ArkError } from "@ark/node/protocol";
import type { ProvenHead } from "./authenticator.ts";
import { TLS_NAME } from "./certificate.ts";
import { contentDigest } from "./message_signature.ts";

/**
 * What the handler of a mesh listener gets of a request: the same as in a web `Request`, so that one of these will do in its
 * place. Its header fields are those that the signature covers: nothing else can change what a request means.
 */
export type MeshRequest = Pick<
  Request,
  "method" | "url" | "headers" | "signal" | "body" | "text" | "json" | "bytes" | "arrayBuffer"
>;

/** Where a body comes from. */
export interface BodySource {
  /** How long a body may take that is waited for, in milliseconds. */
  readonly bodyMs: number;
  /** Closes the connection that it comes on. */
  close(): void;
}

const NOTHING = new Uint8Array(0);
const DECODER = new TextDecoder();

/**
 * The whole body of a signed request, compared with its digest: as `request.arrayBuffer()` gives it, without the turns of a
 * stream. Null where the request came by another way, has no body, or its body was read already.
 */
export function signedBody(request: MeshRequest): Promise<Uint8Array<ArrayBuffer>> | null {
  return request instanceof SignedRequest && request.unread ? request.whole() : null;
}

/** The address of a request to this node. */
export function urlOf(head: { target: string }): string {
  return `https://${TLS_NAME}${head.target}`;
}

/**
 * A request whose head was proven. What few handlers look at is made when somebody does: a web `Request` with all its parts
 * takes longer than everything else about a short question.
 *
 * Its body is collected as it arrives, then compared with the signed digest, and only then given out: no unverified byte gets
 * through. Reading it fails with `ArkError` `unauthenticated` when the body is not the signed one, and `unavailable` when it
 * does not arrive in time or the caller is gone.
 */
export class SignedRequest implements MeshRequest {
  readonly method: string;
  readonly url: string;
  /** What was signed. */
  readonly head: ProvenHead;
  readonly #source: BodySource;
  #bytes: Uint8Array<ArrayBuffer> = NOTHING;
  #count = 0;
  #forged = false;
  #unread: boolean;
  #wanted = true;
  /** Whether nothing more of the body comes. */
  #cut = false;
  #left = false;
  #waiting: PromiseWithResolvers<void> | null = null;
  #headers: Headers | null = null;
  #stream: ReadableStream<Uint8Array<ArrayBuffer>> | null = null;
  #gone: AbortController | null = null;

  /** Makes the request of a head; its body arrives later. */
  constructor(head: ProvenHead, source: BodySource) {
    this.method = head.method;
    this.url = urlOf(head);
    this.head = head;
    this.#source = source;
    this.#unread = head.contentLength > 0;
  }

  /** Whether there is a body that nobody has begun to read yet. */
  get unread(): boolean {
    return this.#unread;
  }

  /** Whether the body was read and is not the one that was signed. */
  get forged(): boolean {
    return this.#forged;
  }

  /** Whether the caller went away before it had its answer. */
  get left(): boolean {
    return this.#left;
  }

  get headers(): Headers {
    const { contentType, contentLength, deadlineMs } = this.head;
    return this.#headers ??= new Headers({
      "content-type": contentType,
      "content-length": String(contentLength),
      "ark-deadline": String(deadlineMs),
    });
  }

  get signal(): AbortSignal {
    if (this.#gone === null) {
      this.#gone = new AbortController();
      if (this.#left) this.#gone.abort(wentAway());
    }
    return this.#gone.signal;
  }

  get body(): ReadableStream<Uint8Array<ArrayBuffer>> | null {
    if (this.head.contentLength === 0) return null;
    return this.#stream ??= new ReadableStream<Uint8Array<ArrayBuffer>>({
      pull: async (controller) => {
        controller.enqueue(await this.whole());
        controller.close();
      },
      cancel: () => this.unwanted(),
    }, { highWaterMark: 0 });
  }

  async text(): Promise<string> {
    return DECODER.decode(await this.whole());
  }

  // deno-lint-ignore no-explicit-any -- As a web request has it.
  async json(): Promise<any> {
    return JSON.parse(await this.text());
  }

  bytes(): Promise<Uint8Array<ArrayBuffer>> {
    return this.whole();
  }

  async arrayBuffer(): Promise<ArrayBuffer> {
    // It may lie among the bytes that it came with.
    return (await this.whole()).slice().buffer;
  }

  /** Waits for the body and compares it; once. */
  async whole(): Promise<Uint8Array<ArrayBuffer>> {
    const { contentLength, contentDigest: digest } = this.head;
    if (contentLength === 0) return NOTHING;
    if (!this.#unread || !this.#wanted) throw new TypeError("Cannot read the body: it was read already");
    this.#unread = false;
    if (this.#count < contentLength) await this.#arrival();
    const body = this.#bytes;
    this.#bytes = NOTHING;
    if (contentDigest(body) === digest) return body;
    this.#forged = true;
    throw new ArkError("unauthenticated", "The body is not the one that the caller signed");
  }

  /** Takes the next bytes of the body, which are never more than the head announces. */
  arrive(bytes: Uint8Array<ArrayBuffer>): void {
    if (!this.#wanted) return;
    const { contentLength } = this.head;
    if (bytes.length === contentLength) this.#bytes = bytes;
    else {
      // Not kept as they come: each may be a byte alone in memory of its own.
      if (this.#count === 0) this.#bytes = new Uint8Array(contentLength);
      this.#bytes.set(bytes, this.#count);
    }
    this.#count += bytes.length;
    if (this.#count === contentLength) this.#waiting?.resolve();
  }

  /** Lets a body be that nobody has begun to read: what comes of it is dropped. */
  unwanted(): void {
    if (!this.#unread) return;
    this.#wanted = false;
    this.#bytes = NOTHING;
  }

  /** Told when the connection is closed: a body that is not complete never will be. */
  cut(): void {
    this.#cut = true;
    this.#waiting?.reject(brokenOff());
  }

  /** Told when the caller went away before it had its answer. */
  leave(): void {
    this.#left = true;
    this.#gone?.abort(wentAway());
  }

  async #arrival(): Promise<void> {
    if (this.#cut) throw brokenOff();
    const { promise, reject } = this.#waiting = Promise.withResolvers<void>();
    const timer = setTimeout(() => {
      reject(new ArkError("unavailable", "The body did not arrive in time"));
      this.#source.close();
    }, this.#source.bodyMs);
    try {
      await promise;
    } finally {
      clearTimeout(timer);
    }
  }
}

function brokenOff(): ArkError {
  return new ArkError("unavailable", "The caller went away before its body had arrived");
}

function wentAway(): ArkError {
  return new ArkError("cancelled", "The caller went away");
}
