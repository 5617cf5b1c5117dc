import assert from "node:assert/strict";
import { ArkError, type InferenceEvent } from "@ark/node/protocol";
import type { LocalBackend } from "@ark/node/inference";
import { answerOf, asking, question } from "./backend_contract.ts";
import { FakeBackend, until } from "./local_fixture.ts";

Deno.test("LocalBackend runs as many requests of a model at once as it has slots, in one process", async () => {
  await using fake = new FakeBackend({ slots: 4 });
  const { backend } = fake;
  const answers = Array.from({ length: 6 }, (_, index) => new Asked(backend, `${index} #slow=2`, 200));
  await until(() => backend.busy === 4);
  assert.equal(backend.queued, 2);
  assert.deepEqual(backend.loaded().map(({ running, slots }) => [running, slots]), [[4, 4]]);
  await until(() => answers.slice(0, 4).every(({ tokens }) => tokens > 3));
  assert.ok(answers.slice(4).every(({ tokens }) => tokens === 0));
  await Promise.all(answers.map(({ ended }) => ended));
  assert.ok(answers.every(({ tokens }) => tokens === 200));
  assert.equal(fake.log("fake:start").length, 1);
});

Deno.test("LocalBackend takes as many slots as the engine says, though more were asked for", async () => {
  await using fake = new FakeBackend({ slots: 60 });
  await answerOf(fake.backend.infer(question("fake", "a"), asking()));
  assert.deepEqual(fake.backend.loaded().map(({ slots }) => slots), [8]);
  const answers = Array.from({ length: 12 }, () => new Asked(fake.backend, "#slow=1", 40));
  await until(() => fake.backend.busy === 8);
  await Promise.all(answers.map(({ ended }) => ended));
});

Deno.test("LocalBackend cancels one of several requests, and the others do not hear of it", async () => {
  await using fake = new FakeBackend({ slots: 3 });
  const answers = Array.from({ length: 3 }, (_, index) => new Asked(fake.backend, `${index} #slow=1`, 150));
  await until(() => answers.every(({ tokens }) => tokens > 2));
  answers[1]?.leave.abort();
  const [first, second, third] = await Promise.all(answers.map(({ ended }) => ended));
  assert.deepEqual([first, second, third], ["ok", "cancelled", "ok"]);
  assert.deepEqual(answers.map(({ tokens }) => tokens === 150), [true, false, true]);
  assert.equal(fake.log("cancel").length, 1);
});

Deno.test("LocalBackend fails all requests of an engine that ends, and the ones that wait get a new one", async () => {
  await using fake = new FakeBackend({ slots: 2 });
  const running = [new Asked(fake.backend, "#slow=1", 900), new Asked(fake.backend, "#slow=1", 900)];
  await until(() => running.every(({ tokens }) => tokens > 2));
  const waiting = new Asked(fake.backend, "waits", 3);
  Deno.kill(fake.backend.loaded()[0]?.pid ?? 0, "SIGKILL");
  assert.deepEqual(await Promise.all(running.map(({ ended }) => ended)), ["engine_failed", "engine_failed"]);
  assert.equal(await waiting.ended, "ok");
  assert.equal(fake.log("fake:start").length, 2);
});

Deno.test("Peers never take the last slot of a model, and the owner's request begins at once beside them", async () => {
  await using fake = new FakeBackend({ slots: 3 });
  const { backend } = fake;
  const peers = Array.from({ length: 6 }, (_, peer) => new Asked(backend, `#slow=2`, 400, `peer ${peer}`));
  await until(() => backend.busy === 2);
  assert.equal(backend.queued, 4);
  const before = fake.log("cancel").length;
  const owner = new Asked(backend, "owner", 3);
  assert.equal(backend.busy, 3, "it did not wait for anybody");
  assert.equal(await owner.ended, "ok");
  assert.equal(backend.busy, 2, "no peer took the slot that became free");
  assert.equal(fake.log("cancel").length, before, "nobody's answer was set aside for it");
  for (const { leave } of peers) leave.abort();
  await Promise.all(peers.map(({ ended }) => ended));
});

Deno.test("Where all slots are taken, one peer's answer is set aside for each request of the owner, and goes on", async () => {
  await using fake = new FakeBackend({ slots: 3 });
  const { backend } = fake;
  const first = new Asked(backend, "first #slow=2", 300);
  await until(() => first.tokens > 0);
  const peers = [new Asked(backend, "a #slow=2", 300, "peer a"), new Asked(backend, "b #slow=2", 300, "peer b")];
  await until(() => peers.every(({ tokens }) => tokens > 5));
  const owner = new Asked(backend, "owner", 3);
  assert.equal(await owner.ended, "ok");
  const cancels = fake.log("cancel").length;
  assert.equal(cancels, 1, "only as many as needed");
  assert.deepEqual(await Promise.all([first, ...peers].map(({ ended }) => ended)), ["ok", "ok", "ok"]);
  for (const peer of peers) {
    assert.equal(peer.tokens, 300);
    assert.equal(peer.events.filter(({ type }) => type === "start").length, 1);
  }
  const prompts = fake.log("generate").map(({ input }) => (input as { prompt: string }).prompt);
  // The younger one, which has less to be read again.
  assert.equal(prompts.length, 5);
  assert.equal(prompts.at(-1), "b #slow=2");
  assert.ok(fake.log("generate").at(-1)?.resume !== undefined);
});

Deno.test("LocalBackend tells who finds the line full where it would stand and for how long, from what was measured", async () => {
  await using fake = new FakeBackend({ slots: 1, maxQueued: 2 });
  const { backend } = fake;
  // About 300 ms each.
  for (let turn = 0; turn < 3; turn++) await new Asked(backend, "#slow=10", 30).ended;
  const all = Array.from({ length: 3 }, () => new Asked(backend, "#slow=10", 30));
  await until(() => backend.queued === 2);
  const error = await refusal(backend);
  assert.equal(error.code, "busy");
  assert.match(error.message, /^Too many requests are waiting .* number 3, .* about (\d+) s/);
  // Three turns of at least 0.3 s, on a machine that may be ten times slower.
  const seconds = error.retryAfterSeconds ?? 0;
  assert.ok(seconds >= 1 && seconds <= 15, `${seconds} s`);
  await Promise.all(all.map(({ ended }) => ended));
});

async function refusal(backend: LocalBackend): Promise<ArkError> {
  try {
    await Array.fromAsync(backend.infer(question("fake", "a"), asking()));
  } catch (error) {
    if (error instanceof ArkError) return error;
  }
  return assert.fail("It was not refused");
}

/** A request, asked at once, and what has come of it. */
class Asked {
  readonly leave = new AbortController();
  readonly events: InferenceEvent[] = [];
  readonly ended: Promise<string>;
  tokens = 0;

  constructor(backend: LocalBackend, prompt: string, max_tokens: number, principal = "owner") {
    const priority = principal === "owner" ? "owner" : "peer";
    const options = asking({ priority, principal, signal: this.leave.signal });
    this.ended = this.#read(backend.infer(question("fake", prompt, { max_tokens }), options));
  }

  async #read(events: AsyncIterable<InferenceEvent>): Promise<string> {
    try {
      for await (const event of events) {
        this.events.push(event);
        if (event.type === "text") this.tokens += event.tokens;
      }
      return "ok";
    } catch (error) {
      return (error as ArkError).code;
    }
  }
}
