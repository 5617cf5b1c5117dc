import assert from "node:assert/strict";
import { ArkError } from "@ark/node/protocol";
import { READ_BUFFER_BYTES, ResponseReader } from "../../../src/transport/response_reader.ts";
import { mutateBytes } from "../mutate.ts";
import { type FuzzTarget, refusedBy, showBytes, shrinkBytes } from "../target.ts";

const TEXTS = [
  "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 5\r\n\r\nhello",
  "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nArk-From: x\r\n\r\n5\r\nhello\r\nA\r\n0123456789\r\n0\r\n\r\n",
  "HTTP/1.1 401 Unauthorized\r\nConnection: close\r\nContent-Length: 0\r\n\r\n",
  "HTTP/1.1 204 No Content\r\nDate: today\r\n\r\n",
];

/** Fields that change where an answer ends. */
const FIELDS = [
  "Content-Length: 5",
  "Content-Length: 0",
  "Content-Length: +5",
  "Content-Length: 5, 5",
  "Transfer-Encoding: chunked",
  "Transfer-Encoding: gzip, chunked",
  "Transfer-Encoding : chunked",
  " Transfer-Encoding: chunked",
  "Content-Encoding: gzip",
  "Trailer: Content-Length",
  "Connection: close",
];

interface Reading {
  status: number;
  headers: [string, string][];
  body: string;
  reusable: boolean;
}

const buffer = new Uint8Array(READ_BUFFER_BYTES);

/** What the bytes come to when they arrive in pieces of this size; null where they are refused. */
async function read(bytes: Uint8Array, size: number): Promise<Reading | null> {
  let at = 0;
  const reader = new ResponseReader((into) => {
    const part = bytes.subarray(at, at + Math.min(size, into.length));
    into.set(part);
    at += part.length;
    return Promise.resolve(part.length === 0 ? null : part.length);
  }, buffer);
  try {
    const { status, headers } = await reader.head();
    let body = "";
    for (let part = await reader.body(); part !== null; part = await reader.body()) body += part.toHex();
    assert.ok(reader.done);
    // What came behind the answer is seen only where it came together with it.
    return { status, headers: [...headers], body, reusable: reader.reusable && at === bytes.length };
  } catch (error) {
    assert.ok(!(error instanceof ArkError) || error.code === "unavailable");
    refusedBy(error, ArkError, TypeError);
    return null;
  }
}

/** A peer's answer as it is on the wire. */
export const httpResponse: FuzzTarget<Uint8Array> = {
  name: "http_response",
  promise: "An answer is refused as unavailable, or has one length and is the same however it is cut.",
  corpus: TEXTS.map((text) => new TextEncoder().encode(text)),
  covers: ["/src/transport/response_reader.ts"],
  mutate(random, bytes, other) {
    if (!random.once(3)) return mutateBytes(random, bytes, other);
    const text = new TextDecoder("latin1").decode(bytes).replace("\r\n", `\r\n${random.pick(FIELDS)}\r\n`);
    return Uint8Array.from(text, (character) => character.charCodeAt(0));
  },
  async check(bytes) {
    const whole = await read(bytes, bytes.length || 1);
    assert.deepEqual(await read(bytes, 3), whole);
    if (whole === null) return false;
    const headers = new Map(whole.headers);
    assert.ok(!headers.has("content-encoding") && !headers.has("trailer"));
    const length = headers.get("content-length");
    const chunked = headers.get("transfer-encoding");
    if (whole.status !== 204 && whole.status !== 304) assert.ok((length === undefined) !== (chunked === undefined));
    if (length !== undefined && whole.body !== "") assert.equal(whole.body.length / 2, Number(length));
    return true;
  },
  show: showBytes,
  shrink: shrinkBytes,
};
