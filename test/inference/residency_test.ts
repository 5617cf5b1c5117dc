import assert from "node:assert/strict";
import type { InferOptions, LocalBackendOptions, MemoryReading } from "@ark/node/inference";
import type { InferenceInput } from "@ark/node/protocol";
import { answerOf, asking, question } from "./backend_contract.ts";
import { alive, FakeBackend, fakeModel, until } from "./local_fixture.ts";

/** Asks a model for one word. */
async function ask(fake: FakeBackend, model: string, options: Partial<InferOptions> = {}): Promise<void> {
  await answerOf(fake.backend.infer(question(model, "a", { max_tokens: 1 }), asking(options)));
}

const PEER = { priority: "peer", principal: "dave" } as const;

function ids(fake: FakeBackend): string[] {
  return fake.backend.loaded().map(({ id }) => id).sort();
}

Deno.test("A model that nobody uses leaves after its keep-alive, and not while it is used", async () => {
  await using fake = new FakeBackend({ keepAliveMs: 300 });
  await ask(fake, "fake");
  const [first] = fake.backend.loaded();
  assert.ok(first !== undefined && first.expiresAt !== null);
  assert.ok(first.expiresAt > first.since && first.expiresAt <= Date.now() + 300);
  const slow = answerOf(fake.backend.infer(question("fake", "#slow=5", { max_tokens: 150 }), asking()));
  await slow;
  assert.deepEqual(fake.backend.loaded().map(({ pid }) => pid), [first.pid], "an answer of 0.75 s kept it");
  await until(() => fake.backend.loaded().length === 0);
  await until(() => !alive(first.pid));
  await ask(fake, "fake");
  assert.equal(fake.log("fake:start").length, 2);
});

Deno.test("The owner's requests say how long a model stays; those of peers have no say", async () => {
  await using fake = new FakeBackend({ keepAliveMs: 60_000 });
  const expiry = () => fake.backend.loaded()[0]?.expiresAt;
  await ask(fake, "fake", { keepAliveMs: null });
  assert.equal(expiry(), null);
  await ask(fake, "fake", { ...PEER, keepAliveMs: 0 });
  assert.equal(expiry(), null);
  await ask(fake, "fake");
  assert.equal(expiry(), null, "without a wish it stays as it was");
  await ask(fake, "fake", { keepAliveMs: 0 });
  await until(() => fake.backend.loaded().length === 0);
  await ask(fake, "fake", { ...PEER, keepAliveMs: null });
  assert.ok((expiry() ?? 0) <= Date.now() + 60_000, "a peer's wish to have it for ever is not heard");
});

Deno.test("load() and unload() bring a model in and send it away; a busy one leaves after its last answer", async () => {
  await using fake = new FakeBackend();
  const { backend } = fake;
  await backend.load("fake", { keepAliveMs: null });
  assert.deepEqual(backend.loaded().map(({ id, expiresAt, task }) => [id, expiresAt, task]), [[
    "fake",
    null,
    "generate",
  ]]);
  const [pid] = backend.loaded().map((each) => each.pid);
  await backend.load("fake");
  await ask(fake, "fake");
  assert.equal(fake.log("fake:start").length, 1);
  await backend.unload("fake");
  assert.deepEqual(backend.loaded(), []);
  assert.ok(!alive(pid ?? 0));
  await backend.unload("fake");
  const iterator = backend.infer(question("fake", "#slow=2", { max_tokens: 60 }), asking())[Symbol.asyncIterator]();
  await iterator.next();
  await backend.unload("fake");
  assert.equal(backend.busy, 1);
  const rest = await Array.fromAsync({ [Symbol.asyncIterator]: () => iterator });
  assert.equal(rest.at(-1)?.type, "end");
  await until(() => backend.loaded().length === 0);
  await assert.rejects(backend.load("no-such"), { code: "model_not_found" });
  await assert.rejects(backend.unload("no-such"), { code: "model_not_found" });
  await assert.rejects(backend.load("fail-load"), { code: "engine_failed", message: /the tensors make no sense/ });
});

