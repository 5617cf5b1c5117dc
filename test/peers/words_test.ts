import assert from "node:assert/strict";
import { createHash, hkdfSync, randomBytes } from "node:crypto";
import fc from "fast-check";
import { wordlist } from "@scure/bip39/wordlists/english.js";
import { generateIdentity } from "@ark/node/identity";
import { sameWords } from "@ark/node/peers";
import { commitmentOf, wordsOf } from "../../src/peers/words.ts";

const bytes = () => fc.uint8Array({ minLength: 32, maxLength: 32 }).map((one) => Uint8Array.from(one));

Deno.test("The word list has 2,048 words that their first four letters tell apart, as it was when this was written", () => {
  assert.equal(wordlist.length, 2_048);
  assert.equal(new Set(wordlist.map((word) => word.slice(0, 4))).size, 2_048);
  assert.ok(wordlist.every((word) => /^[a-z]{3,8}$/.test(word)));
  // The list of BIP-39 in English, one word a line.
  const hash = createHash("sha256").update(wordlist.join("\n") + "\n").digest("hex");
  assert.equal(hash, "2f5eed53a4727b4bf8880d8f3f199efc90e58503646d9ff8eff3a2ed3b24dbda");
});

Deno.test("wordsOf() is what the protocol says: 44 bits of HKDF-SHA256 over both keys and both random numbers", () => {
  const meeting = {
    begins: new Uint8Array(32).fill(2),
    answers: new Uint8Array(32).fill(1),
    beginsNonce: new Uint8Array(32).fill(3),
    answersNonce: new Uint8Array(32).fill(4),
  };
  const { words, numbers } = wordsOf(meeting);
  // A vector that no commit edits: other nodes compute the same.
  assert.deepEqual(words, VECTOR);
  const salt = Uint8Array.of(...meeting.beginsNonce, ...meeting.answersNonce);
  const ikm = Uint8Array.of(...meeting.answers, ...meeting.begins);
  const okm = new Uint8Array(hkdfSync("sha256", ikm, salt, "ark-sas/1", 6));
  const bits = [...okm].map((byte) => byte.toString(2).padStart(8, "0")).join("").slice(0, 44);
  assert.deepEqual(numbers, [0, 11, 22, 33].map((at) => parseInt(bits.slice(at, at + 11), 2)));
  assert.deepEqual(wordsOf({ ...meeting, begins: meeting.answers, answers: meeting.begins }), wordsOf(meeting));
});

const VECTOR = ["muffin", "knee", "swift", "real"];

Deno.test("wordsOf() and commitmentOf() change with every part", () => {
  fc.assert(fc.property(bytes(), bytes(), bytes(), bytes(), fc.nat(3), fc.nat(255), (a, b, c, d, part, bit) => {
    const meeting = { begins: a, answers: b, beginsNonce: c, answersNonce: d };
    const name = (["begins", "answers", "beginsNonce", "answersNonce"] as const)[part] ?? "begins";
    const changed = {
      ...meeting,
      [name]: meeting[name].map((byte, at) => at === bit >> 3 ? byte ^ (1 << (bit & 7)) : byte),
    };
    assert.notDeepEqual(wordsOf(changed), wordsOf(meeting));
    if (name !== "answersNonce") assert.notEqual(commitmentOf(changed), commitmentOf(meeting));
  }));
});

Deno.test("sameWords() takes any case and separators, four letters of a word, or the numbers; nothing else", () => {
  const shown = { words: ["amber", "violin", "act", "harbor"], numbers: [59, 1958, 20, 831] };
  for (
    const typed of [
      "amber violin act harbor",
      " AMBER - Violin-act,harbor\n",
      "ambe viol act harb",
      "59 1958 20 831",
      "0059-1958-0020-0831",
    ]
  ) assert.ok(sameWords(typed, shown), typed);
  for (
    const typed of [
      "",
      "amber",
      "violin amber act harbor",
      "amber violin actor harbor",
      "amb violin act harbor",
      "amber violin act harbor harbor",
      "59 1958 20 832",
      "59 violin 20 harbor",
    ]
  ) assert.ok(!sameWords(typed, shown), typed);
});

const LONG = Deno.env.get("ARK_LONG") === "1";
const TRIES = LONG ? 1_000_000 : 10_000;

Deno.test(`T43: Whoever stands in between and tries ${TRIES} keys or numbers offline gets no equal words`, () => {
  const [alice, bob, mallory] = [generateIdentity(), generateIdentity(), generateIdentity()];
  // Alice has committed; the attacker must answer her before he sees her number. Then he knows the words that she sees.
  const toAlice = {
    begins: alice.publicKey,
    answers: mallory.publicKey,
    beginsNonce: Uint8Array.from(randomBytes(32)),
    answersNonce: Uint8Array.from(randomBytes(32)),
  };
  const seen = wordsOf(toAlice).numbers.join();
  // To Bob he must commit before he knows Bob's number: once that is there, nothing is left to choose but to try again
  // with another commitment, each of which is a card on Bob's screen. Offline he can only guess Bob's number.
  const bobs = { begins: mallory.publicKey, answers: bob.publicKey, answersNonce: Uint8Array.from(randomBytes(32)) };
  let equal = 0;
  let hits = 0;
  const guessed = Uint8Array.from(randomBytes(32));
  for (let attempt = 0; attempt < TRIES; attempt++) {
    const beginsNonce = Uint8Array.from(randomBytes(32));
    // What grinding would need: equal words for the number that Bob has really chosen.
    if (wordsOf({ ...bobs, beginsNonce }).numbers.join() === seen) equal++;
    // And what it may find: words that would be equal, had Bob chosen the guessed number.
    if (wordsOf({ ...bobs, answersNonce: guessed, beginsNonce }).numbers.join() === seen) hits++;
  }
  assert.deepEqual([equal, hits], [0, 0]);
});

Deno.test("T43: A number that was not committed to, or committed to for other keys, does not fit the commitment", () => {
  fc.assert(fc.property(bytes(), bytes(), bytes(), bytes(), (begins, answers, nonce, other) => {
    const commitment = commitmentOf({ begins, answers, beginsNonce: nonce });
    fc.pre(other.toHex() !== nonce.toHex() && other.toHex() !== begins.toHex() && other.toHex() !== answers.toHex());
    assert.notEqual(commitmentOf({ begins, answers, beginsNonce: other }), commitment);
    assert.notEqual(commitmentOf({ begins: other, answers, beginsNonce: nonce }), commitment);
    assert.notEqual(commitmentOf({ begins, answers: other, beginsNonce: nonce }), commitment);
  }));
});
