import assert from "node:assert/strict";
import fc from "fast-check";
import { MESH_LIMITS, type MeshLimits } from "@ark/node/transport";
import { type Admission, plainAddress, SourceLimiter, sourceOf } from "../../src/transport/source_limiter.ts";
import { FakeClock } from "./mesh_fixture.ts";

function limiterOf(limits: Partial<MeshLimits> = {}): { limiter: SourceLimiter; clock: FakeClock } {
  const clock = new FakeClock();
  return { limiter: new SourceLimiter({ ...MESH_LIMITS, ...limits }, clock), clock };
}

function admitted(admission: Admission | null): Admission {
  assert.ok(admission !== null);
  return admission;
}

Deno.test("SourceLimiter.admit() admits eight strangers of one source at once, and others still", () => {
  const { limiter } = limiterOf();
  const strangers = Array.from({ length: 8 }, () => admitted(limiter.admit("192.0.2.1")));
  assert.equal(limiter.admit("192.0.2.1"), null);
  assert.equal(limiter.admit("::ffff:192.0.2.1"), null);
  admitted(limiter.admit("192.0.2.2"));
  strangers[0]?.[Symbol.dispose]();
  admitted(limiter.admit("192.0.2.1"));
  assert.equal(limiter.admit("192.0.2.1"), null);
});

Deno.test("SourceLimiter.admit() does not count as strangers those who proved themselves, up to 640 connections", () => {
  const { limiter } = limiterOf();
  const open: Admission[] = [];
  for (let i = 0; i < 640; i++) {
    const admission = admitted(limiter.admit("192.0.2.1"));
    admission.proven();
    open.push(admission);
  }
  assert.equal(limiter.admit("192.0.2.1"), null);
  open[0]?.[Symbol.dispose]();
  admitted(limiter.admit("192.0.2.1"));
});

Deno.test("SourceLimiter.admit() admits a burst of 16 new connections, then one in five seconds", () => {
  const { limiter, clock } = limiterOf();
  const comeAndGo = () => {
    const admission = limiter.admit("192.0.2.1");
    admission?.[Symbol.dispose]();
    return admission !== null;
  };
  for (let i = 0; i < 16; i++) assert.ok(comeAndGo());
  assert.ok(!comeAndGo());
  clock.pass(4.9);
  assert.ok(!comeAndGo());
  clock.pass(0.2);
  assert.ok(comeAndGo());
  assert.ok(!comeAndGo());
  clock.pass(1_000_000);
  for (let i = 0; i < 16; i++) assert.ok(comeAndGo());
  assert.ok(!comeAndGo());
  // A step of the wall clock gives nobody anything.
  clock.stepWall(1_000_000);
  assert.ok(!comeAndGo());
});

Deno.test("SourceLimiter.admit() does not count new connections of those who proved themselves", () => {
  const { limiter } = limiterOf();
  for (let i = 0; i < 1_000; i++) {
    const admission = admitted(limiter.admit("192.0.2.1"));
    admission.proven();
    admission.proven();
    admission[Symbol.dispose]();
    // Too late to gain anything.
    admission.proven();
    admission[Symbol.dispose]();
  }
  const strangers = Array.from({ length: 8 }, () => limiter.admit("192.0.2.1"));
  assert.ok(strangers.every((admission) => admission !== null));
  assert.equal(limiter.admit("192.0.2.1"), null);
});

Deno.test("SourceLimiter remembers a bounded number of sources, and never forgets one that is connected", () => {
  const { limiter } = limiterOf({ strangersPerSource: 1 });
  const held = admitted(limiter.admit("192.0.2.1"));
  for (let i = 0; i < 16; i++) limiter.admit("192.0.2.2")?.[Symbol.dispose]();
  assert.equal(limiter.admit("192.0.2.2"), null);
  for (let i = 0; i < 1_022; i++) limiter.admit(`10.0.${i >> 8}.${i & 255}`)?.[Symbol.dispose]();
  assert.equal(limiter.admit("192.0.2.2"), null);
  for (let i = 0; i < 1_024; i++) limiter.admit(`10.1.${i >> 8}.${i & 255}`)?.[Symbol.dispose]();
  // What was new is forgotten in such a flood, what is open is not.
  admitted(limiter.admit("192.0.2.2"));
  assert.equal(limiter.admit("192.0.2.1"), null);
  held[Symbol.dispose]();
  admitted(limiter.admit("192.0.2.1"));
});

Deno.test("sourceOf() counts an IPv6 /56 and an IPv4 address as one source, in every spelling", () => {
  for (
    const [address, source] of [
      ["192.0.2.1", "192.0.2.1"],
      ["::ffff:192.0.2.1", "192.0.2.1"],
      ["::FFFF:192.0.2.1", "192.0.2.1"],
      ["2001:db8:1:22ff::1", "2001:db8:1:2200"],
      ["2001:DB8:1:2201:1:2:3:4", "2001:db8:1:2200"],
      ["2001:db8:1:2301::1", "2001:db8:1:2300"],
      ["2001:db8::1", "2001:db8:0:0"],
      ["::1", "0:0:0:0"],
      ["::", "0:0:0:0"],
      ["fe80::1%eth0", "fe80:0:0:0"],
      ["1::", "1:0:0:0"],
      ["", ""],
    ]
  ) assert.equal(sourceOf(address ?? ""), source);
  fc.assert(fc.property(fc.ipV6(), (address) => assert.match(sourceOf(address), /^[0-9a-f:.]*$/)));
  fc.assert(fc.property(fc.ipV4(), (address) => assert.equal(sourceOf(`::ffff:${address}`), plainAddress(address))));
});

Deno.test("SourceLimiter never lets a source have more than it may, in any order of coming and going", () => {
  const step = fc.record({
    source: fc.constantFrom("a", "b"),
    act: fc.constantFrom("come", "go", "prove", "pass"),
    which: fc.nat(),
  });
  fc.assert(fc.property(fc.array(step, { maxLength: 300 }), (steps) => {
    const { limiter, clock } = limiterOf({ strangersPerSource: 3, connectionsPerSource: 5 });
    const open: { source: string; admission: Admission; proven: boolean }[] = [];
    for (const { source, act, which } of steps) {
      if (act === "pass") clock.pass(which % 30);
      const one = open[which % (open.length || 1)];
      if (act === "go" && one !== undefined) {
        one.admission[Symbol.dispose]();
        open.splice(open.indexOf(one), 1);
      }
      if (act === "prove" && one !== undefined) {
        one.admission.proven();
        one.proven = true;
      }
      if (act !== "come") continue;
      const own = open.filter((other) => other.source === source);
      const admission = limiter.admit(source);
      const may = own.length < 5 && own.filter(({ proven }) => !proven).length < 3;
      if (!may) assert.equal(admission, null);
      if (admission !== null) open.push({ source, admission, proven: false });
    }
  }));
});