Deno.test("load() gives up when its signal is aborted, and when the node stops", async () => {
  const fake = new FakeBackend();
  const leave = new AbortController();
  const loading = fake.backend.load("hang-load", { signal: leave.signal });
  leave.abort();
  await assert.rejects(loading, { code: "cancelled" });
  const other = assert.rejects(fake.backend.load("hang-load"), { code: "cancelled" });
  await fake[Symbol.asyncDispose]();
  await other;
  await assert.rejects(fake.backend.load("fake"), { code: "unavailable" });
});

Deno.test("A model is loaded once for each task, and answers each", async () => {
  await using fake = new FakeBackend({ slots: 4 });
  const inputs: InferenceInput[] = [
    { kind: "completion", prompt: "a" },
    { kind: "embed", texts: ["a b", "c"] },
    { kind: "rerank", query: "a", documents: ["a", "b"] },
  ];
  for (const input of [...inputs, ...inputs]) {
    const parameters = input.kind === "completion" ? { max_tokens: 1 } : {};
    const events = await Array.fromAsync(fake.backend.infer({ model: "fake", input, parameters }, asking()));
    assert.equal(events.at(-1)?.type, "end");
  }
  assert.deepEqual(fake.log("load").map(({ task }) => task), ["generate", "embed", "rerank"]);
  assert.deepEqual(fake.backend.loaded().map(({ task }) => task), ["generate", "embed", "rerank"]);
  await fake.backend.unload("fake");
  assert.deepEqual(fake.backend.loaded(), []);
});

