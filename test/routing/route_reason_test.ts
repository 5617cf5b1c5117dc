import assert from "node:assert/strict";
import fc from "fast-check";
import { type Candidate, type Demand, rank } from "@ark/node/routing";
import { routeReason } from "../../src/routing/route_reason.ts";
import { someCandidate } from "./some_candidate.ts";

const DEMAND: Demand = { promptTokens: 500, answerTokens: 200 };

function peer(fields: Partial<Candidate> = {}): Candidate {
  return someCandidate({ key: "canarykey", name: "canary", ...fields });
}

function firstOf(...candidates: Candidate[]): string {
  const among = rank(candidates, DEMAND);
  return routeReason(among[0] ?? assert.fail(), { attempt: 0, among, demand: DEMAND });
}

Deno.test("routeReason() says how long the first candidate is thought to take, why, and what the next one is", () => {
  const only = "only this one within reach has the model, about 11 s, reads 1000/s, writes 20/s";
  assert.equal(firstOf(peer()), `peer: ${only}`);
  assert.equal(firstOf(peer({ local: true })), `local: ${only}`);
  assert.equal(
    firstOf(peer({ generationRate: 40 }), peer()),
    "peer: best of 2, about 5.5 s, reads 1000/s, writes 40/s, next 11 s",
  );
  assert.equal(
    firstOf(
      peer({ promptRate: null, generationRate: null, loaded: false, queued: 3, slots: 4, free: 0 }),
      peer({ slots: 0, queued: 999 }),
    ),
    "peer: best of 2, not measured yet, to be loaded, 3 waiting, next 26261 s",
  );
  const server = { ...peer({ local: true }), upstream: true };
  const tried = routeReason(server, { attempt: 1, among: [peer(), server], demand: DEMAND });
  assert.equal(tried, "upstream: 1 before it could not answer, about 11 s, reads 1000/s, writes 20/s");
  assert.equal(routeReason(peer(), { attempt: 0, among: [peer(), server] }), "peer: best of 2");
});

Deno.test("routeReason() is short, fits into a header and names nobody, for any candidates", () => {
  const rate = fc.option(fc.oneof(fc.double({ noNaN: true }), fc.constantFrom(Infinity, Number.MIN_VALUE, 1e308)));
  const candidate = fc.record({
    key: fc.constant("canarykey"),
    name: fc.constant("canary"),
    local: fc.boolean(),
    loaded: fc.boolean(),
    inFlight: fc.nat(3),
    slots: fc.nat(3),
    queued: fc.nat(),
    roundTripMs: fc.constantFrom(0, 1, 50, Infinity),
    promptRate: rate,
    generationRate: rate,
    loadMs: fc.option(fc.nat()),
    successRate: fc.double({ min: 0, max: 1, noNaN: true }),
  });
  fc.assert(fc.property(fc.array(candidate, { minLength: 1, maxLength: 5 }), (candidates) => {
    assert.match(firstOf(...candidates), /^(local|peer): (?!.*canary)[ -~]{1,160}$/);
  }));
});
