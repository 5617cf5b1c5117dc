/** The link is what it says: bytes whole and in order, and each fault is what the far end sees. */
import assert from "node:assert/strict";
import fc from "fast-check";
import { until } from "../inference/local_fixture.ts";
import { FaultProxy, type Shape } from "./fault_proxy.ts";

/** A server that writes back what it reads, and ends when its client does. */
class Echo implements AsyncDisposable {
  readonly port: number;
  readonly outcomes: string[] = [];
  readonly #listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  readonly #serving: Promise<void>;
  readonly #open = new Set<Promise<void>>();

  constructor() {
    this.port = this.#listener.addr.port;
    this.#serving = this.#serve();
  }

  async #serve(): Promise<void> {
    for await (const conn of this.#listener) this.#open.add(this.#answer(conn));
  }

  async #answer(conn: Deno.TcpConn): Promise<void> {
    try {
      const buffer = new Uint8Array(64 << 10);
      for (let size = await conn.read(buffer); size !== null; size = await conn.read(buffer)) {
        await writeAll(conn, buffer.subarray(0, size));
      }
      await conn.closeWrite();
      this.outcomes.push("end");
    } catch (error) {
      this.outcomes.push((error as Error).name);
    } finally {
      conn.close();
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#listener.close();
    await this.#serving;
    await Promise.all(this.#open);
  }
}

async function writeAll(conn: Deno.TcpConn, bytes: Uint8Array): Promise<void> {
  for (let at = 0; at < bytes.length;) at += await conn.write(bytes.subarray(at));
}

/** Reads until there is so much, or the end, or a failure, whose name is returned. */
async function readUpTo(conn: Deno.TcpConn, most: number): Promise<{ bytes: Uint8Array; end: string | null }> {
  const bytes = new Uint8Array(most);
  let at = 0;
  try {
    while (at < most) {
      const size = await conn.read(bytes.subarray(at));
      if (size === null) return { bytes: bytes.subarray(0, at), end: "end" };
      at += size;
    }
    return { bytes, end: null };
  } catch (error) {
    return { bytes: bytes.subarray(0, at), end: (error as Error).name };
  }
}

function numbered(length: number): Uint8Array {
  return Uint8Array.from({ length }, (_, index) => index * 31 % 251);
}

function dial({ port }: { port: number }): Promise<Deno.TcpConn> {
  return Deno.connect({ hostname: "127.0.0.1", port });
}

async function withLink(
  test: (parts: { link: FaultProxy; echo: Echo; conn: Deno.TcpConn }) => Promise<void>,
  shape: Shape = {},
): Promise<void> {
  await using echo = new Echo();
  await using link = await FaultProxy.listen({ hostname: "127.0.0.1", port: echo.port });
  link.shape("both", shape);
  using conn = await dial(link);
  await test({ link, echo, conn });
}

Deno.test("FaultProxy passes bytes whole and in order, whatever the link's shape", async () => {
  const shapes = fc.record({
    latencyMs: fc.integer({ min: 0, max: 10 }),
    jitterMs: fc.integer({ min: 0, max: 10 }),
    bytesPerSecond: fc.integer({ min: 1_000_000, max: 5_000_000 }),
    sliceBytes: fc.integer({ min: 7, max: 2_000 }),
  }, { requiredKeys: [] });
  await fc.assert(
    fc.asyncProperty(shapes, fc.integer({ min: 1, max: 30_000 }), (shape, size) =>
      withLink(async ({ link, conn }) => {
        const sent = numbered(size);
        await writeAll(conn, sent);
        await conn.closeWrite();
        const { bytes, end } = await readUpTo(conn, size + 1);
        assert.deepEqual([end, bytes.length], ["end", size]);
        assert.deepEqual(bytes, sent);
        assert.deepEqual(link.bytes, { up: size, down: size });
      }, shape)),
    { numRuns: 12 },
  );
});

Deno.test("FaultProxy delays each byte by the latency of both directions, and no more than the bandwidth passes", () =>
  withLink(async ({ link, conn }) => {
    let began = performance.now();
    await writeAll(conn, numbered(10));
    await readUpTo(conn, 10);
    assert.ok(performance.now() - began >= 58, "A byte is not faster than the link");
    link.shape("both", {});
    link.shape("down", { bytesPerSecond: 100_000 });
    began = performance.now();
    await writeAll(conn, numbered(10_000));
    await readUpTo(conn, 10_000);
    assert.ok(performance.now() - began >= 85, "A narrow link takes its time");
  }, { latencyMs: 30 }));

Deno.test("FaultProxy resets both sides at the very byte, and connections that come later work", () =>
  withLink(async ({ link, echo, conn }) => {
    link.fail("reset", { direction: "down", afterBytes: 1_234 });
    await writeAll(conn, numbered(5_000));
    const { bytes, end } = await readUpTo(conn, 5_000);
    await link.failed;
    assert.equal(end, "ConnectionReset");
    // The system may drop what was not read yet when a reset comes.
    assert.ok(bytes.length <= 1_234);
    assert.equal(link.bytes.down, 1_234);
    await until(() => echo.outcomes.length === 1);
    assert.match(echo.outcomes[0] ?? "", /ConnectionReset|BrokenPipe|end/);
    using again = await dial(link);
    await writeAll(again, numbered(10));
    assert.deepEqual((await readUpTo(again, 10)).bytes, numbered(10));
  }));

Deno.test("FaultProxy refuses until it is healed", () =>
  withLink(async ({ link, conn }) => {
    link.fail("refuse");
    assert.equal((await readUpTo(conn, 1)).end, "ConnectionReset");
    // Which of the two notices depends on who is faster.
    await assert.rejects(async () => {
      using refused = await dial(link);
      for (;;) assert.notEqual(await refused.read(new Uint8Array(1)), null);
    }, Deno.errors.ConnectionReset);
    link.heal();
    using again = await dial(link);
    await writeAll(again, numbered(1));
    assert.equal((await readUpTo(again, 1)).end, null);
  }));

Deno.test("FaultProxy is a black hole from a byte on, for new connections too, and goes on where it was when healed", () =>
  withLink(async ({ link, conn }) => {
    link.fail("black-hole", { direction: "down", afterBytes: 100 });
    await writeAll(conn, numbered(1_000));
    assert.equal((await readUpTo(conn, 100)).bytes.length, 100);
    await link.failed;
    using late = await dial(link);
    await writeAll(late, numbered(10));
    await until(() => link.bytes.up === 1_010);
    assert.equal(link.bytes.down, 100);
    link.heal();
    const rest = await readUpTo(conn, 900);
    assert.deepEqual(rest.bytes, numbered(1_000).subarray(100));
    assert.equal((await readUpTo(late, 10)).end, null);
  }));

Deno.test("FaultProxy closes one half: the other goes on", () =>
  withLink(async ({ link, conn }) => {
    await writeAll(conn, numbered(10));
    await readUpTo(conn, 10);
    link.fail("half-close", { direction: "down" });
    assert.equal((await readUpTo(conn, 10)).end, "end");
    await writeAll(conn, numbered(500));
    await until(() => link.bytes.up === 510);
    assert.equal(link.bytes.down, 10);
  }));

Deno.test("FaultProxy changes one byte and no other", () =>
  withLink(async ({ link, conn }) => {
    link.fail("corrupt", { direction: "up", afterBytes: 501 });
    await writeAll(conn, numbered(1_000));
    const { bytes } = await readUpTo(conn, 1_000);
    const different = [...bytes.keys()].filter((at) => bytes[at] !== numbered(1_000)[at]);
    assert.deepEqual(different, [500]);
  }));
