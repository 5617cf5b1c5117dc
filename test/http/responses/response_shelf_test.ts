import assert from "node:assert/strict";
import fc from "fast-check";
import { type KeptResponse, ResponseShelf } from "../../../src/http/responses/response_shelf.ts";

function kept(id: string, characters = 100): KeptResponse {
  return { id, body: "x".repeat(characters), items: "[]", messages: [], localOnly: false };
}

Deno.test("ResponseShelf keeps what each sender stored for that sender alone", () => {
  const shelf = new ResponseShelf();
  shelf.put("key1", kept("resp_a"));
  shelf.put(null, kept("resp_b"));
  assert.equal(shelf.get("key1", "resp_a")?.id, "resp_a");
  for (const [sender, id] of [[null, "resp_a"], ["key2", "resp_a"], ["key1", "resp_b"], ["", "resp_b"]] as const) {
    assert.equal(shelf.get(sender, id), undefined);
    assert.ok(!shelf.delete(sender, id));
  }
  assert.ok(shelf.delete("key1", "resp_a"));
  assert.equal(shelf.get("key1", "resp_a"), undefined);
  assert.ok(shelf.delete(null, "resp_b"));
  assert.equal(shelf.bytes, 0);
});

Deno.test("ResponseShelf forgets what was not used for its lifetime", () => {
  let time = 0;
  const shelf = new ResponseShelf({ lifetimeMs: 100, now: () => time });
  shelf.put(null, kept("resp_a"));
  shelf.put(null, kept("resp_b"));
  time = 99;
  assert.ok(shelf.get(null, "resp_a"));
  time = 198;
  assert.equal(shelf.get(null, "resp_b"), undefined);
  assert.ok(shelf.get(null, "resp_a"));
  time = 298;
  shelf.put("other", kept("resp_c"));
  assert.equal(shelf.get(null, "resp_a"), undefined);
});

Deno.test("ResponseShelf drops what was not used for longest, of the sender that has most", () => {
  const shelf = new ResponseShelf({ mostEach: 3 });
  for (const id of ["a", "b", "c"]) shelf.put("key1", kept(id));
  shelf.get("key1", "a");
  shelf.put("key1", kept("d"));
  assert.deepEqual(["a", "b", "c", "d"].filter((id) => shelf.get("key1", id) !== undefined), ["a", "c", "d"]);

  const room = 4 * new SizeOf(kept("x", 1_000)).bytes;
  const small = new ResponseShelf({ mostBytes: room, mostBytesEach: room });
  small.put("modest", kept("first", 1_000));
  for (let n = 0; n < 20; n++) small.put("greedy", kept(`g${n}`, 1_000));
  assert.ok(small.get("modest", "first"), "Nobody pushes out another's");
  assert.equal(small.get("greedy", "g16"), undefined);
  assert.ok(small.get("greedy", "g19"));
});

/** What one answer takes on an empty shelf. */
class SizeOf {
  readonly bytes: number;

  constructor(one: KeptResponse) {
    const shelf = new ResponseShelf();
    shelf.put(null, one);
    this.bytes = shelf.bytes;
  }
}

Deno.test("ResponseShelf counts the conversation of an answer, and keeps none that is larger than a share", () => {
  const one = kept("resp_a");
  const call = { id: "call_a", name: "f", arguments: "y".repeat(1_000) };
  const spoken = {
    role: "assistant" as const,
    content: "z".repeat(1_000),
    reasoning: "r".repeat(500),
    tool_calls: [call],
  };
  const more = new SizeOf({ ...one, messages: [spoken] }).bytes - new SizeOf(one).bytes;
  assert.ok(more > 2 * 2_500 && more < 2 * 2_500 + 1_000, String(more));
  const shelf = new ResponseShelf({ mostBytesEach: 4_000 });
  shelf.put(null, { ...one, messages: [spoken] });
  assert.deepEqual([shelf.get(null, "resp_a"), shelf.bytes], [undefined, 0]);
});

Deno.test("ResponseShelf never holds more than it may, and counts right, whatever happens", () => {
  const act = fc.record({
    what: fc.constantFrom("put", "get", "delete", "wait"),
    sender: fc.constantFrom(null, "a", "b", "c"),
    id: fc.integer({ min: 0, max: 9 }).map((n) => `resp_${n}`),
    size: fc.integer({ min: 0, max: 3_000 }),
  });
  fc.assert(fc.property(fc.array(act, { maxLength: 200 }), (acts) => {
    let time = 0;
    const shelf = new ResponseShelf({
      mostBytes: 20_000,
      mostBytesEach: 12_000,
      mostEach: 5,
      lifetimeMs: 1_000,
      now: () => time,
    });
    const senders = new Set<string | null>();
    for (const { what, sender, id, size } of acts) {
      senders.add(sender);
      if (what === "put") shelf.put(sender, kept(id, size));
      else if (what === "get") assert.ok((shelf.get(sender, id)?.id ?? id) === id);
      else if (what === "delete") shelf.delete(sender, id);
      else time += size;
      assert.ok(shelf.bytes >= 0 && shelf.bytes <= 20_000);
    }
    for (const sender of senders) {
      for (let n = 0; n < 10; n++) shelf.delete(sender, `resp_${n}`);
    }
    assert.equal(shelf.bytes, 0);
  }));
});
