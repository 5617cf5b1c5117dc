/** What peers are told by a node that has too little memory: the side for peers and the real backend, a scripted machine. */
import assert from "node:assert/strict";
import { Denials, meshApp } from "@ark/node/http";
import { generateIdentity, type NodeId } from "@ark/node/identity";
import { type ApprovedPeer, decodeApproval, Gate, Usage } from "@ark/node/peers";
import { formatPublicKey } from "@ark/node/identity";
import { decodeOfferFrame, FrameSplitter, type Offer, OfferReader } from "@ark/node/protocol";
import { Events, Logger, Metrics } from "@ark/node/telemetry";
import type { Caller } from "@ark/node/transport";
import { FakeBackend, fakeModel, until } from "../inference/local_fixture.ts";

Deno.test("A node that thrashes offers that it is not ready, refuses peers with a time to ask again, and recovers", async () => {
  let [ms, stalledUs, strained] = [0, 0, false];
  const memory = () => {
    ms += 10_000;
    if (strained) stalledUs += 5e6;
    const rest = { ownStalledUs: null, swappedIn: null, majorFaults: null, totalBytes: null, availableBytes: null };
    return Promise.resolve({ ms, stalledUs, ...rest });
  };
  await using fake = new FakeBackend({ memory, watchMs: 10 });
  const peer = generateIdentity();
  const book = new Map<NodeId, ApprovedPeer>();
  const permissions = { can_request_inference: true, models_shared: ["*"] };
  const approval = { public_key: formatPublicKey(peer.publicKey), permissions };
  book.set(peer.id, decodeApproval(approval, new Date().toISOString()));
  const logger = new Logger({ write() {} });
  const audit = { append: () => Promise.resolve({ seq: 1 } as never) };
  const app = meshApp({
    identity: generateIdentity(),
    name: "N",
    peers: book,
    gate: new Gate(book, new Usage()),
    audit,
    denials: new Denials({ audit, counter: new Metrics().counter("denials_total", "Denials.", ["code"]), logger }),
    engine: {
      backend: fake.backend,
      catalogue: { find: (ref) => fakeModel(ref), list: () => [fakeModel("fake")] },
    },
    contextSize: 1_000,
    accepting: () => true,
    asked() {},
    logger,
    events: new Events(),
  });
  const stop = new AbortController();
  const caller: Caller = {
    nodeId: peer.id,
    publicKey: peer.publicKey,
    signature: "ab".repeat(32),
    remote: "127.0.0.1",
    deadlineMs: 60_000,
  } as Caller;
  const offer = async () => await (await app.fetch(new Request("https://n/ark/v1/offer"), caller)).json();
  // What is told on a stream is the same, without asking.
  const stream = new OfferReader();
  let told: Offer | null = null;
  const streaming = (async () => {
    const splitter = new FrameSplitter();
    const { body } = await app.fetch(new Request("https://n/ark/v1/offers", { signal: stop.signal }), caller);
    for await (const chunk of (body ?? assert.fail()).pipeThrough(new TransformStream(), { signal: stop.signal })) {
      for (const bytes of splitter.push(chunk)) {
        const frame = decodeOfferFrame(bytes);
        if (frame.type === "update") told = stream.take(frame.update) ?? told;
      }
    }
  })().catch(() => {});
  const isTold = (state: Offer["state"]) => until(() => told?.state === state);
  const ask = () => {
    const body = JSON.stringify({
      model: "fake",
      input: { kind: "completion", prompt: "a" },
      parameters: { max_tokens: 1 },
    });
    return app.fetch(new Request("https://n/ark/v1/infer", { method: "POST", body }), caller);
  };
  const running = fake.backend.run(stop.signal);
  assert.ok((await offer()).ready);
  const answered = await ask();
  assert.equal(answered.status, 200);
  await answered.body?.pipeTo(new WritableStream());

  strained = true;
  await isTold("thrashing");
  assert.ok(!(await offer()).ready);
  const refused = await ask();
  assert.equal(refused.status, 429);
  assert.equal(refused.headers.get("retry-after"), "30");
  assert.match((await refused.json()).error.message, /too little free memory/);

  strained = false;
  await isTold("ready");
  assert.ok((await offer()).ready);
  const again = await ask();
  assert.equal(again.status, 200);
  await again.body?.pipeTo(new WritableStream());
  await app.settled();
  stop.abort();
  await Promise.all([running, streaming]);
});
