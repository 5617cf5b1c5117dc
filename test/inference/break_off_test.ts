/** What is computed for peers is broken off when the owner asks. */
import assert from "node:assert/strict";
import { EngineWorker } from "../support/engine_worker.ts";
import { longPrompt } from "./engine_contract.ts";

Deno.test("NativeContext.breakOff() ends a step at once, and leaves what was there before as it was", async () => {
  const { stdout, success } = await new Deno.Command(Deno.execPath(), {
    args: ["run", "-A", "test/support/break_off_main.ts"],
    stderr: "null",
  }).output();
  assert.ok(success);
  const { whole, brokenOff, again, same } = JSON.parse(
    new TextDecoder().decode(stdout).trim().split("\n").at(-1) ?? "",
  );
  assert.deepEqual({ whole, again, same }, { whole: true, again: true, same: true });
  // Half of them were told before they could have begun.
  assert.ok(brokenOff >= 5, `${brokenOff} of 20 were broken off`);
});

/** A letter that is made so likely that the model writes nothing else. */
const LETTER: [number, number] = [89, 100];

/** The owner's requests, `count` of them one after the other, or until the signal is aborted. */
async function owners(
  worker: EngineWorker,
  { count = Infinity, pauseMs, signal }: { count?: number; pauseMs: number; signal?: AbortSignal },
): Promise<number> {
  let asked = 0;
  while (asked < count && !signal?.aborted) {
    const { text } = await worker.ask({
      prompt: longPrompt(1, asked++),
      principal: "owner",
      urgent: true,
      parameters: { temperature: 0, max_tokens: 2, logit_bias: [LETTER] },
    });
    assert.equal(text, "xx");
    if (pauseMs > 0) await new Promise((resolve) => setTimeout(resolve, pauseMs));
  }
  return asked;
}

async function peer(
  worker: EngineWorker,
  { number, sentences, tokens }: Record<"number" | "sentences" | "tokens", number>,
) {
  const { text, usage, parts } = await worker.ask({
    prompt: longPrompt(sentences, number),
    principal: `peer ${number}`,
    parameters: { temperature: 0, max_tokens: tokens, logit_bias: [LETTER] },
  });
  // From the first token to the last: nothing was lost and nothing doubled.
  assert.equal(text, "x".repeat(tokens));
  assert.equal(usage.completion_tokens, tokens);
  assert.equal(parts.reduce((sum, part) => sum + ("tokens" in part ? part.tokens : 0), 0), tokens);
}

Deno.test("Peers' answers are broken off for the owner's again and again, and have all their tokens in the end", async () => {
  await using worker = await EngineWorker.start({ slots: 3 });
  const peers = [1, 2].map((number) => peer(worker, { number, sentences: 36, tokens: 60 }));
  await owners(worker, { count: 40, pauseMs: 5 });
  await Promise.all(peers);
});

Deno.test("Peers' answers come to their end, though the owner asks without a pause", async () => {
  await using worker = await EngineWorker.start({ slots: 2 });
  const over = new AbortController();
  const asked = owners(worker, { pauseMs: 0, signal: over.signal });
  await peer(worker, { number: 1, sentences: 12, tokens: 2 });
  over.abort();
  assert.ok(await asked > 0);
});
