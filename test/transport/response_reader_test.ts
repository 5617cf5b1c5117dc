import assert from "node:assert/strict";
import fc from "fast-check";
import { pumpFrom } from "@ark/node/transport";
import { type IncomingHead, READ_BUFFER_BYTES, ResponseReader } from "../../src/transport/response_reader.ts";

const ENCODER = new TextEncoder();
const DECODER = new TextDecoder();

/** A reader over pieces that arrive one after the other; after the last one the connection ends. */
function readerOf(...pieces: (string | Uint8Array)[]): ResponseReader {
  return readerWith({}, pieces);
}

function readerWith(options: { untilClose?: boolean }, pieces: (string | Uint8Array)[]): ResponseReader {
  const rest = pieces.map((piece) => typeof piece === "string" ? ENCODER.encode(piece) : piece);
  return new ResponseReader(
    (buffer) => {
      assert.ok(buffer.length > 0, "A read into no room would look like the end");
      const piece = rest.shift();
      if (piece === undefined) return Promise.resolve(null);
      buffer.set(piece.subarray(0, buffer.length));
      if (piece.length > buffer.length) rest.unshift(piece.subarray(buffer.length));
      return Promise.resolve(Math.min(piece.length, buffer.length));
    },
    new Uint8Array(READ_BUFFER_BYTES),
    options,
  );
}

async function readAll(reader: ResponseReader): Promise<{ head: IncomingHead; body: string }> {
  const head = await reader.head();
  let body = "";
  for (let bytes = await reader.body(); bytes !== null; bytes = await reader.body()) body += DECODER.decode(bytes);
  return { head, body };
}

const HEAD = "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\n";

Deno.test("ResponseReader reads a head and a body of stated length", async () => {
  const reader = readerOf(`${HEAD}Content-Length: 5\r\n\r\nhello`);
  const { head, body } = await readAll(reader);
  assert.equal(head.status, 200);
  assert.equal(head.headers.get("content-type"), "text/plain");
  assert.equal(body, "hello");
  assert.ok(reader.done && reader.reusable && reader.sawBytes);
});

Deno.test("ResponseReader reads chunks, however the network cuts them", async () => {
  const text = `${HEAD}Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\nA\r\n, world of\r\n1\r\n!\r\n0\r\n\r\n`;
  await fc.assert(fc.asyncProperty(fc.array(fc.nat({ max: text.length })), async (cuts) => {
    const at = [0, ...cuts.toSorted((a, b) => a - b), text.length];
    const pieces = at.slice(1).map((end, i) => text.slice(at[i], end)).filter((piece) => piece !== "");
    const reader = readerOf(...pieces);
    assert.equal((await readAll(reader)).body, "hello, world of!");
    assert.ok(reader.reusable);
  }));
  const byOne = readerOf(...text);
  assert.equal((await readAll(byOne)).body, "hello, world of!");
});

Deno.test("ResponseReader takes a body that ends with its connection only from servers that are no nodes, and says that it is over", async () => {
  const text = `${HEAD}\r\nhello`;
  await assert.rejects(readAll(readerOf(text)), { code: "unavailable" });
  const reader = readerWith({ untilClose: true }, [text]);
  assert.equal((await readAll(reader)).body, "hello");
  assert.ok(reader.done && !reader.reusable);
});

Deno.test("ResponseReader.pump() hands over the same, stops where it is told, and waits for who has no room", async () => {
  const text = `${HEAD}Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\nA\r\n, world of\r\n1\r\n!\r\n0\r\n\r\n`;
  const how = fc.constantFrom<"on" | "stop" | "wait">("on", "stop", "wait");
  await fc.assert(fc.asyncProperty(fc.array(fc.nat({ max: text.length })), fc.array(how), async (cuts, hows) => {
    const at = [0, ...cuts.toSorted((a, b) => a - b), text.length];
    const pieces = at.slice(1).map((end, i) => text.slice(at[i], end)).filter((piece) => piece !== "");
    const reader = readerOf(...pieces);
    await reader.head();
    let [body, waiting, stopped] = ["", false, false];
    const take = (bytes: Uint8Array) => {
      assert.ok(!waiting && !stopped && bytes.length > 0);
      body += DECODER.decode(bytes);
      const next = hows.shift();
      if (next === "stop") return stopped = true, false as const;
      if (next !== "wait") return null;
      waiting = true;
      return Promise.resolve().then(() => void (waiting = false));
    };
    while (!await reader.pump(take)) {
      assert.ok(stopped);
      stopped = false;
    }
    assert.deepEqual([body, reader.reusable, stopped], ["hello, world of!", true, false]);
  }));
  const cut = readerOf(`${HEAD}Content-Length: 9\r\n\r\nhello`);
  await cut.head();
  await assert.rejects(cut.pump(() => null), { code: "unavailable" });
});

