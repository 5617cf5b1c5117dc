import assert from "node:assert/strict";
import fc from "fast-check";
import { SequenceCache, type Slot } from "../../src/inference/worker/native/sequence_cache.ts";

const CHUNK = 4;

/** A cache, and what each sequence's memory really holds: who wrote each token. */
function cacheWithMemory(slots: number, { cuttable } = { cuttable: true }) {
  const memory = Array.from({ length: slots }, (): { token: number; principal: string; variant: string }[] => []);
  const cache = new SequenceCache(slots, { chunkTokens: CHUNK, cuttable }, (sequence, from) => {
    memory[sequence]?.splice(from);
  });
  return { cache, memory };
}

interface Ask {
  principal: string;
  variant: string;
  prompt: number[];
  exact: boolean;
  urgent: boolean;
  /** Tokens of the prompt that are computed before it is over: all, or fewer where it is cancelled. */
  computed: number;
  /** How many of the requests that run are over before this one comes. */
  over: number;
}

const asks = fc.array(
  fc.record({
    principal: fc.constantFrom("a", "b", "c"),
    variant: fc.constantFrom("", "lora"),
    prompt: fc.array(fc.integer({ min: 0, max: 1 }), { minLength: 1, maxLength: 14 }),
    exact: fc.boolean(),
    urgent: fc.boolean(),
    computed: fc.integer({ min: 0, max: 14 }),
    over: fc.integer({ min: 0, max: 3 }),
  }),
  { maxLength: 40 },
);

/** Does what the loop does with a sequence. */
function compute(slot: Slot, ask: Omit<Ask, "over">, memory: ReturnType<typeof cacheWithMemory>["memory"]): void {
  while (slot.tokens.length < Math.min(ask.prompt.length, ask.computed)) {
    const begin = slot.tokens.length;
    const chunk = ask.prompt.slice(begin, (Math.floor(begin / CHUNK) + 1) * CHUNK);
    const { principal, variant } = ask;
    memory[slot.sequence]?.push(...chunk.map((token) => ({ token, principal, variant })));
    slot.tokens.push(...chunk);
    if (chunk.length === CHUNK && slot.regular === begin) slot.regular = begin + CHUNK;
  }
}

Deno.test("SequenceCache never lets a request use what another principal or variant left", () => {
  fc.assert(fc.property(asks, fc.integer({ min: 1, max: 3 }), fc.boolean(), (all, slots, cuttable) => {
    const { cache, memory } = cacheWithMemory(slots, { cuttable });
    const busy: Slot[] = [];
    for (const ask of all) {
      const over = busy.splice(0, Math.max(ask.over, busy.length === slots ? 1 : 0));
      for (const slot of over) cache.free(slot);
      cache.reserve(ask.principal, ask);
      const slot = cache.take(ask) ?? assert.fail("there is a free one");
      const held = memory[slot.sequence] ?? [];
      assert.deepEqual(held.map(({ token }) => token), slot.tokens);
      assert.deepEqual(slot.tokens, ask.prompt.slice(0, slot.tokens.length));
      assert.ok(slot.tokens.length < ask.prompt.length, "the last token is always computed");
      assert.ok(held.every(({ principal, variant }) => principal === ask.principal && variant === ask.variant));
      if (ask.exact) assert.equal(slot.tokens.length % CHUNK, 0);
      compute(slot, ask, memory);
      busy.push(slot);
    }
    assert.equal(new Set(busy.map(({ sequence }) => sequence)).size, busy.length);
  }));
});

Deno.test("SequenceCache.reserve() erases somebody else's state before a request is looked at", () => {
  const { cache, memory } = cacheWithMemory(1);
  const ask = { principal: "a", variant: "", prompt: [1, 2, 3], exact: false, urgent: false, computed: 3 };
  const slot = cache.take(ask) ?? assert.fail();
  compute(slot, ask, memory);
  cache.free(slot);
  cache.reserve("a", { urgent: false });
  assert.equal(memory[0]?.length, 3);
  cache.reserve("b", { urgent: false });
  assert.deepEqual(memory, [[]]);
});

Deno.test("SequenceCache takes the longest common beginning, then an empty sequence, then the one used longest ago", () => {
  const { cache, memory } = cacheWithMemory(3);
  const ask = (prompt: number[], principal = "a") => {
    const wanted = { principal, variant: "", prompt, exact: false, urgent: false, computed: prompt.length };
    const slot = cache.take(wanted) ?? assert.fail();
    const kept = slot.tokens.length;
    compute(slot, wanted, memory);
    cache.free(slot);
    return [slot.sequence, kept];
  };
  assert.deepEqual(ask([1, 1, 1, 1]), [0, 0]);
  assert.deepEqual(ask([2, 2, 2]), [1, 0]);
  assert.deepEqual(ask([1, 1, 5, 6]), [0, 2]);
  assert.deepEqual(ask([2, 2, 2]), [1, 2]);
  assert.deepEqual(ask([7, 7], "b"), [2, 0]);
  assert.deepEqual(ask([9, 9]), [0, 0]);
  assert.deepEqual(ask([1, 1, 1, 1]), [1, 0]);
});

Deno.test("SequenceCache cuts no state that cannot be cut: it goes on with it, or begins anew", () => {
  const { cache, memory } = cacheWithMemory(1, { cuttable: false });
  const kept = (prompt: number[]) => {
    const wanted = { principal: "a", variant: "", prompt, exact: false, urgent: false, computed: prompt.length };
    const slot = cache.take(wanted) ?? assert.fail();
    const { length } = slot.tokens;
    compute(slot, wanted, memory);
    cache.free(slot);
    return length;
  };
  assert.deepEqual([kept([1, 2]), kept([1, 2, 3]), kept([1, 2, 4]), kept([1, 2, 4])], [0, 2, 0, 0]);
});

Deno.test("SequenceCache leaves the sequence of one who goes first to him, as long as there is another", () => {
  const { cache, memory } = cacheWithMemory(2);
  const ask = (principal: string, urgent: boolean) => {
    const wanted = { principal, variant: "", prompt: [1, 2, 3], exact: false, urgent, computed: 3 };
    cache.reserve(principal, wanted);
    const slot = cache.take(wanted) ?? assert.fail();
    const kept = slot.tokens.length;
    compute(slot, wanted, memory);
    cache.free(slot);
    return kept;
  };
  const [owner, peer] = [true, false];
  assert.equal(ask("owner", owner), 0);
  for (const stranger of ["b", "c", "d"]) assert.equal(ask(stranger, peer), 0);
  assert.equal(ask("owner", owner), 2);
});
