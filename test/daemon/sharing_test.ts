import assert from "node:assert/strict";
import * as fc from "fast-check";
import { isShareTime, nextShareTime, type ShareHours, shareHours, yieldSetting } from "@ark/node/config";
import type { SharingView } from "@ark/node/http";
import type { ArkEvent } from "@ark/node/telemetry";
import { decideSharing } from "../../src/daemon/sharing/decide_sharing.ts";
import { KeptPause, LONGEST_PAUSE_MS, parsePause } from "../../src/daemon/sharing/kept_pause.ts";
import { Sharing, type SharingOptions } from "../../src/daemon/sharing/sharing.ts";
import { SteadyUse } from "../../src/daemon/sharing/steady_use.ts";
import type { UseReading } from "../../src/daemon/sharing/use_detector.ts";
import { until } from "../inference/local_fixture.ts";

const HOUR_MS = 3_600_000;
const quiet = { info() {}, warn() {} };
const CALM: UseReading = { kind: "calm" };
const USED: UseReading = { kind: "used", sentence: "Other programs use 90 % of the GPU" };
const BLIND: UseReading = { kind: "cannot_tell", why: "there is no tool" };

Deno.test("decideSharing() puts the owner's word first, then his hours, then what he does", () => {
  const now = new Date(2026, 10, 20, 12, 0);
  const later = new Date(2026, 10, 20, 13, 30);
  const facts = { now, pause: null, hours: null, uses: [], thrashing: null };
  const gpu = { what: "gpu" as const, sentence: "Other programs use 90 % of the GPU" };
  assert.deepEqual(decideSharing(facts).state, "sharing");
  const all = {
    ...facts,
    pause: { until: later },
    hours: [shareHours("22-7")],
    uses: [gpu],
    thrashing: "Too little memory",
  };
  assert.deepEqual(decideSharing(all), {
    state: "paused",
    shares: false,
    sentence: "Sharing is paused until 13:30",
    until: later.toISOString(),
  });
  const outside = decideSharing({ ...all, pause: null });
  assert.deepEqual([outside.state, outside.sentence], [
    "outside_hours",
    "This is not one of the hours in which you share: it goes on 22:00",
  ]);
  assert.equal(decideSharing({ ...all, pause: null, hours: null }).state, "gpu");
  assert.equal(decideSharing({ ...all, pause: null, hours: null, uses: [] }).state, "thrashing");
  // A pause that is over is none.
  assert.equal(decideSharing({ ...facts, pause: { until: new Date(2026, 10, 20, 11) } }).state, "sharing");
  assert.equal(decideSharing({ ...facts, pause: { until: null } }).sentence, "Sharing is paused until you resume it");
});

Deno.test("shareHours() reads days and hours, and a night belongs to the day on which it began", () => {
  const weeknights = [shareHours("mon-fri 22-7")];
  const at = (day: number, hour: number) => isShareTime(weeknights, new Date(2026, 10, day, hour));
  // 20 November 2026 is a Friday.
  assert.deepEqual([at(20, 21), at(20, 23), at(21, 6), at(21, 7), at(21, 23), at(23, 6), at(23, 22)], [
    false,
    true,
    true,
    false,
    false,
    false,
    true,
  ]);
  assert.ok(isShareTime([shareHours("sat-sun 0-24")], new Date(2026, 10, 21, 15)));
  assert.deepEqual(shareHours("fri-mon 8-9").days, [5, 6, 0, 1]);
  assert.deepEqual(nextShareTime(weeknights, new Date(2026, 10, 21, 12)), new Date(2026, 10, 23, 22));
  for (const wrong of ["", "22", "22-", "25-7", "22-7-8", "mon", "someday 22-7", "mon tue 22-7", "22:60-7"]) {
    assert.throws(() => shareHours(wrong), { name: "ConfigError" }, wrong);
  }
});

Deno.test("nextShareTime() gives the first minute at which isShareTime() says so", () => {
  const minute = fc.integer({ min: 0, max: 1_439 });
  const hours: fc.Arbitrary<ShareHours> = fc.record({
    days: fc.uniqueArray(fc.integer({ min: 0, max: 6 }), { minLength: 1 }),
    from: minute,
    until: minute,
  });
  const base = new Date(2026, 6, 1).getTime();
  fc.assert(
    fc.property(fc.array(hours, { minLength: 1, maxLength: 3 }), fc.nat(20_000), (all, ahead) => {
      const now = new Date(base + ahead * 60_000);
      const next = nextShareTime(all, now);
      if (isShareTime(all, now)) return assert.equal(next, null);
      assert.ok(next !== null && isShareTime(all, next));
      for (let at = now.getTime(); at < next.getTime(); at += 17 * 60_000) assert.ok(!isShareTime(all, new Date(at)));
    }),
    { numRuns: 300 },
  );
});

