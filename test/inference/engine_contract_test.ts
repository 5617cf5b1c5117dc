import assert from "node:assert/strict";
import { EngineWorker } from "../support/engine_worker.ts";
import { alone, engineContract, longPrompt } from "./engine_contract.ts";

engineContract("native");
engineContract("addon");

const PROMPTS = [
  "To install the package",
  "The server is",
  "A list of files: ",
  longPrompt(5),
  "def main():",
  "Copyright (c)",
  "This option",
  "Note that the ",
];

Deno.test("Both engines write the same, greedily", async () => {
  await using native = await EngineWorker.start({ engine: "native" });
  await using addon = await EngineWorker.start({ engine: "addon" });
  assert.match(native.loaded.engine, /native$/);
  const [ours, theirs] = [await alone(native, PROMPTS), await alone(addon, PROMPTS)];
  // They compute a prompt in other batches, and a near tie may fall the other way; most must not.
  const same = ours.filter(({ text }, index) => text === theirs[index]?.text).length;
  assert.ok(same >= PROMPTS.length - 2, `${same} of ${PROMPTS.length} answers are the same`);
  for (const [index, { text }] of ours.entries()) {
    assert.equal(text.slice(0, 4), theirs[index]?.text.slice(0, 4));
    assert.equal(ours[index]?.usage.prompt_tokens, theirs[index]?.usage.prompt_tokens);
  }
});

Deno.test("The native engine answers 1, 4 and 8 at once as if each were alone", async () => {
  await using worker = await EngineWorker.start({ engine: "native", slots: 8 });
  assert.equal(worker.loaded.slots, 8);
  const expected = await alone(worker, PROMPTS);
  for (const count of [1, 4, 8]) {
    const answers = await Promise.all(
      PROMPTS.slice(0, count).map((prompt, index) =>
        worker.ask({ prompt, principal: `${count} ${index}`, parameters: { temperature: 0, max_tokens: 40 } })
      ),
    );
    const same = answers.filter(({ text }, index) => text === expected[index]?.text).length;
    // A batch of several rounds otherwise than one of one, and a near tie may fall the other way.
    assert.ok(same >= count - 1, `${same} of ${count} answers are as alone`);
  }
});

Deno.test("The native engine lets no long prompt hold up the others", async () => {
  await using worker = await EngineWorker.start({ engine: "native", slots: 2 });
  const order: string[] = [];
  const seen = (name: string) => ({ type }: { type: string }) => void order.push(`${name} ${type}`);
  const writing = worker.ask({ parameters: { max_tokens: 300, temperature: 0 } }, {
    seen: (message) => {
      seen("writer")(message);
      if (order.length === 10) void reading.resolve();
    },
  });
  const reading = Promise.withResolvers<void>();
  await reading.promise;
  await worker.ask({ prompt: longPrompt(40, 1), principal: "b", parameters: { max_tokens: 1 } }, {
    seen: seen("reader"),
  });
  await writing;
  const meanwhile = order.slice(order.indexOf("reader start"), order.indexOf("reader part"));
  // Its prompt is four chunks: between two of them each other answer has its turn.
  assert.ok(meanwhile.filter((each) => each === "writer part").length >= 3, meanwhile.join());
});

Deno.test("The native engine is as good as told: each slot has the whole context", async () => {
  await using worker = await EngineWorker.start({ engine: "native", slots: 4, context_size: 512 });
  assert.equal(worker.loaded.context_size, 512);
  const answers = await Promise.all(
    ["a", "b", "c", "d"].map((principal, index) =>
      worker.ask({ prompt: longPrompt(18, index), principal, parameters: { temperature: 0 } })
    ),
  );
  for (const { usage } of answers) assert.equal(usage.prompt_tokens + usage.completion_tokens, 512);
  await assert.rejects(worker.ask({ prompt: longPrompt(40) }), { code: "context_exceeded" });
});

