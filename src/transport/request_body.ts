import type { IncomingMessage } from "node:http";
import { ArkError } from "@ark/node/protocol";
import { contentDigest } from "./message_signature.ts";

/** The body that a signed head announces. */
export interface AnnouncedBody {
  /** Bytes. */
  contentLength: number;
  /** `sha-256=:…:` */
  contentDigest: string;
}

const WHOLE = new WeakMap<Request, RequestBody>();

/**
 * The whole body of a signed request, compared with its digest: as `request.arrayBuffer()` gives it, without the turns of a
 * stream. Null where the request came by another way, or its body was read already.
 */
export function signedBody(request: Request): Promise<Uint8Array<ArrayBuffer>> | null {
  const body = WHOLE.get(request);
  return body === undefined || body.taken ? null : body.whole();
}

/**
 * A request's body that nobody has read yet. On the first read the whole body is collected, then compared with
 * the signed digest, and only then given out: no unverified byte gets through.
 *
 * Reading fails with `ArkError` `unauthenticated` when the body is not the signed one, and `unavailable` when it does
 * not arrive in time or the caller is gone.
 */
export class RequestBody {
  /** The stream for the web request. */
  readonly stream: ReadableStream<Uint8Array<ArrayBuffer>>;
  readonly #incoming: IncomingMessage;
  readonly #announced: AnnouncedBody;
  readonly #timeoutMs: number;
  #forged = false;
  #taken = false;

  /** Wraps a body that is at most as long as the head announces, which the HTTP parser sees to. */
  constructor(incoming: IncomingMessage, options: AnnouncedBody & { timeoutMs: number }) {
    this.#incoming = incoming;
    this.#announced = options;
    this.#timeoutMs = options.timeoutMs;
    this.stream = new ReadableStream<Uint8Array<ArrayBuffer>>({
      pull: async (controller) => {
        const body = await this.whole();
        if (body.length > 0) controller.enqueue(body);
        controller.close();
      },
      // What nobody wants is read away, or the connection could not carry another request.
      cancel: () => void incoming.resume(),
    }, { highWaterMark: 0 });
  }

  /** Whether the body was read and is not the one that was signed. */
  get forged(): boolean {
    return this.#forged;
  }

  /** Whether somebody has begun to read it. */
  get taken(): boolean {
    return this.#taken;
  }

  /** Lets it be had by {@linkcode signedBody}, too. */
  belongsTo(request: Request): void {
    WHOLE.set(request, this);
  }

  /** Collects and compares it; once. */
  async whole(): Promise<Uint8Array<ArrayBuffer>> {
    this.#taken = true;
    const body = await this.#arrived() ?? await this.#read();
    if (contentDigest(body) !== this.#announced.contentDigest) {
      this.#forged = true;
      throw new ArkError("unauthenticated", "The body is not the one that the caller signed");
    }
    return body;
  }

  /** The body, where all of it is here by now, as that of a short question is with its head; else null, and nothing was read. */
  async #arrived(): Promise<Uint8Array<ArrayBuffer> | null> {
    // The parser is still at the bytes that the head was in.
    await Promise.resolve();
    const { contentLength } = this.#announced;
    const incoming = this.#incoming;
    if (incoming.readableLength !== contentLength || incoming.errored || incoming.destroyed) return null;
    // Without the number it would be the first packet's part alone.
    const bytes: Uint8Array<ArrayBuffer> | null = incoming.read(contentLength);
    if (bytes?.length !== contentLength) {
      if (bytes !== null) incoming.unshift(bytes);
      return null;
    }
    // So that its end is seen, and the connection can carry the next request.
    incoming.resume();
    return bytes;
  }

  #read(): Promise<Uint8Array<ArrayBuffer>> {
    const incoming = this.#incoming;
    const body = new Uint8Array(this.#announced.contentLength);
    let at = 0;
    const { promise, resolve, reject } = Promise.withResolvers<Uint8Array<ArrayBuffer>>();
    const timer = setTimeout(() => {
      reject(new ArkError("unavailable", "The body did not arrive in time"));
      incoming.destroy();
    }, this.#timeoutMs);
    const gone = () => {
      // Also called when all is well and over: an error is costly to make.
      if (at < body.length || incoming.errored) {
        reject(new ArkError("unavailable", "The caller went away before its body had arrived"));
      }
    };
    incoming.on("data", (chunk: Uint8Array) => {
      body.set(chunk, at);
      at += chunk.length;
    });
    incoming.once("end", () => at === body.length ? resolve(body) : gone());
    incoming.once("error", gone);
    incoming.once("close", gone);
    if (incoming.destroyed) gone();
    return promise.finally(() => clearTimeout(timer));
  }
}
