/** How the decode loop puts its batches together, with a context that only notes what it is given. */
import assert from "node:assert/strict";
import { AnswerWriter } from "../../src/inference/worker/answer_writer.ts";
import { DecodeLoop, type LoopOptions } from "../../src/inference/worker/native/decode_loop.ts";
import { Job } from "../../src/inference/worker/native/job.ts";
import { SequenceCache } from "../../src/inference/worker/native/sequence_cache.ts";
import { PlainReader } from "../../src/inference/worker/prepare.ts";

const CHUNK = 16;

interface Token {
  token: number;
  sequence: number;
  position: number;
  output: boolean;
}

interface Wish {
  /** Number of tokens. */
  prompt: number;
  /** Tokens to write. */
  most?: number;
  exact?: boolean;
  signal?: AbortSignal;
  /** Hears each token. */
  wrote?: () => void;
}

/** A loop over a model whose every token is the next number. */
function looped(slots: number, { brokenOff = 0 }: { brokenOff?: number } = {}) {
  const urgent = brokenOff === 0;
  // As llama.cpp has it: what a sequence holds must be gone on from, token by token.
  const held = Array.from({ length: slots }, () => 0);
  const hold = (tokens: readonly Token[]) => {
    for (const { sequence, position } of tokens) {
      if (held[sequence] !== position) throw new Error(`Sequence ${sequence} does not hold ${position} tokens`);
      held[sequence] = position + 1;
    }
  };
  let left = brokenOff;
  const batches: Token[][] = [];
  let batch: Token[] = [];
  const order: string[] = [];
  const context = {
    pointer: null,
    layout: { chunkTokens: CHUNK, slots, contextSize: 256, threads: 1 },
    batch: {
      clear: () => batch = [],
      add: (token: number, rest: Omit<Token, "token">) => batch.push({ token, ...rest }),
    },
    // deno-lint-ignore require-await
    decodeBeside: async () => {
      if (left-- <= 0) {
        context.decode();
        return true;
      }
      // What is computed of a batch before it is broken off stays.
      hold(batch.slice(0, batch.length / 2));
      return false;
    },
    forget: (sequence: number, from = 0) => void (held[sequence] = from),
    decode: () => {
      hold(batch);
      batches.push(batch);
      order.push("decode");
    },
  };
  const cache = new SequenceCache(slots, { chunkTokens: CHUNK, cuttable: true }, () => {});
  const options = {
    libraries: { rest: () => Promise.resolve() },
    context,
    vocabulary: { isEnd: () => false },
    candidates: {},
    loras: { apply: () => {} },
    cache,
    breakable: brokenOff > 0,
  };
  const loop = new DecodeLoop(options as unknown as LoopOptions);
  const ask = (principal: string, { prompt, most = 3, exact = false, signal, wrote }: Wish) => {
    const tokens = Array.from({ length: prompt }, (_, index) => index + 1);
    const slot = cache.take({ principal, variant: "", prompt: tokens, exact, urgent: true });
    assert.ok(slot !== undefined);
    let next = 100;
    const prepared = { tokens, grammar: null, stop: [], preserved: new Map(), reader: () => new PlainReader() };
    const job = new Job({
      prompt: tokens,
      promptTokens: prompt,
      slot,
      most,
      logprobs: undefined,
      loras: { variant: "", adapters: [] },
      sampler: { sample: () => next++, free: () => {} } as unknown as ConstructorParameters<typeof Job>[0]["sampler"],
      writer: new AnswerWriter({ detokenize: (ids) => ids.map((id) => ` ${id}`).join(""), prepared, parameters: {} }),
      part: () => {
        queueMicrotask(() => order.push("told"));
        wrote?.();
      },
      signal: signal ?? new AbortController().signal,
      urgent,
      exact,
    });
    loop.add(job);
    return job.done;
  };
  return { batches, order, ask, cache };
}

/** The sequences of a batch, each with how many tokens it has there. */
function shape(batch: readonly Token[]): [sequence: number, tokens: number][] {
  return [...Map.groupBy(batch, ({ sequence }) => sequence)].map(([sequence, tokens]) => [sequence, tokens.length]);
}

