import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import fc from "fast-check";
import { AUDIT_DOMAIN, AUDIT_KINDS } from "@ark/node/audit";
import { entryOf, GENESIS, isSound, isSoundAs, lineOf } from "../../src/audit/chain.ts";
import { placed } from "./log_fixture.ts";
import { unplaced } from "../../src/audit/audit_record.ts";

const FIRST = {
  at: "2026-01-02T03:04:05.678Z",
  kind: "end",
  direction: "in",
  peer: "a".repeat(56),
  model: "llama3.1:8b",
  prompt_tokens: 12,
  completion_tokens: 34,
  ms: 56.789,
  outcome: "ok",
  digest: null,
  request: "c".repeat(64),
  receipt: null,
  count: null,
  monotonic_ms: 1000.5,
} as const;

Deno.test("placed() writes the released line for a known entry", () => {
  const body = '{"seq":1,"at":"2026-01-02T03:04:05.678Z","kind":"end","direction":"in",' +
    `"peer":"${"a".repeat(56)}","model":"llama3.1:8b","prompt_tokens":12,"completion_tokens":34,"ms":56.789,` +
    `"outcome":"ok","request":"${"c".repeat(64)}","monotonic_ms":1000.5,"prev":"${"0".repeat(64)}"}`;
  const hash = createHash("sha256").update("ark-audit/1\n" + body).digest("hex");
  const { entry, line } = placed(FIRST, GENESIS);
  assert.equal(line, `${body.slice(0, -1)},"hash":"${hash}"}`);
  assert.equal(entry.hash, "67f149142fad3e411d9a254c01c0f84e7969eea5aa0bda54c2a1e772f659c4c7");
  assert.equal(AUDIT_DOMAIN, "ark-audit/1\n");
});

Deno.test("placed() puts entries behind each other, and entryOf() reads their lines back", () => {
  let head = GENESIS;
  for (let seq = 1; seq <= 5; seq++) {
    const { entry, line } = placed(unplaced({ kind: "deny", direction: "in", peer: null, outcome: "busy" }), head);
    assert.equal(entry.seq, seq);
    assert.equal(entry.prev, head.hash);
    assert.deepEqual(entryOf(line), entry);
    assert.equal(lineOf(entry), line);
    assert.ok(isSound(entry) && isSoundAs(entry, line));
    head = entry;
  }
});

Deno.test("placed() and entryOf() agree on any model's name and any numbers", () => {
  const numbers = fc.double({ min: 0, max: 1e15, noNaN: true });
  fc.assert(fc.property(fc.string({ unit: "binary" }), numbers, fc.maxSafeNat(), (model, ms, prompt_tokens) => {
    const record = { kind: "end", direction: null, peer: null, model, ms, prompt_tokens } as const;
    const { entry, line } = placed(unplaced(record), GENESIS);
    assert.deepEqual(entryOf(line), entry);
  }));
});

Deno.test("placed() writes what lineOf() says, whichever fields a record has", () => {
  const some = <T>(arbitrary: fc.Arbitrary<T>) => fc.option(arbitrary, { nil: null });
  const hash = some(fc.uint8Array({ minLength: 32, maxLength: 32 }).map((bytes) => bytes.toHex()));
  const number = some(fc.maxSafeNat());
  const records = fc.record({
    kind: fc.constantFrom(...AUDIT_KINDS),
    direction: fc.constantFrom("in" as const, "out" as const, null),
    peer: some(fc.string({ unit: fc.constantFrom(..."abcz27"), minLength: 56, maxLength: 56 })),
    model: some(fc.string({ unit: "binary", maxLength: 300 })),
    digest: hash,
    prompt_tokens: number,
    completion_tokens: number,
    ms: some(fc.double({ min: 0, max: 1e300, noNaN: true })),
    outcome: fc.constantFrom("ok" as const, "busy" as const, null),
    request: hash,
    receipt: hash,
    count: number,
  });
  fc.assert(fc.property(records, (record) => {
    const { entry, line } = placed(unplaced(record), GENESIS);
    assert.equal(line, lineOf(entry));
    assert.deepEqual(entryOf(line), entry);
  }));
});

Deno.test("entryOf() refuses a line with any single byte changed", () => {
  const { line } = placed(FIRST, GENESIS);
  for (let index = 0; index < line.length; index++) {
    const changed = line.slice(0, index) + String.fromCharCode(line.charCodeAt(index) ^ 1) + line.slice(index + 1);
    assert.throws(() => entryOf(changed), SyntaxError, changed);
  }
});

Deno.test("entryOf() refuses what says the same in other bytes", () => {
  const { line } = placed(FIRST, GENESIS);
  for (
    const other of [line + " ", line.replace(",", ", "), line.replace("}", ',"prompt":"x"}'), "null", "[]", "{}", ""]
  ) {
    assert.throws(() => entryOf(other), SyntaxError, other);
  }
});
