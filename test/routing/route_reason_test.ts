import assert from "node:assert/strict";
import fc from "fast-check";
import { type Candidate, rank } from "@ark/node/routing";
import { routeReason } from "../../src/routing/route_reason.ts";

function peer(fields: Partial<Candidate> = {}): Candidate {
  return { name: "canary", local: false, loaded: true, inFlight: 0, slots: 1, roundTripMs: 5, ...fields };
}

function firstOf(...candidates: Candidate[]): string {
  const among = rank(candidates);
  return routeReason(among[0] ?? assert.fail(), { attempt: 0, among });
}

Deno.test("routeReason() says in which of rank()'s rules the first candidate is better", () => {
  assert.equal(firstOf(peer(), peer({ local: true })), "local: this node has the model");
  assert.equal(firstOf(peer()), "peer: only this one within reach has the model");
  const of2 = "peer: of 2 that have the model, this one";
  assert.equal(firstOf(peer({ inFlight: 1 }), peer({ loaded: false })), `${of2} has a free slot`);
  assert.equal(firstOf(peer({ loaded: false }), peer({ roundTripMs: 9 })), `${of2} has it in memory`);
  assert.equal(firstOf(peer({ inFlight: 2, slots: 4 }), peer({ inFlight: 1, slots: 4 })), `${of2} has the least to do`);
  assert.equal(firstOf(peer({ roundTripMs: 9 }), peer({ roundTripMs: 2 })), `${of2} is the nearest`);
  const second = peer();
  const server = { ...peer({ local: true }), upstream: true };
  const named = routeReason(server, { attempt: 0, among: [server] });
  assert.equal(named, "upstream: a server that this node's owner named has the model");
  assert.equal(routeReason(second, { attempt: 1, among: [peer(), second] }), "peer: 1 before it could not answer");
});

Deno.test("routeReason() is short, fits into a header and names nobody, for any candidates", () => {
  const candidate = fc.record({
    name: fc.constant("canary"),
    local: fc.boolean(),
    loaded: fc.boolean(),
    inFlight: fc.nat(3),
    slots: fc.nat(3),
    roundTripMs: fc.constantFrom(0, 1, 50, Infinity),
  });
  fc.assert(fc.property(fc.array(candidate, { minLength: 1, maxLength: 5 }), (candidates) => {
    assert.match(firstOf(...candidates), /^(local|peer): (?!.*canary)[ -~]{1,80}$/);
  }));
});