Deno.test("A peer's request sends no model away that the owner used lately, and is told when to ask again", async () => {
  await using fake = new FakeBackend({ maxLoaded: 1, keepAliveMs: 60_000 });
  await ask(fake, "owners");
  await assert.rejects(ask(fake, "theirs", PEER), (error: Error & { code?: string; retryAfterSeconds?: number }) => {
    assert.equal(error.code, "busy");
    assert.match(error.message, /no room beside those that this node's owner uses/);
    const seconds = error.retryAfterSeconds ?? 0;
    return seconds > 0 && seconds <= 60;
  });
  assert.deepEqual(ids(fake), ["owners"]);
  await ask(fake, "owners", PEER);
  await assert.rejects(ask(fake, "theirs", PEER), { code: "busy" });
  await ask(fake, "owners 2");
  assert.deepEqual(ids(fake), ["owners 2"], "the owner may");
});

Deno.test("A thousand requests of peers for other models leave the owner's model where it is", async () => {
  await using fake = new FakeBackend({ maxLoaded: 2 });
  await ask(fake, "owners");
  const [pid] = fake.backend.loaded().map((each) => each.pid);
  const peers = Array.from({ length: 1_000 }, (_, index) => ask(fake, `theirs ${index % 4}`, PEER));
  await Promise.allSettled(peers);
  assert.ok(fake.backend.loaded().some((each) => each.pid === pid));
});

Deno.test("A pinned model is there before anybody asks, never leaves, and comes back when its engine ends", async () => {
  await using fake = new FakeBackend({ maxLoaded: 2, keepAliveMs: 50, pinned: ["pin", "no-such"], preload: ["early"] });
  const stop = new AbortController();
  const running = fake.backend.run(stop.signal);
  await until(() => ids(fake).includes("pin") && fake.log("load").length === 2);
  for (const model of ["a", "b", "c"]) await ask(fake, model);
  await until(() => ids(fake).join() === "pin");
  assert.deepEqual(fake.backend.loaded().map(({ pinned, expiresAt }) => [pinned, expiresAt]), [[true, null]]);
  Deno.kill(fake.backend.loaded()[0]?.pid ?? 0, "SIGKILL");
  await until(() => fake.backend.loaded().length === 0);
  await until(() => ids(fake).includes("pin"));
  assert.equal(fake.log("load").filter(({ path }) => path === "/models/early.gguf").length, 1);
  await fake.backend.unload("pin");
  assert.deepEqual(ids(fake), [], "the owner's word counts");
  stop.abort();
  await running;
});

Deno.test("A pinned model that takes the only place is said to be the reason", async () => {
  await using fake = new FakeBackend({ maxLoaded: 1, pinned: ["pin"] });
  await fake.backend.load("pin");
  await assert.rejects(ask(fake, "other"), { code: "engine_failed", message: /no place beside the 1 that are pinned/ });
});

/** A machine with so much memory. */
function machine(totalBytes: number, availableBytes = totalBytes): NonNullable<LocalBackendOptions["memory"]> {
  const nothing = { stalledUs: null, ownStalledUs: null, swappedIn: null, majorFaults: null };
  return () =>
    Promise.resolve({ ms: performance.now(), ...nothing, totalBytes, availableBytes } satisfies MemoryReading);
}

const GB = 1e9;

function sized(bytes: (name: string) => number): LocalBackendOptions["catalogue"] {
  return { find: (ref) => ({ ...fakeModel(ref), size: bytes(ref) }) };
}

Deno.test("Models leave in the order of their use where memory has no room, though there may be more of them", async () => {
  await using fake = new FakeBackend({
    gpu: "off",
    maxLoaded: 9,
    memory: machine(10 * GB),
    catalogue: sized((name) => name.startsWith("big") ? 5 * GB : 2 * GB),
  });
  const stop = new AbortController();
  const running = fake.backend.run(stop.signal);
  await until(() => fake.backend.loaded().length === 0);
  for (const model of ["a", "b", "c"]) await ask(fake, model);
  await ask(fake, "a");
  assert.deepEqual(ids(fake), ["a", "b", "c"]);
  const { bytes } = fake.backend.loaded()[0] ?? assert.fail();
  assert.ok(bytes >= 2 * GB && bytes < 2.5 * GB, `${bytes}`);
  await ask(fake, "big");
  assert.deepEqual(ids(fake), ["a", "big"]);
  stop.abort();
  await running;
});

Deno.test("A model that is larger than the machine's memory is refused in one sentence, before it is read", async () => {
  await using fake = new FakeBackend({ gpu: "off", memory: machine(8 * GB), catalogue: sized(() => 40 * GB) });
  const message = /^The model large needs about 40\.\d GB of memory, and this machine has 8\.0 GB for it: choose/;
  await assert.rejects(ask(fake, "large"), { code: "engine_failed", message });
  const stop = new AbortController();
  const running = fake.backend.run(stop.signal);
  await assert.rejects(ask(fake, "large too"), { code: "engine_failed" });
  assert.equal(fake.log("fake:start").length, 0);
  stop.abort();
  await running;
});

Deno.test("What the engine says of its memory takes the place of the estimate", async () => {
  await using fake = new FakeBackend({ workerEnvironment: { FAKE_WORKER_BYTES: "123456789" } });
  await ask(fake, "fake");
  const [loaded] = fake.backend.loaded();
  assert.deepEqual([loaded?.bytes, loaded?.vramBytes], [123456789 + 1_000, 1_000]);
});

Deno.test("How far a loading has come is told at most a hundred times, and shown while it lasts", async () => {
  const told: number[] = [];
  await using fake = new FakeBackend({ loadProgress: (_, fraction) => told.push(fraction) });
  const loading = fake.backend.load("step-load");
  assert.deepEqual(fake.backend.loading(), [{ id: "step-load", task: "generate", fraction: 0 }]);
  assert.deepEqual(fake.backend.loaded(), []);
  await loading;
  assert.deepEqual(fake.backend.loading(), []);
  assert.ok(told.length > 50 && told.length <= 101, `${told.length}`);
  assert.equal(told.at(-1), 1);
  assert.deepEqual(told, told.toSorted((a, b) => a - b));
});
