import assert from "node:assert/strict";
import fc from "fast-check";
import { ReplayWindow, SERVER_NONCE_SECONDS } from "../../src/transport/replay_window.ts";
import { FakeClock, freshNonce, identityOfSeed } from "./mesh_fixture.ts";

const alice = identityOfSeed(1).id;
const carol = identityOfSeed(3).id;

interface Stamp {
  created: number;
  nonce: string;
  serverNonce: string | null;
}

function openWindow(
  { noncesPerPeer = 1_000, clock = new FakeClock() } = {},
): { window: ReplayWindow; clock: FakeClock } {
  const window = new ReplayWindow({ clock, noncesPerPeer });
  clock.pass(SERVER_NONCE_SECONDS + 1);
  return { window, clock };
}

function stampAt(created: number): Stamp {
  return { created, nonce: freshNonce(), serverNonce: null };
}

function stampWith(serverNonce: string, created = 0): Stamp {
  return { created, nonce: `${serverNonce}.${freshNonce()}`, serverNonce };
}

Deno.test("ReplayWindow.judge() takes a stamp once", () => {
  const { window, clock } = openWindow();
  const stamp = stampAt(clock.created);
  assert.equal(window.judge(alice, stamp), "fresh");
  assert.equal(window.judge(alice, stamp), "replay");
  assert.equal(window.judge(alice, stampAt(clock.created)), "fresh");
  // Another peer may happen to draw the same number.
  assert.equal(window.judge(carol, stamp), "fresh");
});

Deno.test("ReplayWindow.judge() takes clocks that differ by up to 60 s, to either side", () => {
  const { window, clock } = openWindow();
  for (const [skew, verdict] of [[-61, "clock"], [-60, "fresh"], [0, "fresh"], [60, "fresh"], [61, "clock"]] as const) {
    assert.equal(window.judge(alice, stampAt(clock.created + skew)), verdict, `${skew} s`);
  }
});

Deno.test("A new ReplayWindow takes only nonces of its own for 120 s", () => {
  const clock = new FakeClock();
  const window = new ReplayWindow({ clock, noncesPerPeer: 10 });
  assert.equal(window.judge(alice, stampAt(clock.created)), "clock");
  assert.equal(window.judge(alice, stampWith(window.issue(alice))), "fresh");
  clock.pass(SERVER_NONCE_SECONDS);
  assert.equal(window.judge(alice, stampAt(clock.created)), "clock");
  clock.pass(1);
  assert.equal(window.judge(alice, stampAt(clock.created)), "fresh");
});

Deno.test("A stamp that was accepted before a restart is not accepted after it, and a nonce of its own solves that", () => {
  const { window, clock } = openWindow();
  const stamps = [stampAt(clock.created), stampAt(clock.created + 60), stampWith(window.issue(alice))];
  for (const stamp of stamps) assert.equal(window.judge(alice, stamp), "fresh");
  const restarted = new ReplayWindow({ clock, noncesPerPeer: 10 });
  for (let second = 0; second < 200; second++) {
    for (const stamp of stamps) assert.equal(restarted.judge(alice, stamp), "clock", `after ${second} s`);
    clock.pass(1);
  }
  assert.equal(restarted.judge(alice, stampWith(restarted.issue(alice))), "fresh");
});

Deno.test("ReplayWindow.issue() gives a nonce that counts for 120 s, for one peer, whatever the wall clock says", () => {
  const { window, clock } = openWindow();
  const nonce = window.issue(alice);
  assert.match(nonce, /^[A-Za-z0-9_-]{27}$/);
  assert.equal(window.judge(carol, stampWith(nonce)), "clock");
  for (const created of [0, clock.created + 1e9]) assert.equal(window.judge(alice, stampWith(nonce, created)), "fresh");
  clock.stepWall(-1e9);
  assert.equal(window.judge(alice, stampWith(nonce)), "fresh");
  clock.pass(SERVER_NONCE_SECONDS);
  assert.equal(window.judge(alice, stampWith(nonce)), "fresh");
  clock.pass(1);
  assert.equal(window.judge(alice, stampWith(nonce)), "clock");
});

Deno.test("A nonce that one peer has used a moment ago counts for no other one, and runs out as any", () => {
  const { window, clock } = openWindow();
  const [first, other] = [window.issue(alice), window.issue(carol)];
  assert.equal(window.judge(alice, stampWith(first)), "fresh");
  assert.equal(window.judge(carol, stampWith(first)), "clock");
  assert.equal(window.judge(carol, stampWith(other)), "fresh");
  assert.equal(window.judge(carol, stampWith(first)), "clock");
  assert.equal(window.judge(alice, stampWith(other)), "clock");
  clock.pass(60);
  const second = window.issue(alice);
  for (const nonce of [second, first, second, first]) assert.equal(window.judge(alice, stampWith(nonce)), "fresh");
  clock.pass(SERVER_NONCE_SECONDS - 59);
  for (const nonce of [first, first]) assert.equal(window.judge(alice, stampWith(nonce)), "clock");
  assert.equal(window.judge(alice, stampWith(second)), "fresh");
});

Deno.test("ReplayWindow.judge() takes no nonce that it did not issue, nor one that is spelt in another way", () => {
  const { window } = openWindow();
  const nonce = window.issue(alice);
  const alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
  for (let at = 0; at < nonce.length; at++) {
    for (const character of alphabet) {
      if (character === nonce[at]) continue;
      const other = nonce.slice(0, at) + character + nonce.slice(at + 1);
      assert.equal(window.judge(alice, stampWith(other)), "clock", other);
    }
  }
  for (const other of ["", nonce.slice(1), `${nonce}A`, nonce.slice(0, 26)]) {
    assert.equal(window.judge(alice, stampWith(other)), "clock");
  }
  assert.equal(openWindow().window.judge(alice, stampWith(nonce)), "clock");
});

