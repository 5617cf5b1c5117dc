import assert from "node:assert/strict";
import fc from "fast-check";
import type { ExplainedCandidate } from "@ark/node/routing";
import { whyModel, type WhySources } from "../../src/http/admin/why_model.ts";

const MODEL = "llama3.1:8b";

function candidate(name: string, changes: Partial<ExplainedCandidate> = {}): ExplainedCandidate {
  return {
    key: name,
    name,
    peer: name,
    upstream: false,
    local: false,
    model: MODEL,
    digest: null,
    estimateMs: 1_000,
    loaded: true,
    inFlight: 0,
    slots: 2,
    queued: 0,
    roundTripMs: 1.26,
    promptRate: 500,
    generationRate: 40,
    loadMs: null,
    successRate: 1,
    breaker: "closed",
    ...changes,
  };
}

const HERE = { name: "Desk", engine: true, model: true, failure: null };
const own = (changes: Partial<ExplainedCandidate> = {}) =>
  candidate("Desk", { key: "local", peer: null, local: true, roundTripMs: 0, ...changes });

function sentence(candidates: ExplainedCandidate[], changes: Partial<WhySources> = {}): string {
  return whyModel({ model: MODEL, candidates, here: HERE, peers: [], ...changes }).sentence;
}

Deno.test("whyModel() says in one sentence who would answer and why", () => {
  assert.equal(sentence([own()]), `This node (Desk) would answer ${MODEL} now: nobody else within reach has it.`);
  assert.equal(
    sentence([candidate("Cellar", { estimateMs: 1_240 }), own({ estimateMs: 3_400, generationRate: 12 })]),
    `Cellar would answer ${MODEL} now: a usual answer is expected after 1.2 s there, and after 3.4 s at this node (Desk), ` +
      "which writes 12 tokens a second and not 40.",
  );
  assert.equal(
    sentence([candidate("Cellar"), candidate("Attic", { estimateMs: 4_000, loaded: false })]),
    `Cellar would answer ${MODEL} now: a usual answer is expected after 1.0 s there, and after 4.0 s at Attic, ` +
      "where the model is not in memory.",
  );
  assert.equal(
    sentence([candidate("Cellar"), candidate("Attic", { estimateMs: 4_000, queued: 1 })]),
    `Cellar would answer ${MODEL} now: a usual answer is expected after 1.0 s there, and after 4.0 s at Attic, where 1 waits.`,
  );
  assert.match(sentence([own(), candidate("Cellar")]), /nothing leaves this machine without need\.$/);
  assert.match(sentence([candidate("Cellar"), candidate("Attic")]), /one of the two is chosen\.$/);
  assert.match(
    sentence([own({ estimateMs: 9_000 }), candidate("Cellar")]),
    /it has not been measured yet, and is free\.$/,
  );
  assert.match(
    sentence([candidate("Cellar", { breaker: "open" })]),
    /^Cellar would .* although its last answers failed, since nobody better is left: nobody else/,
  );
  assert.match(
    sentence([candidate("box", { upstream: true, peer: null, key: "upstream:box" })]),
    /^The server box would answer/,
  );
  assert.match(
    sentence([own(), candidate("Cellar", { breaker: "open" })]),
    /now: the last answers of Cellar failed\.$/,
  );
});

Deno.test("whyModel() names those who cannot answer, each with its reason, and says so where nobody can", () => {
  const peers = [
    { id: "a", name: "Cellar", state: "unreachable" as const },
    { id: "b", name: "Attic", state: "ready" as const },
    { id: "c", name: "Barn", state: "paused" as const },
    { id: "d", name: "Shed", state: "revoked" as const },
    { id: "e", name: "Loft", state: "draining" as const },
  ];
  const answer = whyModel({ model: MODEL, candidates: [], here: { ...HERE, model: false }, peers });
  assert.equal(
    answer.sentence,
    `Nobody within reach can answer ${MODEL} now; Cellar cannot be reached, and Barn is paused by you, ` +
      "and Shed took this node's approval back.",
  );
  assert.deepEqual(answer.excluded.map(({ name, peer, reason }) => [name, peer, reason]), [
    ["Desk", null, "no_such_model"],
    ["Cellar", "a", "unreachable"],
    ["Attic", "b", "not_offered"],
    ["Barn", "c", "paused"],
    ["Shed", "d", "revoked"],
    ["Loft", "e", "draining"],
  ]);
  assert.equal(answer.excluded[2]?.sentence, `Attic offers you no model ${MODEL}`);
  const one = whyModel({ model: MODEL, candidates: [candidate("Cellar", { key: "a" })], here: HERE, peers });
  assert.deepEqual(one.excluded.map(({ peer }) => peer), ["b", "c", "d", "e"]);
  const broken = whyModel({ model: MODEL, candidates: [], here: { ...HERE, failure: "No memory" }, peers: [] });
  assert.equal(
    broken.sentence,
    `Nobody within reach can answer ${MODEL} now; this node's engine cannot run it: No memory.`,
  );
  const gateway = whyModel({ model: MODEL, candidates: [], here: { ...HERE, engine: false }, peers: [] });
  assert.equal(gateway.excluded[0]?.reason, "no_engine");
});

Deno.test("whyModel() always has one whole sentence, and numbers that JSON can hold", () => {
  const rate = fc.option(fc.double({ min: 0.01, max: 1e6, noNaN: true }));
  const any = fc.record({
    name: fc.constantFrom("Cellar", "Attic"),
    estimateMs: fc.double({ min: 0, max: 1e7, noNaN: true }),
    loaded: fc.boolean(),
    queued: fc.nat(9),
    roundTripMs: fc.oneof(fc.constant(Infinity), fc.double({ min: 0, max: 500, noNaN: true })),
    promptRate: rate,
    generationRate: rate,
    loadMs: rate,
    successRate: fc.double({ min: 0, max: 1, noNaN: true }),
    breaker: fc.constantFrom("closed" as const, "open" as const, "half_open" as const),
    peer: fc.constantFrom("a".repeat(56), null),
  });
  fc.assert(fc.property(fc.array(any, { maxLength: 4 }), (all) => {
    const answer = whyModel({
      model: MODEL,
      candidates: all.map(({ name, peer, ...rest }) => candidate(name, { ...rest, peer, local: peer === null })),
      here: HERE,
      peers: [],
    });
    assert.match(answer.sentence, /^[^.]([^.]|\.\d)*\.$/);
    assert.deepEqual(JSON.parse(JSON.stringify(answer)), answer);
    assert.equal(answer.candidates.length, all.length);
  }));
});