Deno.test("pumpFrom() hands over what is read, and stops where it is told", async () => {
  for (const most of [0, 1, 2, 3, 4]) {
    const rest = ["a", "b", "c"].map((text) => ENCODER.encode(text));
    const seen: string[] = [];
    const read = () => Promise.resolve(rest.shift() ?? null);
    const whole = await pumpFrom(read, (bytes) => {
      seen.push(DECODER.decode(bytes));
      return seen.length === most ? false : seen.length === 1 ? Promise.resolve() : null;
    });
    const expected = most === 0 ? 3 : Math.min(3, most);
    assert.deepEqual([seen, whole], [["a", "b", "c"].slice(0, expected), most === 0 || most > 3]);
  }
});

Deno.test("ResponseReader reads a body that is larger than its buffer", async () => {
  const length = 5 * READ_BUFFER_BYTES + 17;
  const stated = readerOf(`${HEAD}Content-Length: ${length}\r\n\r\n`, "x".repeat(length));
  assert.equal((await readAll(stated)).body.length, length);
  const size = length.toString(16);
  const chunked = readerOf(
    `${HEAD}Transfer-Encoding: chunked\r\n\r\n${size}\r\n${"x".repeat(length)}\r\n${size}\r\n`,
    `${"y".repeat(length)}\r\n0\r\n\r\n`,
  );
  assert.equal((await readAll(chunked)).body.length, 2 * length);
});

Deno.test("ResponseReader reads answers without a body", async () => {
  for (const head of ["HTTP/1.1 204 No Content\r\n\r\n", "HTTP/1.1 304 \r\n\r\n", `${HEAD}Content-Length: 0\r\n\r\n`]) {
    const reader = readerOf(head);
    assert.equal((await readAll(reader)).body, "");
    assert.ok(reader.reusable);
  }
});

Deno.test("ResponseReader does not let a connection be used again after more than one answer, or after close", async () => {
  const more = readerOf(`${HEAD}Content-Length: 5\r\n\r\nhelloHTTP/1.1 200 OK\r\n`);
  assert.equal((await readAll(more)).body, "hello");
  assert.ok(more.done && !more.reusable);
  for (const value of ["close", "Close", "keep-alive, close"]) {
    const closed = readerOf(`${HEAD}Connection: ${value}\r\nContent-Length: 5\r\n\r\nhello`);
    await readAll(closed);
    assert.ok(!closed.reusable, value);
  }
});

