import assert from "node:assert/strict";
import fc from "fast-check";
import { generateIdentity } from "@ark/node/identity";
import { PAIRING_TIMES } from "@ark/node/peers";
import { PAIRING_SIDES, type PairingSide } from "@ark/node/protocol";
import { decided, heard, isOpen, type PairingAct, type PairingSides, phaseOf } from "../../src/peers/pairing.ts";
import { PairingCard } from "../../src/peers/pairing_card.ts";
import { wordsOf } from "../../src/peers/words.ts";

const side = fc.constantFrom<PairingSide>(...PAIRING_SIDES);
const sides: fc.Arbitrary<PairingSides> = fc.record({
  shown: fc.boolean(),
  mine: side,
  theirs: side,
  ended: fc.constantFrom(null, "expired" as const, "failed" as const),
});
const ACTS = ["match", "different", "cancel", "approve"] as const;

Deno.test("decided() lets an owner approve only when both owners said that the words match", () => {
  fc.assert(fc.property(sides, fc.constantFrom<PairingAct>(...ACTS), (sides, act) => {
    const next = decided(act, sides);
    if (!isOpen(phaseOf(sides))) return assert.equal(next, null);
    if (next === "approved") {
      const agreed = (one: PairingSide) => one === "matched" || one === "approved";
      assert.ok(sides.shown && agreed(sides.mine) && agreed(sides.theirs));
    }
    if (act === "cancel") assert.equal(next, "cancelled");
    if (act === "match" && next !== null) assert.ok(sides.shown);
  }));
});

Deno.test("heard() lets the other side go forward or end, and never take back what it said", () => {
  const rank = { waiting: 0, matched: 1, approved: 2, different: 3, cancelled: 3 };
  fc.assert(fc.property(sides, side, (sides, told) => {
    const next = heard(told, sides);
    assert.ok(rank[next] >= rank[sides.theirs]);
    if (!isOpen(phaseOf(sides))) assert.equal(next, sides.theirs);
  }));
});

Deno.test("A pairing over which messages come in any order never approves anything by itself", () => {
  const event = fc.oneof(
    fc.record({ told: side }),
    fc.record({ act: fc.constantFrom<PairingAct>("match", "different", "cancel") }),
    fc.record({ ms: fc.integer({ min: 0, max: 400_000 }) }),
  );
  fc.assert(fc.property(fc.array(event, { maxLength: 30 }), (events) => {
    const { card, clock } = newCard();
    card.show(WORDS);
    let over: string | null = null;
    for (const one of events) {
      if ("told" in one) card.hear({ state: one.told, name: "Mallory" });
      else if ("act" in one) card.decide(one.act);
      else clock.now += one.ms;
      card.tick();
      if (over !== null) assert.equal(card.phase, over, "What is over stays as it ended");
      if (!card.open) over = card.phase;
      assert.notEqual(card.mine, "approved");
      assert.notEqual(card.phase, "connected");
      assert.deepEqual(card.words, WORDS);
      if (card.view().name !== null) assert.notEqual(card.mine, "waiting");
    }
  }));
});

const WORDS = wordsOf({
  begins: new Uint8Array(32),
  answers: new Uint8Array(32),
  beginsNonce: new Uint8Array(32),
  answersNonce: new Uint8Array(32),
});

function newCard() {
  const clock = { now: 1_000 };
  const { id } = generateIdentity();
  const card = new PairingCard({ id, direction: "in", address: null, times: PAIRING_TIMES, now: () => clock.now });
  return { card, clock };
}

Deno.test("R18: A pairing ends after five minutes, or when the other node is silent for 15 s", () => {
  const slow = newCard();
  slow.card.show(WORDS);
  for (let second = 0; second < 299; second++) {
    slow.clock.now += 1_000;
    slow.card.hear({ state: "waiting" });
    assert.ok(!slow.card.tick());
  }
  slow.clock.now += 1_000;
  slow.card.hear({ state: "waiting" });
  assert.ok(slow.card.tick());
  assert.equal(slow.card.phase, "expired");
  assert.deepEqual(slow.card.state("me"), { state: "cancelled" });
  assert.ok(!slow.card.decide("match"));

  const silent = newCard();
  silent.card.show(WORDS);
  silent.clock.now += 14_999;
  assert.ok(!silent.card.tick());
  silent.clock.now += 1;
  assert.ok(silent.card.tick());
  assert.equal(silent.card.phase, "failed");

  const unopened = newCard();
  unopened.clock.now += 10_000;
  assert.ok(unopened.card.tick());
  assert.equal(unopened.card.phase, "failed");
});

Deno.test("PairingCard tells its name only after both owners said match, and keeps the words and the first name", () => {
  const { card } = newCard();
  card.show(WORDS);
  card.show({ words: ["other", "words", "than", "before"], numbers: [1, 2, 3, 4] });
  assert.deepEqual(card.words, WORDS);
  assert.deepEqual(card.state("Attic"), { state: "waiting" });
  card.hear({ state: "matched", name: "Too early" });
  assert.equal(card.view().name, null);
  card.decide("match");
  assert.deepEqual(card.state("Attic"), { state: "matched", name: "Attic" });
  card.hear({ state: "matched", name: "Dave's Ark" });
  card.hear({ state: "approved", name: "Mallory's Ark" });
  assert.equal(card.view().name, "Dave's Ark");
  assert.ok(card.decide("approve"));
  assert.equal(card.phase, "connected");
});
