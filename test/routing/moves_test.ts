import assert from "node:assert/strict";
import fc from "fast-check";
import { AnswerLengths, answersSooner, type Candidate, endsSooner, isFree, Moves } from "@ark/node/routing";
import { Demands } from "../../src/routing/demand.ts";
import { someCandidate } from "./some_candidate.ts";

Deno.test("AnswerLengths expects more of an answer the longer it is already, where lengths are heavy-tailed", () => {
  const lengths = new AnswerLengths();
  assert.ok(lengths.mean > 200 && lengths.mean < 320, `${lengths.mean}`);
  for (let round = 0; round < 200; round++) for (const tokens of [50, 50, 50, 50, 1_000]) lengths.note(tokens);
  assert.ok(Math.abs(lengths.mean - 240) < 10, `${lengths.mean}`);
  assert.ok(Math.abs(lengths.rest(100) - 900) < 20, `${lengths.rest(100)}`);
  assert.equal(lengths.rest(30_000), 30_000, "Nothing is known of such");
});

Deno.test("AnswerLengths forgets what was long ago, and is finite whatever comes", () => {
  const lengths = new AnswerLengths();
  for (let count = 0; count < 500; count++) lengths.note(2_000);
  for (let count = 0; count < 5_000; count++) lengths.note(20);
  assert.ok(Math.abs(lengths.mean - 20) < 1, `${lengths.mean}`);
  fc.assert(fc.property(fc.array(fc.nat(1e9)), fc.nat(1e9), (all, written) => {
    const any = new AnswerLengths();
    for (const tokens of all) any.note(tokens);
    const rest = any.rest(written);
    assert.ok(rest >= 1 && Number.isFinite(rest) && Number.isFinite(any.mean));
  }));
  const many = new AnswerLengths();
  for (let count = 0; count < 20_000; count++) many.note(100);
  assert.ok(Math.abs(many.mean - 100) < 1e-6);
});

Deno.test("Demands.rest() heeds the limit of tokens", () => {
  const request = {
    model: "m",
    input: { kind: "completion" as const, prompt: "one" },
    parameters: { max_tokens: 50 },
  };
  assert.equal(new Demands().rest(request, 40), 10);
  assert.equal(new Demands().rest(request, 60), 1);
  assert.ok(new Demands().rest({ ...request, parameters: {} }, 40) > 100);
});

const SLOW: Candidate = someCandidate({
  key: "slow",
  queued: 3,
  free: 0,
  slots: 1,
  promptRate: 250,
  generationRate: 10,
});
const FREE: Candidate = someCandidate({
  key: "free",
  queued: 0,
  free: 1,
  slots: 1,
  promptRate: 250,
  generationRate: 10,
});

Deno.test("answersSooner() takes one that is free, and not one that is so much slower", () => {
  const demand = { promptTokens: 250, answerTokens: 100 };
  assert.ok(answersSooner(SLOW, FREE, demand));
  assert.ok(!answersSooner(SLOW, { ...FREE, generationRate: 2 }, demand));
  for (const busy of [{ free: 0 }, { queued: 1 }, { loaded: false }, { inFlight: 1 }]) {
    assert.ok(!isFree({ ...FREE, ...busy }) && !answersSooner(SLOW, { ...FREE, ...busy }, demand));
  }
  assert.ok(!answersSooner({ ...SLOW, queued: 0 }, FREE, demand), "It does not wait");
  // A line that is said to be endless moves nothing to where it would take longer than eight of the usual answers.
  assert.ok(!answersSooner({ ...SLOW, queued: 1e9 }, { ...FREE, generationRate: 0.9 }, demand));
});

Deno.test("endsSooner() moves a rest that is long, to where it ends seconds sooner and is read at once", () => {
  const rest = { promptTokens: 400, answerTokens: 400, paceMs: 100 };
  const fast = { ...FREE, promptRate: 1_000, generationRate: 50 };
  assert.ok(endsSooner(rest, fast));
  assert.ok(!endsSooner({ ...rest, answerTokens: 70 }, fast), "Little is left");
  assert.ok(!endsSooner(rest, { ...fast, generationRate: 12 }), "It is hardly faster");
  assert.ok(!endsSooner(rest, { ...fast, promptRate: 100 }), "The reader would wait for seconds");
  assert.ok(!endsSooner(rest, { ...fast, free: 0 }));
});

Deno.test("Moves lets one of 20 requests move its answer, saves up five, and none where it is off", () => {
  fc.assert(fc.property(fc.array(fc.boolean(), { maxLength: 2_000 }), (wants) => {
    const moves = new Moves();
    let moved = 0;
    for (const want of wants) {
      moves.came();
      if (!want || !moves.mayMove) continue;
      moves.moved();
      moved++;
    }
    assert.ok(moved <= 1 + 0.05 * wants.length);
  }));
  const off = new Moves({ setting: "off" });
  off.came();
  off.asked("a");
  assert.ok(!off.mayMove && !off.mayTakeBack("a") && !off.mayLook());
});

Deno.test("Moves takes back less than half of what one was asked, so that no peer has a reason to make us wait", () => {
  let now = 0;
  const moves = new Moves({ clock: () => now });
  const last: boolean[] = [];
  for (let count = 0; count < 500; count++) {
    now += 100;
    moves.asked("a");
    const back = moves.mayTakeBack("a");
    if (back) moves.tookBack("a");
    last.push(back);
    // The rule of peers/abort_pace.ts: half of the last twenty, and ten at least.
    assert.ok(last.slice(-20).filter(Boolean).length < 10);
  }
  assert.ok(last.filter(Boolean).length > 100);
  assert.ok(moves.mayLook() && !moves.mayLook());
  now += 5;
  assert.ok(moves.mayLook());
});
