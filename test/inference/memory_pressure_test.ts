import assert from "node:assert/strict";
import type { InferOptions } from "@ark/node/inference";
import { MemoryGuard } from "../../src/inference/memory_guard.ts";
import { type MemoryReading, readMemory } from "../../src/inference/memory_reader.ts";
import { answerOf, asking, question } from "./backend_contract.ts";
import { Balloon } from "./balloon.ts";
import { FakeBackend, until } from "./local_fixture.ts";

const reason = Balloon.missing();
// deno-lint-ignore no-console
if (reason !== null) console.log(`memory_pressure_test: skipped, ${reason}`);

Deno.test({
  name: "MemoryGuard sees a real control group thrash, and that it is over",
  ignore: reason !== null,
  fn: seesThrashing,
});

async function seesThrashing(): Promise<void> {
  await using balloon = Balloon.make();
  const guard = new MemoryGuard({ calmMs: 2_000 });
  const looked = async () => {
    guard.note(await readMemory({ group: balloon.group }));
    await new Promise((resolve) => setTimeout(resolve, 500));
    return guard.ready;
  };
  for (let turn = 0; turn < 3; turn++) assert.ok(await looked(), "nothing runs there yet");
  await balloon.inflate();
  await until(async () => !await looked());
  assert.match(guard.reason ?? "", /programs wait for memory \d+ % of the time/);
  await balloon.deflate();
  await until(looked);
}

const OWNER = {};
const PEER = { priority: "peer", principal: "dave" } as const;

Deno.test("While memory is short peers are refused, the owner is answered, and what only peers used leaves; then all is as before", async () => {
  let [ms, stalledUs, strained] = [0, 0, false];
  const memory = (): Promise<MemoryReading> => {
    ms += 10_000;
    if (strained) stalledUs += 5e6;
    const rest = { ownStalledUs: null, swappedIn: null, majorFaults: null, totalBytes: null, availableBytes: null };
    return Promise.resolve({ ms, stalledUs, ...rest });
  };
  const lines: string[] = [];
  const log = (message: string) => void lines.push(message);
  await using fake = new FakeBackend({ memory, watchMs: 10, logger: { debug() {}, info: log, warn: log } });
  const { backend } = fake;
  const stop = new AbortController();
  const running = backend.run(stop.signal);
  const ask = (who: Partial<InferOptions>, model: string, { prompt = "a", max_tokens = 1 } = {}) =>
    answerOf(backend.infer(question(model, prompt, { max_tokens }), asking(who)));
  await ask(PEER, "theirs");
  await ask(OWNER, "owners");
  const begun = ask(PEER, "owners", { prompt: "#slow=5", max_tokens: 200 });
  const waiting = assert.rejects(ask(PEER, "owners", { prompt: "waits" }), { code: "busy" });
  await until(() => backend.queued === 1);
  assert.ok(backend.ready && backend.fault === null);

  strained = true;
  await until(() => !backend.ready);
  await waiting;
  await assert.rejects(ask(PEER, "owners"), (error: Error & { code?: string; retryAfterSeconds?: number }) => {
    assert.deepEqual([error.code, error.retryAfterSeconds], ["busy", 30]);
    return /too little free memory/.test(error.message);
  });
  assert.match(backend.fault ?? "", /wait for memory 50 % of the time/);
  await until(() => backend.loaded().every(({ id }) => id === "owners"));
  assert.equal((await ask(OWNER, "owners")).text, "w0");
  assert.equal((await begun).usage.completion_tokens, 200, "what was begun goes on");

  strained = false;
  await until(() => backend.ready);
  await ask(PEER, "owners");
  assert.equal(lines.filter((line) => /memory/.test(line)).length, 2);
  stop.abort();
  await running;
});