Deno.test("yieldSetting() reads auto, off and lists, and auto lets a server work", () => {
  assert.deepEqual(yieldSetting("off"), { uses: [], cpuAtDesktopOnly: false });
  assert.deepEqual(yieldSetting("auto"), { uses: ["gpu", "game", "cpu"], cpuAtDesktopOnly: true });
  assert.deepEqual(yieldSetting("auto,input").uses, ["gpu", "game", "cpu", "input"]);
  assert.deepEqual(yieldSetting("cpu, gpu"), { uses: ["gpu", "cpu"], cpuAtDesktopOnly: false });
  for (const wrong of ["", "on", "off,gpu", "gpu;cpu"]) {
    assert.throws(() => yieldSetting(wrong), { name: "ConfigError" });
  }
});

Deno.test("SteadyUse yields after it was used for long enough, and not for a moment", () => {
  const steady = new SteadyUse({ usedMs: 100, calmMs: 300 });
  const said = (reading: UseReading, ms: number) => {
    steady.note(reading, ms);
    return steady.sentence !== null;
  };
  assert.deepEqual(
    [said(USED, 0), said(USED, 50), said(CALM, 60), said(USED, 90), said(USED, 180)],
    [false, false, false, false, false],
  );
  assert.ok(said(USED, 190));
  // A loading screen is no end of a game, and a tool that hangs has not seen one.
  assert.deepEqual(
    [said(CALM, 200), said(CALM, 490), said(USED, 495), said(BLIND, 900), said(CALM, 1_000)],
    [true, true, true, true, true],
  );
  assert.ok(!said(CALM, 1_300));
  // One that is blind for good has nothing to say any more; and blindness alone never yields.
  assert.deepEqual([said(USED, 2_000), said(USED, 2_100), said(BLIND, 2_200), said(BLIND, 5_200)], [
    false,
    true,
    true,
    false,
  ]);
  const blind = new SteadyUse({ usedMs: 1, calmMs: 1 });
  for (let ms = 0; ms < 1_000; ms += 10) blind.note(BLIND, ms);
  assert.equal(blind.sentence, null);
});

Deno.test("SteadyUse never changes faster than its times, whatever is read", () => {
  const reading = fc.constantFrom(USED, CALM, BLIND);
  fc.assert(fc.property(fc.array(fc.tuple(reading, fc.integer({ min: 1, max: 80 })), { maxLength: 200 }), (steps) => {
    const steady = new SteadyUse({ usedMs: 100, calmMs: 200 });
    let [ms, was, usedFor, calmFor] = [0, false, 0, 0];
    for (const [read, gap] of steps) {
      ms += gap;
      steady.note(read, ms);
      if (read.kind === "used") [usedFor, calmFor] = [usedFor + gap, 0];
      if (read.kind === "calm") [usedFor, calmFor] = [0, calmFor + gap];
      if (read.kind === "cannot_tell") [usedFor, calmFor] = [usedFor + gap, calmFor + gap];
      const now = steady.sentence !== null;
      if (now && !was) assert.ok(usedFor >= 100);
      if (was && !now && read.kind === "calm") assert.ok(calmFor >= 200);
      was = now;
    }
  }));
});

