/** What every engine promises, as tests that each can be put through: in its worker, with a real, tiny model. */
import assert from "node:assert/strict";
import type { EngineChoice, EngineLoad } from "@ark/node/inference";
import type { GenerationParameters } from "@ark/node/protocol";
import { type Asked, EngineWorker } from "../support/engine_worker.ts";

/** A text of some thousand letters, another one for each number. */
export function longPrompt(sentences: number, number = 0): string {
  return `Server ${number} is ready and the client waits for an answer of the node. `.repeat(sentences);
}

/** Adds the tests of the contract for one engine. */
export function engineContract(engine: Exclude<EngineChoice, "auto">): void {
  function contract(sentence: string, check: (worker: EngineWorker) => Promise<void>, load: Partial<EngineLoad> = {}) {
    Deno.test(`Engine ${engine} ${sentence}`, async () => {
      await using worker = await EngineWorker.start({ engine, ...load });
      await check(worker);
    });
  }

  contract("tells what it loaded, and how many tokens a request has", async (worker) => {
    assert.equal(worker.loaded.context_size, 1_024);
    assert.equal(worker.loaded.threads, 1);
    assert.equal(worker.loaded.gpu, null);
    assert.equal(worker.loaded.slots, 1);
    assert.match(worker.loaded.engine, /^llama\.cpp v/);
    assert.deepEqual(worker.progress, worker.progress.toSorted((a, b) => a - b));
    const counted = await worker.ask({ count_only: true });
    assert.deepEqual(counted.parts, []);
    assert.equal(counted.usage.completion_tokens, 0);
    const answer = await worker.ask({});
    assert.equal(counted.usage.prompt_tokens, answer.usage.prompt_tokens);
    assert.equal(answer.usage.completion_tokens, 20);
    assert.equal(answer.finish_reason, "length");
    assert.equal(answer.parts.reduce((sum, part) => sum + ("tokens" in part ? part.tokens : 0), 0), 20);
    assert.ok(answer.prompt_ms > 0 && answer.generation_ms > 0);
  });

  contract("writes the same with the same seed, whatever was there before, and else something else", async (worker) => {
    const parameters = { seed: 7, max_tokens: 40 };
    for (const prompt of ["To install the package", longPrompt(30)]) {
      const first = await worker.ask({ prompt, parameters });
      await worker.ask({ prompt: `${prompt} and then `, parameters: { max_tokens: 3 } });
      const again = await worker.ask({ prompt, parameters });
      assert.equal(again.text, first.text);
      assert.notEqual((await worker.ask({ prompt, parameters: { ...parameters, seed: 8 } })).text, first.text);
    }
    const free = await Promise.all([worker.ask({ parameters: { max_tokens: 40 } })]);
    assert.notEqual((await worker.ask({ parameters: { max_tokens: 40 } })).text, free[0]?.text);
  });

  contract("ends before a stop text, and names it", async (worker) => {
    const whole = await worker.ask({ parameters: { temperature: 0, max_tokens: 40 } });
    const stop = whole.text.slice(12, 15);
    const stopped = await worker.ask({ parameters: { temperature: 0, max_tokens: 40, stop: ["never there", stop] } });
    assert.equal(stopped.text, whole.text.slice(0, whole.text.indexOf(stop)));
    assert.equal(stopped.finish_reason, "stop");
    assert.equal(stopped.stop_text, stop);
  });

  contract("is cancelled within a token, and free at once", async (worker) => {
    for (let round = 0; round < 3; round++) {
      const controller = new AbortController();
      let [parts, after] = [0, 0];
      await assert.rejects(
        worker.ask({ parameters: { max_tokens: 900, temperature: 0 } }, {
          signal: controller.signal,
          seen: ({ type }) => {
            if (type !== "part") return;
            if (controller.signal.aborted) after++;
            else if (++parts === 5) controller.abort();
          },
        }),
        { code: "cancelled" },
      );
      // The order is on its way while the engine goes on: on a busy machine that is some tokens of a tiny model.
      assert.ok(after < 200, `${after} parts came after the cancel`);
      await worker.ask({ parameters: { max_tokens: 1 } });
    }
  });

  contract("refuses what does not fit before it computes anything, and ends where the context does", async (worker) => {
    await assert.rejects(worker.ask({ prompt: longPrompt(100) }), {
      code: "context_exceeded",
      message: /^The prompt has \d+ tokens and the context 1024; shorten the prompt$/,
    });
    const full = await worker.ask({ prompt: longPrompt(40), parameters: { temperature: 0 } });
    assert.equal(full.finish_reason, "length");
    assert.equal(full.usage.prompt_tokens + full.usage.completion_tokens, 1_024);
  });

  contract("uses what it computed for the same principal, and nothing of another's", async (worker) => {
    const prompt = longPrompt(30);
    const cached = async (principal: string, parameters: GenerationParameters = { max_tokens: 4, temperature: 0 }) => {
      const { usage, text } = await worker.ask({ prompt, principal, parameters });
      return { cached: usage.cached_tokens, of: usage.prompt_tokens, text };
    };
    const [first, second, other, back] = [await cached("a"), await cached("a"), await cached("b"), await cached("a")];
    assert.equal(first.cached, 0);
    assert.equal(second.cached, second.of - 1);
    assert.deepEqual([other.cached, back.cached], [0, 0]);
    assert.deepEqual(new Set([first.text, second.text, other.text, back.text]).size, 1);
  });

  contract("cannot be brought to an end by a request", async (worker) => {
    const odd: GenerationParameters[] = [
      { max_tokens: 3, temperature: 2, top_k: 1_000_000, top_p: 0, min_p: 1 },
      { max_tokens: 3, repeat_penalty: 2, repeat_last_n: 100_000, frequency_penalty: -2, presence_penalty: 2 },
      { max_tokens: 3, stop: ["", "\0", "a".repeat(5_000)] },
      { max_tokens: 3, seed: -1 },
      // The addon has no typical_p, and refuses it.
      { max_tokens: 3, seed: 0xffffffff, ...engine === "native" ? { typical_p: 0.2 } : {} },
    ];
    for (const parameters of odd) assert.ok((await worker.ask({ parameters })).usage.completion_tokens >= 0);
    for (const prompt of ["", "\0\0", "\ud800", "<s></s>", "😀".repeat(50)]) {
      await worker.ask({ prompt, parameters: { max_tokens: 2 } }).catch(({ code }) =>
        assert.equal(code, "bad_request")
      );
    }
    await worker.ask({});
  });

  Deno.test(`Engine ${engine} says why a file is no model of its`, async () => {
    const start = EngineWorker.start({ engine, path: "deno.json" });
    await assert.rejects(start, /^Error: (?!.*deno\.json).{10,}$/);
  });
}

/** The texts of some questions, each asked alone. */
export async function alone(worker: EngineWorker, prompts: readonly string[]): Promise<Asked[]> {
  const answers: Asked[] = [];
  for (const [index, prompt] of prompts.entries()) {
    answers.push(await worker.ask({ prompt, principal: `p${index}`, parameters: { temperature: 0, max_tokens: 40 } }));
  }
  return answers;
}
