import type { NodeId } from "@ark/node/identity";
import { contentDigest } from "./message_signature.ts";
import type { PeerAddress } from "./peer_address.ts";
import type { TakeBytes } from "./pump.ts";
import { isPlainTarget } from "./signed_request.ts";

/** Whom to ask: the key that must answer, and where it may be found. */
export interface MeshPeer {
  /** The peer's id. */
  id: NodeId;
  /** Where it may be dialled, likeliest first. */
  addresses: PeerAddress[];
}

/** What to ask. */
export interface MeshCall {
  /** `GET` or `POST`. */
  method: string;
  /** Absolute path with its query, as it goes on the wire. */
  path: string;
  /** Body of a `POST`; at most 1 MiB is accepted by peers. */
  body?: Uint8Array | string;
  /** Type of the body. @default {"application/json"} */
  contentType?: string;
  /** How long the head of the answer may take, dialling included, in milliseconds; the peer is told. */
  deadlineMs: number;
  /** Whether the body must be read by then, too: of short answers, which nobody else watches over. @default {false} */
  whole?: boolean;
  /** Ends the request; the connection is closed at once, so that the peer stops working. */
  signal?: AbortSignal;
  /** Whether it waits for no other request, however many there are: questions whether the peer is there at all. */
  apart?: boolean;
}

/** An answer that the peer signed for this very request. */
export interface MeshResponse {
  /** HTTP status. Refusals are answers too: 403 and 429 come here. */
  status: number;
  /** Header fields. Those that the signature covers are `content-type` and `ark-from`. */
  headers: Headers;
  /** The body as it arrives; nothing is read ahead. Cancelling it hangs up. It fails when the connection breaks. */
  body: ReadableStream<Uint8Array<ArrayBuffer>>;
  /**
   * The next bytes of the body, as many as have arrived; null at its end. The same as reading `body`, in place of it and
   * with fewer turns of promises; the bytes hold until the next call. Whoever began with the one way goes on with it. To hang
   * up, abort the call's signal.
   */
  read?(): Promise<Uint8Array<ArrayBuffer> | null>;
  /**
   * Hands the body over piece by piece until its end, which is told by true, or until `take` gives false: the cheapest way
   * for a body of many small pieces. It may be called again then, and be mixed with {@linkcode read}.
   */
  pump?(take: TakeBytes): Promise<boolean>;
  /**
   * Reads the whole body into a buffer, and tells how long it is. Half the work of {@linkcode read} for large bodies. Not
   * together with the other ways. The answer fails where the body does not fit. `arrived` is told how many bytes have come.
   */
  readInto?(buffer: Uint8Array, arrived?: (bytes: number) => void): Promise<number>;
  /** SHA-256 of the signature of our request, hex. */
  signature: string;
  /** Where the peer answered. */
  address: PeerAddress;
}

/** What of a call goes on the wire. */
export interface CheckedCall {
  /** `GET` or `POST`. */
  method: string;
  /** Path with its query. */
  path: string;
  /** The body, perhaps empty. */
  body: Uint8Array;
  /** Its digest, as the header field has it. */
  digest: string;
  /** Its type. */
  contentType: string;
}

const ENCODER = new TextEncoder();
const CONTENT_TYPE = /^[\x21-\x7e](?:[\x20-\x7e]*[\x21-\x7e])?$/;
const MOST_DEADLINE_MS = 999_999_999;

/**
 * Reads a call.
 *
 * @throws {TypeError} where it is malformed.
 * @throws {RangeError} where its deadline is none.
 */
export function checkCall(call: MeshCall): CheckedCall {
  const { method, path, deadlineMs, contentType = "application/json" } = call;
  const body = typeof call.body === "string" ? ENCODER.encode(call.body) : call.body ?? new Uint8Array(0);
  if (method !== "GET" && method !== "POST") throw new TypeError(`Cannot send a request with method ${method}`);
  if (method === "GET" && body.length > 0) throw new TypeError("Cannot send a GET request with a body");
  if (!isPlainTarget(path)) throw new TypeError(`Cannot send a request for a path that is not in plain form: ${path}`);
  if (!CONTENT_TYPE.test(contentType)) throw new TypeError("Cannot send a content type that is not printable ASCII");
  if (!Number.isFinite(deadlineMs) || deadlineMs < 1 || deadlineMs > MOST_DEADLINE_MS) {
    throw new RangeError(`Cannot send a request with this deadline: ${deadlineMs} ms`);
  }
  return { method, path, body, digest: contentDigest(body), contentType };
}
