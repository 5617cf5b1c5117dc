import assert from "node:assert/strict";
import { PeerClock } from "../../src/transport/peer_clock.ts";
import { FakeClock } from "./mesh_fixture.ts";

const NONCE = "N".repeat(27);

Deno.test("PeerClock.stamp() has the time of this node and a new nonce each time", () => {
  const clock = new FakeClock();
  const peer = new PeerClock(clock);
  assert.equal(peer.stamp().created, clock.created);
  const others = new PeerClock(clock);
  // More than the random bytes that are fetched at a time are enough for.
  const nonces = Array.from({ length: 1_000 }, (_, index) => (index % 3 === 0 ? others : peer).stamp().nonce);
  for (const nonce of nonces) assert.match(nonce, /^[A-Za-z0-9_-]{22}$/);
  assert.equal(new Set(nonces).size, nonces.length);
});

Deno.test("PeerClock.learn() takes the peer's nonce for 110 s, and its time for good", () => {
  const clock = new FakeClock();
  const peer = new PeerClock(clock);
  const theirs = clock.wallMs() + 3_600_000;
  assert.ok(peer.learn(new Headers({ "ark-nonce": NONCE, date: new Date(theirs).toUTCString() })));
  assert.equal(peer.stamp().created, clock.created + 3_600);
  assert.match(peer.stamp().nonce, /^N{27}\.[A-Za-z0-9_-]{22}$/);
  clock.pass(110);
  assert.match(peer.stamp().nonce, /^[A-Za-z0-9_-]{22}$/);
  assert.equal(peer.stamp().created, clock.created + 3_600);
});

Deno.test("PeerClock.learn() does not follow a clock that is nearly right, nor a date that is none", () => {
  const clock = new FakeClock();
  const peer = new PeerClock(clock);
  const dates = [new Date(clock.wallMs() + 29_000).toUTCString(), "yesterday", ""];
  for (const date of dates) {
    assert.ok(peer.learn(new Headers({ "ark-nonce": NONCE, date })));
    assert.equal(peer.stamp().created, clock.created);
  }
});

Deno.test("PeerClock.learn() learns nothing from an answer without a nonce in the right form", () => {
  const peer = new PeerClock(new FakeClock());
  for (const nonce of ["", "N".repeat(26), "N".repeat(28), `${"N".repeat(26)}"`, `${NONCE}, ${NONCE}`]) {
    assert.ok(!peer.learn(new Headers({ "ark-nonce": nonce })), nonce);
  }
  assert.ok(!peer.learn(new Headers()));
  assert.match(peer.stamp().nonce, /^[A-Za-z0-9_-]{22}$/);
});

Deno.test("PeerClock.stamp() stays in range when the peer lives in another age", () => {
  const clock = new FakeClock();
  const peer = new PeerClock(clock);
  peer.learn(new Headers({ "ark-nonce": NONCE, date: "Thu, 01 Jan 1970 00:00:00 GMT" }));
  clock.stepWall(-1e9);
  assert.equal(peer.stamp().created, 0);
});