Deno.test("ResponseReader refuses everything that could be read in two ways", async () => {
  const answers: Record<string, string> = {
    "no length": `${HEAD}\r\nhello`,
    "a length and chunks": `${HEAD}Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n`,
    "two lengths": `${HEAD}Content-Length: 5\r\nContent-Length: 5\r\n\r\nhello`,
    "two encodings": `${HEAD}Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n`,
    "another encoding": `${HEAD}Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n`,
    "an encoding that is none": `${HEAD}Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n`,
    "a signed length": `${HEAD}Content-Length: +5\r\n\r\nhello`,
    "a length with a leading zero": `${HEAD}Content-Length: 05\r\n\r\nhello`,
    "a negative length": `${HEAD}Content-Length: -5\r\n\r\nhello`,
    "a length beyond reason": `${HEAD}Content-Length: ${"9".repeat(16)}\r\n\r\nhello`,
    "a compressed body": `${HEAD}Content-Encoding: gzip\r\nContent-Length: 5\r\n\r\nhello`,
    trailers: `${HEAD}Trailer: X\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n`,
    "trailers that were not announced": `${HEAD}Transfer-Encoding: chunked\r\n\r\n0\r\nX: y\r\n\r\n`,
    "a chunk extension": `${HEAD}Transfer-Encoding: chunked\r\n\r\n5;x=y\r\nhello\r\n0\r\n\r\n`,
    "a chunk size that is none": `${HEAD}Transfer-Encoding: chunked\r\n\r\n0x5\r\nhello\r\n0\r\n\r\n`,
    "an empty chunk size": `${HEAD}Transfer-Encoding: chunked\r\n\r\n\r\nhello\r\n0\r\n\r\n`,
    "a huge chunk size": `${HEAD}Transfer-Encoding: chunked\r\n\r\n${"f".repeat(13)}\r\nhello`,
    "a chunk size without end": `${HEAD}Transfer-Encoding: chunked\r\n\r\n${"0".repeat(100)}`,
    "a chunk that is too long": `${HEAD}Transfer-Encoding: chunked\r\n\r\n5\r\nhello!\r\n0\r\n\r\n`,
    "a bare line feed after a chunk": `${HEAD}Transfer-Encoding: chunked\r\n\r\n5\nhello\r\n0\r\n\r\n`,
    "an interim answer": `HTTP/1.1 100 Continue\r\n\r\n${HEAD}Content-Length: 0\r\n\r\n`,
    "another protocol": "HTTP/1.0 200 OK\r\nContent-Length: 0\r\n\r\n",
    "no protocol": "hello\r\n\r\n",
    "a status that is none": "HTTP/1.1 999 OK\r\nContent-Length: 0\r\n\r\n",
    "a space before the colon": `${HEAD}Content-Length : 5\r\n\r\nhello`,
    "a folded field": `${HEAD}X: a\r\n b\r\nContent-Length: 0\r\n\r\n`,
    "a field without a name": `${HEAD}: a\r\nContent-Length: 0\r\n\r\n`,
    "a bare line feed": `${HEAD}X: a\nContent-Length: 0\r\n\r\n`,
    "a control character": `${HEAD}X: a\x00b\r\nContent-Length: 0\r\n\r\n`,
    "a character beyond ASCII": `${HEAD}X: \u00e9\r\nContent-Length: 0\r\n\r\n`,
  };
  for (const [what, answer] of Object.entries(answers)) {
    await assert.rejects(readAll(readerOf(answer)), { name: "ArkError", code: "unavailable" }, what);
  }
});

Deno.test("ResponseReader reports an end that comes too early, wherever it comes", async () => {
  const text = `${HEAD}Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n`;
  for (let end = 0; end < text.length; end++) {
    const reader = readerOf(text.slice(0, end));
    await assert.rejects(readAll(reader), { code: "unavailable" });
    assert.ok(!reader.done && !reader.reusable);
    assert.equal(reader.sawBytes, end > 0);
  }
  await assert.rejects(readAll(readerOf(`${HEAD}Content-Length: 5\r\n\r\nhell`)), { code: "unavailable" });
});

Deno.test("ResponseReader reads no more than 16 KiB of a head", async () => {
  let given = 0;
  const piece = ENCODER.encode("a".repeat(1_000));
  const reader = new ResponseReader((buffer) => {
    given += piece.length;
    buffer.set(piece);
    return Promise.resolve(piece.length);
  }, new Uint8Array(READ_BUFFER_BYTES));
  await assert.rejects(reader.head(), { code: "unavailable" });
  assert.ok(given <= 18_000);
});

Deno.test("ResponseReader ends on any bytes at all, with an answer or with unavailable", async () => {
  const token = fc.constantFrom(
    "HTTP/1.1 200 OK\r\n",
    "Content-Length: 3\r\n",
    "Transfer-Encoding: chunked\r\n",
    "\r\n",
    "3\r\nabc\r\n",
    "0\r\n\r\n",
    "\n",
    "abc",
    ":",
    "\0",
  );
  await fc.assert(fc.asyncProperty(fc.array(fc.oneof(token, fc.string()), { maxLength: 12 }), async (pieces) => {
    try {
      const { head } = await readAll(readerOf(...pieces.filter((piece) => piece !== "")));
      assert.ok(head.status >= 200);
    } catch (error) {
      assert.equal((error as { code?: string }).code, "unavailable");
    }
  }));
});
