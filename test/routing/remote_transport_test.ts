/** {@linkcode RemoteBackend} over the real transport: signed requests inside pinned TLS on loopback. */
import assert from "node:assert/strict";
import { generateIdentity } from "@ark/node/identity";
import { ArkError, type InferenceEvent } from "@ark/node/protocol";
import { PeerTable, RemoteBackend } from "@ark/node/routing";
import { Logger } from "@ark/node/telemetry";
import { type Caller, listenMesh, MeshClient, type MeshListener, type MeshRequest } from "@ark/node/transport";
import { asking, question } from "../inference/backend_contract.ts";
import { answerEvents, openAudit, ScriptedPeer } from "./scripted_peer.ts";

/** Serves a scripted peer's offer and answers from a real mesh listener. */
function serve(
  bob: ScriptedPeer,
  body: (request: MeshRequest, caller: Caller) => Promise<ReadableStream<Uint8Array>>,
): Promise<MeshListener> {
  return listenMesh({
    identity: bob.identity,
    hostname: "127.0.0.1",
    port: 0,
    standing: () => "approved",
    async handler(request, caller) {
      if (new URL(request.url).pathname === "/ark/v1/offer") return Response.json(bob.offer);
      return new Response(await body(request, caller), { headers: { "content-type": "text/event-stream" } });
    },
  });
}

async function asked(bob: ScriptedPeer, listener: MeshListener) {
  const stack = new AsyncDisposableStack();
  const { audit } = stack.use(await openAudit());
  const client = stack.use(new MeshClient({ identity: generateIdentity() }));
  const logger = new Logger({ write: () => {} });
  const addresses = () => [{ hostname: listener.hostname, port: listener.port }];
  const table = new PeerTable({ approved: () => [bob.peer], addresses, client, ownPort: () => 0, logger });
  await table.ask(bob.id, new AbortController().signal);
  return { stack, audit, table, backend: new RemoteBackend({ peer: bob.peer, table, client, audit, logger }) };
}

const HELLO = question("tiny", "Hello there", { max_tokens: 3 });

Deno.test("RemoteBackend asks a real peer, and both agree on which request it was", async () => {
  const bob = new ScriptedPeer();
  const hashes: string[] = [];
  await using listener = await serve(bob, async (request, caller) => {
    hashes.push(caller.signature);
    const frames = bob.honest({ path: "", method: "POST", body: await request.text(), hash: caller.signature });
    return ReadableStream.from(frames);
  });
  const { stack, audit, backend } = await asked(bob, listener);
  await using _stack = stack;
  for (let round = 0; round < 2; round++) {
    assert.deepEqual(await Array.fromAsync(backend.infer(HELLO, asking())), answerEvents("tiny:1b"));
  }
  const ends = (await audit.tail(10)).filter(({ kind }) => kind === "end");
  assert.deepEqual(ends.map(({ request, outcome }) => [request, outcome]), hashes.map((hash) => [hash, "ok"]));
});

Deno.test("RemoteBackend says that a real peer broke off when it dies in the middle of an answer", async () => {
  const bob = new ScriptedPeer();
  const listener = await serve(bob, async (request, caller) => {
    const frames = bob.honest({ path: "", method: "POST", body: await request.text(), hash: caller.signature });
    return new ReadableStream({
      start: (controller) => frames.slice(0, 2).forEach((frame) => controller.enqueue(frame)),
    });
  });
  const { stack, audit, table, backend } = await asked(bob, listener);
  await using _stack = stack;
  const seen: InferenceEvent[] = [];
  await assert.rejects(async () => {
    for await (const event of backend.infer(HELLO, asking())) {
      seen.push(event);
      if (event.type === "text") await listener[Symbol.asyncDispose]();
    }
  }, (error) => error instanceof ArkError && error.code === "unavailable");
  assert.equal(seen.length, 2);
  assert.equal((await audit.tail(1))[0]?.outcome, "unavailable");
  assert.ok(!backend.handles("tiny"));
  await table.ask(bob.id, new AbortController().signal);
  assert.equal(table.list()[0]?.state, "unreachable");
});

Deno.test("RemoteBackend hangs up on a real peer when its reader leaves, so that it stops working", async () => {
  const bob = new ScriptedPeer();
  const stopped = Promise.withResolvers<void>();
  await using listener = await serve(bob, async (request, caller) => {
    const frames = bob.honest({ path: "", method: "POST", body: await request.text(), hash: caller.signature });
    return new ReadableStream({
      start: (controller) => frames.slice(0, 2).forEach((frame) => controller.enqueue(frame)),
      cancel: () => stopped.resolve(),
    });
  });
  const { stack, backend } = await asked(bob, listener);
  await using _stack = stack;
  for await (const event of backend.infer(HELLO, asking())) if (event.type === "text") break;
  await stopped.promise;
});
