import assert from "node:assert/strict";
import fc from "fast-check";
import { RequestFault, RequestReader } from "../../src/transport/request_reader.ts";

const ENCODER = new TextEncoder();

/** A connection on which these bytes arrive in pieces. */
function connectionOf(bytes: Uint8Array, at: readonly number[]) {
  const edges = [...at.map((place) => place % (bytes.length + 1)), bytes.length].sort((a, b) => a - b);
  let read = 0;
  return {
    read: (buffer: Uint8Array) => {
      while (edges.length > 0 && (edges[0] ?? 0) <= read) edges.shift();
      if (edges.length === 0) return Promise.resolve(null);
      const piece = bytes.subarray(read, Math.min(edges[0] ?? 0, read + buffer.length));
      buffer.set(piece);
      read += piece.length;
      return Promise.resolve(piece.length);
    },
  };
}

/** What is read of some bytes: each request with its body, and how it ended. */
async function requestsOf(bytes: Uint8Array, at: readonly number[]): Promise<unknown[]> {
  const reader = new RequestReader(connectionOf(bytes, at));
  const read: unknown[] = [];
  try {
    for (let head = await reader.head(); head !== null; head = await reader.head()) {
      const body: number[] = [];
      for (let piece = await reader.body(); piece !== null; piece = await reader.body()) body.push(...piece);
      read.push([head.method, head.target, [...head.headers], head.length, head.keepAlive, body]);
    }
    read.push("end");
  } catch (error) {
    read.push(error instanceof RequestFault ? error.status : "cut");
  }
  return read;
}

const TOKEN = fc.constantFrom(
  "GET / HTTP/1.1\r\nHost: h\r\n\r\n",
  "POST /a HTTP/1.1\r\nContent-Length: 3\r\n\r\nabc",
  "POST /b HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n",
  "GET / HTTP/1.1\r\n",
  "POST /a?b HTTP/1.1\r\n",
  "POST / HTTP/1.0\r\n",
  "Host: h\r\n",
  "Content-Length: 3\r\n",
  "Content-Length: 0\r\n",
  "Transfer-Encoding: chunked\r\n",
  "Connection: close\r\n",
  "\r\n",
  "3\r\nabc\r\n",
  "0\r\n\r\n",
  "abc",
  "\n",
  " ",
);

Deno.test("RequestReader reads the same requests however their bytes are cut, and ends on any bytes at all", async () => {
  const bytes = fc.oneof(
    fc.array(TOKEN, { maxLength: 14 }).map((tokens) => ENCODER.encode(tokens.join(""))),
    fc.uint8Array({ maxLength: 200 }),
  );
  let whole = 0;
  await fc.assert(
    fc.asyncProperty(bytes, fc.array(fc.nat(), { maxLength: 10 }), async (bytes, at) => {
      const read = await requestsOf(bytes, []);
      assert.deepEqual(await requestsOf(bytes, at), read);
      if (read.length > 1) whole++;
    }),
    { numRuns: 3_000 },
  );
  assert.ok(whole > 50);
});

Deno.test("RequestReader.watch() tells of an end, and keeps what comes instead for the next request", async () => {
  const first = "POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 1\r\n\r\na";
  const second = "GET /next HTTP/1.1\r\nHost: h\r\n\r\n";
  const reader = new RequestReader(connectionOf(ENCODER.encode(first + second), [first.length, first.length + 9]));
  const left = Promise.withResolvers<void>();
  await reader.head();
  await reader.body();
  reader.watch(left.resolve);
  assert.equal((await reader.head())?.target, "/next");
  reader.watch(left.resolve);
  await left.promise;
  assert.equal(await reader.head(), null);
});