Deno.test("A full ReplayWindow says busy and forgets nothing, until nonces run out", () => {
  const { window, clock } = openWindow({ noncesPerPeer: 5 });
  const stamps = Array.from({ length: 5 }, () => stampAt(clock.created));
  for (const stamp of stamps) assert.equal(window.judge(alice, stamp), "fresh");
  assert.equal(window.judge(alice, stampAt(clock.created)), "busy");
  assert.equal(window.judge(alice, stampWith(window.issue(alice))), "busy");
  for (const stamp of stamps) assert.equal(window.judge(alice, stamp), "replay");
  assert.equal(window.judge(carol, stampAt(clock.created)), "fresh");
  clock.pass(121);
  assert.equal(window.judge(alice, stampAt(clock.created)), "fresh");
});

Deno.test("A full ReplayWindow finds room behind a nonce that is kept for longer", () => {
  const { window, clock } = openWindow({ noncesPerPeer: 3 });
  assert.equal(window.judge(alice, stampAt(clock.created + 60)), "fresh");
  assert.equal(window.judge(alice, stampAt(clock.created - 60)), "fresh");
  assert.equal(window.judge(alice, stampAt(clock.created - 60)), "fresh");
  clock.pass(61);
  assert.equal(window.judge(alice, stampAt(clock.created)), "fresh");
});

Deno.test("ReplayWindow.judge() takes nothing twice when the wall clock is set back", () => {
  const { window, clock } = openWindow();
  const stamp = stampAt(clock.created);
  assert.equal(window.judge(alice, stamp), "fresh");
  clock.pass(600);
  assert.equal(window.judge(alice, stampAt(clock.created)), "fresh");
  clock.stepWall(-600);
  assert.equal(window.judge(alice, stamp), "clock");
  assert.equal(window.judge(alice, stampWith(window.issue(alice))), "fresh");
});

Deno.test("ReplayWindow.judge() never takes a stamp twice, whatever time does and however full it is", () => {
  const step = fc.oneof(
    { weight: 4, arbitrary: fc.record({ do: fc.constant("new"), skew: fc.integer({ min: -70, max: 70 }) }) },
    { weight: 4, arbitrary: fc.record({ do: fc.constant("own"), age: fc.nat({ max: 8 }) }) },
    { weight: 8, arbitrary: fc.record({ do: fc.constant("again"), which: fc.nat() }) },
    { weight: 3, arbitrary: fc.record({ do: fc.constant("pass"), seconds: fc.integer({ min: 0, max: 130 }) }) },
    { weight: 2, arbitrary: fc.record({ do: fc.constant("step"), seconds: fc.integer({ min: -400, max: 400 }) }) },
    { weight: 1, arbitrary: fc.record({ do: fc.constant("restart") }) },
  );
  const run = (steps: unknown[], { noncesPerPeer, restarts }: { noncesPerPeer: number; restarts: boolean }): void => {
    const clock = new FakeClock();
    let window = new ReplayWindow({ clock, noncesPerPeer });
    const sent: Stamp[] = [];
    const taken = new Set<string>();
    const issued: string[] = [window.issue(alice)];
    const judge = (stamp: Stamp) => {
      const verdict = window.judge(alice, stamp);
      if (verdict !== "fresh") return;
      assert.ok(!taken.has(stamp.nonce), "A stamp was taken twice");
      taken.add(stamp.nonce);
    };
    for (const one of steps as { do: string; skew: number; age: number; which: number; seconds: number }[]) {
      if (one.do === "pass") clock.pass(one.seconds);
      // What a new window does not remember, only an unbroken clock can tell it.
      if (one.do === "step" && !restarts) clock.stepWall(one.seconds);
      if (one.do === "restart" && restarts) window = new ReplayWindow({ clock, noncesPerPeer });
      if (one.do === "pass" || one.do === "restart") issued.unshift(window.issue(alice));
      if (one.do === "new") sent.push(stampAt(clock.created + one.skew));
      if (one.do === "own") sent.push(stampWith(issued[one.age] ?? "", clock.created));
      const stamp = one.do === "again" ? sent[one.which % sent.length] : sent.at(-1);
      if (stamp !== undefined) judge(stamp);
    }
  };
  fc.assert(
    fc.property(
      fc.array(step, { maxLength: 80 }),
      fc.record({ noncesPerPeer: fc.constantFrom(2, 5, 1_000), restarts: fc.boolean() }),
      run,
    ),
    { numRuns: 2_000 },
  );
});

Deno.test("ReplayWindow.judge() makes strangers come twice, and remembers so many of them", () => {
  const clock = new FakeClock();
  const window = new ReplayWindow({ clock, noncesPerPeer: 2, mostStrangers: 2 });
  clock.pass(SERVER_NONCE_SECONDS + 1);
  assert.equal(window.judge(alice, stampAt(clock.created)), "clock");
  const stamp = stampWith(window.issue(alice));
  assert.equal(window.judge(alice, stamp), "fresh");
  assert.equal(window.judge(alice, stamp), "replay");
  assert.equal(window.judge(carol, stampWith(window.issue(carol))), "fresh");
  const dave = identityOfSeed(4).id;
  const late = stampWith(window.issue(dave));
  assert.equal(window.judge(dave, late), "busy");
  clock.pass(SERVER_NONCE_SECONDS + 3);
  assert.equal(window.judge(dave, late), "clock");
  assert.equal(window.judge(dave, stampWith(window.issue(dave))), "fresh");
  // Forgotten, and still not accepted again: the nonce of ours is over.
  assert.equal(window.judge(alice, stamp), "clock");
});
