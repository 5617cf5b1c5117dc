import assert from "node:assert/strict";
import { EventEmitter, once } from "node:events";
import { createServer, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { type ByteSink, notePushed } from "@ark/node/transport";
import { headersOf, writeBody } from "../../src/transport/response_writer.ts";
import { aborted, until } from "./mesh_fixture.ts";

const DECODER = new TextDecoder();

/** One exchange over plain HTTP: what `write` does with the answer, and a caller that reads as it likes. */
class Exchange implements AsyncDisposable {
  readonly caller: Deno.TcpConn;
  /** What became of writing. */
  readonly written: Promise<void>;
  /** Settled when the caller has left. */
  readonly gone: Promise<void>;
  readonly #server;

  private constructor(
    caller: Deno.TcpConn,
    { server, written, gone }: {
      server: ReturnType<typeof createServer>;
      written: Promise<void>;
      gone: Promise<void>;
    },
  ) {
    this.caller = caller;
    this.gone = gone;
    this.#server = server;
    this.written = written;
  }

  static async start(body: ReadableStream<Uint8Array> | null, { stallMs = 60_000 } = {}): Promise<Exchange> {
    const { promise: written, resolve } = Promise.withResolvers<void>();
    const { promise: gone, resolve: leave } = Promise.withResolvers<void>();
    const server = createServer((_, outgoing) => {
      outgoing.on("error", () => {});
      outgoing.once("close", leave);
      outgoing.writeHead(200, { "content-type": "text/plain" });
      resolve(writeBody(outgoing, { body, stallMs, signal: closedSignal(outgoing) }));
    });
    server.listen(0, "127.0.0.1");
    await once(server, "listening");
    const caller = await Deno.connect({ hostname: "127.0.0.1", port: (server.address() as AddressInfo).port });
    await caller.write(new TextEncoder().encode("GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"));
    // Whoever does not ask must not be told of a failure that was meant to be.
    written.catch(() => {});
    return new Exchange(caller, { server, written, gone });
  }

  /** Reads until the writer hangs up. */
  async read(): Promise<string> {
    const buffer = new Uint8Array(64 << 10);
    let text = "";
    for (;;) {
      const count = await this.caller.read(buffer).catch(() => null);
      if (count === null) return text;
      text += DECODER.decode(buffer.subarray(0, count));
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    try {
      this.caller.close();
    } catch {
      // The test has hung up itself.
    }
    const closed = once(this.#server, "close");
    this.#server.close();
    this.#server.closeAllConnections();
    await closed;
  }
}

function closedSignal(outgoing: ServerResponse): AbortSignal {
  const gone = new AbortController();
  outgoing.once("close", () => {
    if (!outgoing.writableFinished) gone.abort();
  });
  return gone.signal;
}

/** A stream that counts what is asked of it, and ends after `most` pieces, or never. */
function counted(
  { piece, most = Infinity }: { piece: Uint8Array; most?: number },
): { body: ReadableStream<Uint8Array>; given: () => number; cancelled: AbortSignal } {
  let count = 0;
  const cancelled = new AbortController();
  const body = new ReadableStream<Uint8Array>({
    pull(controller) {
      if (count >= most) return controller.close();
      count++;
      controller.enqueue(piece);
    },
    cancel: () => cancelled.abort(),
  }, { highWaterMark: 0 });
  return { body, given: () => count, cancelled: cancelled.signal };
}

function bodyText(wire: string): string {
  const [, body = ""] = wire.split(/\r\n\r\n(.*)/s);
  return body.replaceAll(/(?:^|\r\n)[0-9a-f]+\r\n/g, "").replace(/\r\n$/, "");
}

Deno.test("writeBody() writes all chunks in order", async () => {
  const pieces = ["one ", "", "two ", "three"].map((text) => new TextEncoder().encode(text));
  await using exchange = await Exchange.start(ReadableStream.from(pieces));
  assert.equal(bodyText(await exchange.read()), "one two three");
  await exchange.written;
});

Deno.test("writeBody() writes a single chunk, an empty body and none", async () => {
  for (
    const [body, text] of [[ReadableStream.from([new Uint8Array([65])]), "A"], [ReadableStream.from([]), ""], [
      null,
      "",
    ]] as const
  ) {
    await using exchange = await Exchange.start(body);
    assert.equal(bodyText(await exchange.read()), text);
    await exchange.written;
  }
});

Deno.test("writeBody() sends the head before the first chunk is there, and each chunk before the next", async () => {
  let give = (_text: string | null): void => {};
  const body = new ReadableStream<Uint8Array>({
    start(controller) {
      give = (text) => text === null ? controller.close() : controller.enqueue(new TextEncoder().encode(text));
    },
  });
  await using exchange = await Exchange.start(body);
  const buffer = new Uint8Array(4_096);
  let text = "";
  for (const [next, pattern] of [[null, /\r\n\r\n$/], ["first", /first\r\n$/], ["second", /second\r\n$/]] as const) {
    if (next !== null) give(next);
    while (!pattern.test(text)) text += DECODER.decode(buffer.subarray(0, await exchange.caller.read(buffer) ?? 0));
  }
  give(null);
  await exchange.read();
  await exchange.written;
});

Deno.test("writeBody() takes no more from the body than the caller takes from it", async () => {
  const most = 400;
  const { body, given } = counted({ piece: new Uint8Array(64 << 10).fill(65), most });
  await using exchange = await Exchange.start(body);
  // Until the buffers of the kernel are full and nothing moves any more.
  let last = 0;
  for (let still = 0; still < 20;) {
    await new Promise((resolve) => setTimeout(resolve, 10));
    still = given() === last && last > 0 ? still + 1 : 0;
    last = given();
  }
  assert.ok(last < most / 2, `${last} pieces were taken although nobody reads`);
  assert.equal(bodyText(await exchange.read()).length, most * (64 << 10));
  await exchange.written;
  assert.equal(given(), most);
});

Deno.test("writeBody() gives up on a caller that takes nothing, and stops the body", async () => {
  const { body, cancelled } = counted({ piece: new Uint8Array(64 << 10) });
  await using exchange = await Exchange.start(body, { stallMs: 50 });
  await assert.rejects(exchange.written, { name: "ArkError", code: "unavailable" });
  await aborted(cancelled);
});

Deno.test("writeBody() gives up on a caller that takes nothing of one large chunk", async () => {
  await using exchange = await Exchange.start(ReadableStream.from([new Uint8Array(32 << 20)]), { stallMs: 50 });
  await assert.rejects(exchange.written, { name: "ArkError", code: "unavailable" });
});

Deno.test("writeBody() gives up on a caller that takes all but the last bytes", async () => {
  // A connection with room for everything, of which nothing is ever known to have left.
  const stuck = Object.assign(new EventEmitter(), {
    headersSent: true,
    writableFinished: false,
    flushHeaders: () => {},
    write: () => true,
    end: () => {},
  });
  const outgoing = stuck as unknown as ServerResponse;
  const signal = new AbortController().signal;
  for (const body of [ReadableStream.from([new Uint8Array(3), new Uint8Array(3)]), ReadableStream.from([]), null]) {
    await assert.rejects(writeBody(outgoing, { body, stallMs: 20, signal }), { code: "unavailable" });
  }
  assert.deepEqual(stuck.eventNames(), []);
});

Deno.test("writeBody() stops the body when the caller hangs up, also while it waits for a chunk", async () => {
  const busy = counted({ piece: new Uint8Array(1_000) });
  const stopped = new AbortController();
  const silent = new ReadableStream<Uint8Array>({ cancel: () => stopped.abort() });
  for (const [body, cancelled] of [[busy.body, busy.cancelled], [silent, stopped.signal]] as const) {
    await using exchange = await Exchange.start(body);
    await exchange.caller.read(new Uint8Array(10));
    exchange.caller.close();
    await aborted(cancelled);
    await exchange.written;
  }
});

Deno.test("writeBody() rejects with what the body fails with, at its start and later", async () => {
  for (const after of [0, 1, 50]) {
    let count = 0;
    const body = new ReadableStream<Uint8Array>({
      pull(controller) {
        if (count++ === after) throw new Error("The engine broke");
        controller.enqueue(new Uint8Array(10));
      },
    }, { highWaterMark: 0 });
    await using exchange = await Exchange.start(body);
    await assert.rejects(exchange.written, /The engine broke/);
  }
});

Deno.test("writeBody() cancels a body that nobody is there for", async () => {
  const { body, cancelled, given } = counted({ piece: new Uint8Array(10) });
  const outgoing = { end: () => assert.fail("Nothing is to be written") } as unknown as ServerResponse;
  await writeBody(outgoing, { body, stallMs: 1_000, signal: AbortSignal.abort() });
  await until(() => cancelled.aborted);
  assert.equal(given(), 0);
});

Deno.test("headersOf() takes what a handler sets, without what belongs to the connection or the signature", () => {
  const headers = {
    "x-a": "b",
    connection: "keep-alive",
    "keep-alive": "x",
    "content-length": "3",
    "transfer-encoding": "x",
    trailer: "x",
    upgrade: "x",
    date: "x",
    "ark-from": "x",
    "ark-nonce": "x",
    signature: "x",
    "signature-input": "x",
  };
  assert.deepEqual(headersOf(new Response("x", { headers })), {
    "x-a": "b",
    "content-type": "text/plain;charset=UTF-8",
  });
  assert.deepEqual(headersOf(new Response(null)), { "content-type": "application/octet-stream" });
});

/** A body that is pushed, and that nobody may read. */
function pushing(pipe: (sink: ByteSink) => Promise<void>): ReadableStream<Uint8Array> {
  const body = new ReadableStream<Uint8Array>({ pull: () => assert.fail("It was read") }, { highWaterMark: 0 });
  notePushed(body, { pipe });
  return body;
}

Deno.test("writeBody() writes what is pushed: the head with what is there, each piece at once, and the end", async () => {
  const go = Promise.withResolvers<void>();
  await using exchange = await Exchange.start(pushing(async (sink) => {
    assert.equal(sink.write(new TextEncoder().encode("one ")), null);
    assert.equal(sink.write(new Uint8Array(0)), null);
    await go.promise;
    sink.write(new TextEncoder().encode("two"));
  }));
  const buffer = new Uint8Array(4_096);
  let text = "";
  while (!text.endsWith("one \r\n")) {
    text += DECODER.decode(buffer.subarray(0, await exchange.caller.read(buffer) ?? 0));
  }
  assert.match(text, /^HTTP\/1\.1 200 /);
  go.resolve();
  assert.equal(bodyText(text + await exchange.read()), "one two");
  await exchange.written;
});

Deno.test("writeBody() makes who pushes wait for a caller that takes nothing, and gives it up in the end", async () => {
  const piece = new Uint8Array(64 << 10);
  let waits = 0;
  await using exchange = await Exchange.start(
    pushing(async (sink) => {
      for (let pushed = 0; pushed < 2_000; pushed++) {
        const full = sink.write(piece);
        if (full === null) continue;
        waits++;
        await full;
      }
    }),
    { stallMs: 50 },
  );
  await assert.rejects(exchange.written, { name: "ArkError", code: "unavailable" });
  assert.ok(waits > 0, "Nobody had to wait");
});

Deno.test("writeBody() rejects with what pushing fails with, and not where the caller has left", async () => {
  {
    await using exchange = await Exchange.start(pushing(() => Promise.reject(new Error("The engine broke"))));
    await assert.rejects(exchange.written, { message: "The engine broke" });
  }
  const left = Promise.withResolvers<void>();
  await using exchange = await Exchange.start(pushing(async (sink) => {
    sink.write(new Uint8Array(10));
    await left.promise;
    throw new Error("It was cancelled");
  }));
  await exchange.caller.read(new Uint8Array(10));
  exchange.caller.close();
  await exchange.gone;
  left.resolve();
  await exchange.written;
});