Deno.test("The native engine uses whole chunks again where a seed is given, and writes the same to the last token", async () => {
  await using worker = await EngineWorker.start({ engine: "native", slots: 2 });
  const prompt = longPrompt(30);
  const parameters = { seed: 5, max_tokens: 60, temperature: 1.5, top_k: 0, top_p: 1, min_p: 0 };
  const first = await worker.ask({ prompt, parameters });
  const again = await worker.ask({ prompt, parameters });
  assert.equal(first.usage.cached_tokens, 0);
  assert.equal(again.usage.cached_tokens, 256 * Math.floor((again.usage.prompt_tokens - 1) / 256));
  assert.ok(again.usage.cached_tokens > 0);
  assert.equal(again.text, first.text);
});

Deno.test("The native engine tells how likely tokens were: the chosen one first, and no more than all of it", async () => {
  await using worker = await EngineWorker.start({ engine: "native" });
  const { parts, usage } = await worker.ask({ parameters: { temperature: 0, max_tokens: 30, logprobs: 20 } });
  const told = parts.flatMap((part) => part.type === "text" ? part.logprobs ?? [] : []);
  assert.equal(told.length, usage.completion_tokens);
  for (const { token, bytes, logprob, top } of told) {
    assert.equal(top.length, 20);
    assert.equal(top[0]?.token, token);
    assert.equal(top[0]?.logprob, logprob);
    assert.equal(new TextDecoder().decode(Uint8Array.from(bytes)), token);
    const logprobs = top.map((each) => each.logprob);
    assert.deepEqual(logprobs, logprobs.toSorted((a, b) => b - a));
    const sum = logprobs.reduce((all, each) => all + Math.exp(each), 0);
    assert.ok(sum > 0 && sum <= 1 + 1e-6, `${sum}`);
  }
  const plain = await worker.ask({ parameters: { temperature: 0, max_tokens: 30 } });
  assert.ok(plain.parts.every((part) => part.type === "text" && part.logprobs === undefined));
});

Deno.test("The native engine adds a bias to tokens", async () => {
  await using worker = await EngineWorker.start({ engine: "native" });
  const { parts } = await worker.ask({ parameters: { max_tokens: 5, logprobs: 1, logit_bias: [[300, 100]] } });
  const told = parts.flatMap((part) => part.type === "text" ? part.logprobs ?? [] : []);
  assert.equal(new Set(told.map(({ token }) => token)).size, 1);
  const [{ token: likeliest = "" } = {}] =
    (await worker.ask({ parameters: { max_tokens: 1, temperature: 0, logprobs: 1 } }))
      .parts.flatMap((part) => part.type === "text" ? part.logprobs ?? [] : []);
  const ids = Array.from({ length: 4_096 }, (_, id): [number, number] => [id, -100]).filter(([id]) => id !== 300);
  const only = await worker.ask({ parameters: { max_tokens: 3, temperature: 0, logit_bias: ids } });
  assert.notEqual(only.text.slice(0, likeliest.length), likeliest);
  // What the vocabulary has not is left out.
  await worker.ask({ parameters: { max_tokens: 1, logit_bias: [[-5, 3], [1e9, 3], [4_096, 1]] } });
});

Deno.test("The native engine refuses tokens that the model has not", async () => {
  await using worker = await EngineWorker.start({ engine: "native" });
  for (const prompt of [[-1], [4_096], [1.5], [2 ** 40], []]) {
    await assert.rejects(worker.ask({ input: { kind: "completion", prompt } }), { code: "bad_request" });
  }
  assert.equal((await worker.ask({ input: { kind: "completion", prompt: [5, 6, 7] } })).usage.prompt_tokens, 3);
});

Deno.test("The native engine refuses an addition to the model that it was not given", async () => {
  await using worker = await EngineWorker.start({ engine: "native" });
  await assert.rejects(worker.ask({ parameters: { lora: [{ name: "other", scale: 1 }] } }), { code: "bad_request" });
  await worker.ask({ parameters: { lora: [{ name: "other", scale: 0 }], max_tokens: 1 } });
});
