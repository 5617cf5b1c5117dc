import assert from "node:assert/strict";
import { once } from "node:events";
import { type AddressInfo, createServer } from "node:net";
import { type ByteSink, notePushed } from "@ark/node/transport";
import { AnswerWriter } from "../../src/transport/answer_writer.ts";
import { answerHead, writeBody } from "../../src/transport/response_writer.ts";
import { stuck } from "./stuck_socket.ts";
import { aborted, until } from "./mesh_fixture.ts";

const DECODER = new TextDecoder();
const HEAD = "HTTP/1.1 200 OK\r\ncontent-type: text/plain\r\ntransfer-encoding: chunked\r\n\r\n";

/** One answer over plain TCP: what `write` does with it, and a caller that reads as it likes. */
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
    // Whoever does not ask must not be told of a failure that was meant to be.
    written.catch(() => {});
    const { promise: gone, resolve: leave } = Promise.withResolvers<void>();
    const server = createServer((socket) => {
      const caller = new AbortController();
      let ended = false;
      const writer = new AnswerWriter(socket, { ended: () => ended = true, sent: () => ended && socket.destroySoon() });
      const watch = setInterval(() => writer.stalled(performance.now(), { stallMs }) && socket.destroy(), 10);
      socket.on("error", () => {}).on("data", () => {}).on("end", () => socket.destroy());
      socket.once("close", () => {
        clearInterval(watch);
        writer.close();
        caller.abort();
        leave();
      });
      writer.begin(HEAD);
      const answered = writeBody(writer, { body, caller });
      answered.catch(() => socket.destroy());
      resolve(answered);
    });
    server.listen(0, "127.0.0.1");
    await once(server, "listening");
    const caller = await Deno.connect({ hostname: "127.0.0.1", port: (server.address() as AddressInfo).port });
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
    this.#server.close();
    await this.gone;
  }
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
  await aborted(cancelled);
  await exchange.gone;
  await exchange.written;
});

Deno.test("writeBody() gives up on a caller that takes nothing of one large chunk", async () => {
  await using exchange = await Exchange.start(ReadableStream.from([new Uint8Array(32 << 20)]), { stallMs: 50 });
  await exchange.gone;
  await exchange.written;
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
  const { socket, wire } = stuck();
  const writer = new AnswerWriter(socket, { ended: () => {}, sent: () => {} });
  writer.begin(HEAD);
  await writeBody(writer, { body, caller: { signal: AbortSignal.abort() } });
  assert.equal(wire(), "");
  await until(() => cancelled.aborted);
  assert.equal(given(), 0);
});

Deno.test("answerHead() takes what a handler sets, without what belongs to the connection or the signature", () => {
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
  const type = "text/plain;charset=UTF-8";
  assert.deepEqual(answerHead(new Response("x", { headers, status: 404 })), {
    text: `HTTP/1.1 404 Not Found\r\ncontent-type: ${type}\r\nx-a: b\r\n`,
    contentType: type,
  });
  assert.deepEqual(answerHead(new Response(null, { status: 299 })), {
    text: "HTTP/1.1 299 \r\ncontent-type: application/octet-stream\r\n",
    contentType: "application/octet-stream",
  });
  assert.throws(() => answerHead(Response.error()), RangeError);
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
  await exchange.gone;
  await exchange.written;
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
