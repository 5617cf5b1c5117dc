/** What becomes of a request to a peer that is there and then says nothing, as behind a cable that was pulled. */
import assert from "node:assert/strict";
import { PeerTable, type PeerTableOptions, RemoteBackend } from "@ark/node/routing";
import { Logger } from "@ark/node/telemetry";
import type { MeshCall } from "@ark/node/transport";
import { asking, question } from "../inference/backend_contract.ts";
import { openAudit, read, ScriptedPeer, until } from "./scripted_peer.ts";

const HELLO = question("tiny:1b", "Hello there", { max_tokens: 3 });

/** A table that keeps asking Bob, who can be made silent, and a backend that asks him. */
async function open(options: Partial<PeerTableOptions> = {}) {
  const stack = new AsyncDisposableStack();
  const { audit } = stack.use(await openAudit());
  const bob = new ScriptedPeer();
  let closed = 0;
  let asked = 0;
  let silent = (_: number) => false;
  const client = {
    async request(_to: unknown, call: MeshCall) {
      if (call.method === "GET" && silent(++asked)) {
        await new Promise((_, reject) => call.signal?.addEventListener("abort", () => reject(call.signal?.reason)));
      }
      return await bob.request(call);
    },
    closeIdle: () => void closed++,
  };
  const table = new PeerTable({
    approved: () => [bob.peer],
    addresses: () => [bob.address],
    client,
    ownPort: () => 0,
    logger: new Logger({ write: () => {} }),
    everyMs: 10,
    hurryMs: 5,
    patienceMs: 20,
    answerMs: 100,
    ...options,
  });
  const stop = new AbortController();
  const running = table.run(stop.signal);
  stack.defer(async () => {
    stop.abort();
    await running;
  });
  await until(() => table.list()[0]?.state === "ready");
  return {
    bob,
    table,
    backend: new RemoteBackend({ peer: bob.peer, table, client, audit }),
    closed: () => closed,
    asked: () => asked,
    /** Answers no question from now on, or only some. */
    fallSilent: (when = (_: number) => true) => void (silent = when),
    speak: () => void (silent = () => false),
    [Symbol.asyncDispose]: () => stack[Symbol.asyncDispose](),
  };
}

Deno.test("A request whose peer falls silent ends soon, before its first word", async () => {
  await using scene = await open();
  const { bob, backend, table } = scene;
  bob.onInfer = (arrived) => {
    scene.fallSilent();
    return { body: stuck(bob.honest(arrived).slice(0, 0)) };
  };
  const { events, error } = await read(backend.infer(HELLO, asking()));
  assert.deepEqual([events, error?.code, error?.message], [
    [],
    "unavailable",
    "bob fell silent: it cannot be reached any more",
  ]);
  assert.equal(table.list()[0]?.state, "unreachable");
  assert.ok(scene.closed() > 0);
  scene.speak();
  await until(() => table.list()[0]?.state === "ready");
});

Deno.test("A request whose peer falls silent ends soon, in the middle of its answer", async () => {
  await using scene = await open();
  const { bob, backend } = scene;
  bob.onInfer = (arrived) => ({ body: stuck(bob.honest(arrived).slice(0, 2), () => scene.fallSilent()) });
  const { events, error } = await read(backend.infer(HELLO, asking()));
  assert.deepEqual(events.map(({ type }) => type), ["start", "text"]);
  assert.match(error?.message ?? "", /fell silent/);
});

Deno.test("An answer that goes on arriving is not cut when its peer answers no questions", async () => {
  await using scene = await open();
  const { bob, backend, table } = scene;
  bob.onInfer = (arrived) => ({
    body: (async function* () {
      scene.fallSilent();
      let waited = false;
      for (const frame of bob.honest(arrived)) {
        if (waited) yield frame;
        else {
          yield frame;
          // Signs of life for as long as it takes until nobody believes that the peer is there.
          while (table.list()[0]?.state !== "unreachable") {
            await new Promise((resolve) => setTimeout(resolve, 1));
            yield "";
          }
          waited = true;
        }
      }
    })(),
  });
  const { events, error } = await read(backend.infer(HELLO, asking()));
  assert.deepEqual([events.length, error], [5, null]);
});

Deno.test("A peer that answers the second question, on a new connection, was never away", async () => {
  await using scene = await open({ patienceMs: 300 });
  const from = scene.asked();
  scene.fallSilent((count) => count % 2 === 0);
  const states = new Set<string>();
  await until(() => {
    states.add(scene.table.list()[0]?.state ?? "");
    return scene.asked() > from + 8;
  });
  assert.deepEqual([...states], ["ready"]);
});

/** Some frames, and then nothing. */
async function* stuck(frames: Uint8Array[], then: () => void = () => {}): AsyncGenerator<Uint8Array> {
  yield* frames;
  then();
  await new Promise(() => {});
}