Deno.test("DecodeLoop reads short prompts that come together in one batch, and writes their answers in step", async () => {
  const { batches, ask } = looped(4);
  const answers = await Promise.all([2, 3, 4, 5].map((prompt, index) => ask(`p${index}`, { prompt })));
  assert.deepEqual(answers.map(({ usage }) => usage.completion_tokens), [3, 3, 3, 3]);
  assert.deepEqual(batches.map(shape), [
    [[0, 2], [1, 3], [2, 4], [3, 5]],
    [[0, 1], [1, 1], [2, 1], [3, 1]],
    [[0, 1], [1, 1], [2, 1], [3, 1]],
  ]);
  // The last token of each prompt, and no other, has a result.
  assert.deepEqual(batches[0]?.flatMap(({ output }, at) => output ? at : []), [1, 4, 8, 13]);
});

Deno.test("DecodeLoop puts sequences into a batch by their numbers, whoever came first", async () => {
  const { batches, ask, cache } = looped(4);
  // The first one's sequence is the last.
  const taken = [0, 1, 2].map((index) =>
    cache.take({ principal: `other ${index}`, variant: "", prompt: [1], exact: false, urgent: true })
  );
  const begun = Promise.withResolvers<void>();
  const first = ask("first", { prompt: 2, most: 20, wrote: () => begun.resolve() });
  await begun.promise;
  for (const slot of taken.toReversed()) if (slot !== undefined) cache.free(slot);
  await Promise.all([first, ask("second", { prompt: 3, most: 6 }), ask("third", { prompt: 2, most: 6 })]);
  for (const batch of batches) {
    const sequences = batch.map(({ sequence }) => sequence);
    assert.deepEqual(sequences, sequences.toSorted((a, b) => a - b));
  }
  assert.ok(batches.some((batch) => shape(batch).length === 3 && batch.at(-1)?.sequence === 3));
});

Deno.test("DecodeLoop reads what must always be computed in the same way alone, in whole chunks", async () => {
  const { batches, ask } = looped(3);
  await Promise.all([
    ask("a", { prompt: CHUNK + 3, most: 1 }),
    ask("b", { prompt: CHUNK + 5, most: 1, exact: true }),
    ask("c", { prompt: 4, most: 1 }),
  ]);
  // Whole chunks fill their batch; what is exact has the rest for itself, too.
  assert.deepEqual(batches.map(shape), [
    [[0, CHUNK]],
    [[1, CHUNK]],
    [[0, 3], [2, 4]],
    [[1, 5]],
  ]);
});

Deno.test("DecodeLoop has what a step brought told before the next one begins", async () => {
  const { order, ask } = looped(2);
  await Promise.all([ask("a", { prompt: 2, most: 4 }), ask("b", { prompt: 2, most: 4 })]);
  assert.deepEqual(order.join(" ").split("decode").map((told) => told.trim()), [
    "",
    ...Array.from({ length: 4 }, () => "told told"),
  ]);
});

Deno.test("DecodeLoop ends an answer within one token, and the others do not hear of it", async () => {
  const { batches, ask } = looped(2);
  const controller = new AbortController();
  let count = 0;
  const wrote = () => {
    if (++count === 3) controller.abort();
  };
  const left = ask("a", { prompt: 2, most: 50, signal: controller.signal, wrote });
  const other = ask("b", { prompt: 2, most: 8 });
  await assert.rejects(left, { code: "cancelled" });
  assert.equal(count, 3);
  assert.equal((await other).usage.completion_tokens, 8);
  assert.deepEqual(batches.filter((batch) => shape(batch).length === 2).length, 3);
});

Deno.test("DecodeLoop has all of a batch computed again after it was broken off in the midst of it", async () => {
  const { ask } = looped(3, { brokenOff: 3 });
  const answers = await Promise.all([5, 2, 7].map((prompt, index) => ask(`p${index}`, { prompt })));
  assert.deepEqual(answers.map(({ usage }) => usage.completion_tokens), [3, 3, 3]);
});