Deno.test("KeptPause ends by the clock, survives a restart, and no clock that is set back makes it longer", async () => {
  const folder = await Deno.makeTempDir();
  try {
    let now = 1_000_000_000_000;
    const options = { path: `${folder}/sharing.json`, logger: quiet, clock: () => now };
    const kept = await KeptPause.open(options);
    assert.equal(kept.current(), null);
    await kept.pause(HOUR_MS);
    assert.equal(kept.current()?.until?.getTime(), now + HOUR_MS);
    now += HOUR_MS - 1;
    assert.notEqual((await KeptPause.open(options)).current(), null);
    // Two years back: what is left is an hour, and not two years.
    now -= 2 * 366 * 86_400_000;
    const again = await KeptPause.open(options);
    assert.equal(again.current()?.until?.getTime(), now + HOUR_MS);
    now += HOUR_MS;
    assert.equal(again.current(), null);
    await again.settled();
    assert.match(await Deno.readTextFile(options.path), /"pause":null/);

    await kept.pause(null);
    now += 10 * LONGEST_PAUSE_MS;
    assert.deepEqual((await KeptPause.open(options)).current(), { until: null });
    await kept.resume();
    assert.equal((await KeptPause.open(options)).current(), null);
    for (const wrong of [0, -1, NaN, Infinity, LONGEST_PAUSE_MS + 1]) {
      await assert.rejects(kept.pause(wrong), { code: "bad_request" });
    }
    // A file that makes no sense is no consent.
    await Deno.writeTextFile(options.path, "{");
    assert.deepEqual((await KeptPause.open(options)).current(), { until: null });
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});

Deno.test("parsePause() is total, and takes no pause that nobody could have asked for", () => {
  fc.assert(
    fc.property(
      fc.oneof(
        fc.string(),
        fc.json(),
        fc.record({ pause: fc.anything() }).map((one) => JSON.stringify(one) ?? ""),
      ),
      (text) => {
        const pause = parsePause(text);
        if (pause !== null && pause !== undefined && pause.length !== null) {
          assert.ok(pause.length > 0 && pause.length <= LONGEST_PAUSE_MS);
        }
      },
    ),
  );
});

/** A `Sharing` whose machine is scripted. */
async function scripted(folder: string, more: Partial<SharingOptions> = {}) {
  const views: SharingView[] = [];
  const events: ArkEvent[] = [];
  const machine = { reading: CALM as UseReading, looks: 0, atOnce: 0, most: 0 };
  const sharing = new Sharing({
    settings: { shareHours: null, yieldTo: yieldSetting("gpu,cpu"), onYield: "finish" },
    kept: await KeptPause.open({ path: `${folder}/sharing.json`, logger: quiet }),
    detector: (what) => ({
      what,
      everyMs: 5,
      async look() {
        machine.looks++;
        machine.most = Math.max(machine.most, ++machine.atOnce);
        await new Promise((resolve) => setTimeout(resolve, 1));
        machine.atOnce--;
        if (machine.reading === BLIND) throw new Error("A tool that breaks");
        return what === "gpu" ? machine.reading : CALM;
      },
    }),
    thrashing: () => null,
    changed: (view) => void views.push(view),
    events: { emit: (event) => void events.push(event) },
    logger: quiet,
    times: { usedMs: 20, calmMs: 20 },
    everyMs: 5,
    ...more,
  });
  return { sharing, machine, views, events };
}

Deno.test("Sharing tells everybody once when it changes, looks with one tool at a time, and takes other settings at once", async () => {
  const folder = await Deno.makeTempDir();
  const stop = new AbortController();
  try {
    const { sharing, machine, views, events } = await scripted(folder);
    const running = sharing.run(stop.signal);
    await until(() => machine.looks > 6);
    assert.deepEqual([sharing.open, views], [true, []]);
    machine.reading = USED;
    await until(() => !sharing.open);
    assert.deepEqual(views.map(({ state }) => state), ["gpu"]);
    assert.match(sharing.details().sentence, /^Other programs use 90 % of the GPU: neighbours must wait/);
    machine.reading = BLIND;
    await until(() => sharing.details().watches.some(({ cannot_tell }) => cannot_tell === "A tool that breaks"));
    machine.reading = CALM;
    await until(() => sharing.open);
    await sharing.pause(HOUR_MS);
    await sharing.pause(2 * HOUR_MS);
    await sharing.resume();
    assert.deepEqual(views.map(({ state }) => state), ["gpu", "sharing", "paused", "paused", "sharing"]);
    assert.deepEqual(events.map((event) => "state" in event && event.state), views.map(({ state }) => state));
    machine.reading = USED;
    await until(() => !sharing.open);
    sharing.configure({ shareHours: null, yieldTo: yieldSetting("off"), onYield: "move" });
    assert.deepEqual([sharing.open, sharing.onYield, sharing.details().watches], [true, "move", []]);
    assert.equal(machine.most, 1);
    stop.abort();
    await running;
  } finally {
    stop.abort();
    await Deno.remove(folder, { recursive: true });
  }
});
