import assert from "node:assert/strict";
import { dirname } from "node:path";
import fc from "fast-check";
import { PowerMeter } from "../../../src/daemon/energy/power_meter.ts";
import { joulesBetween, SysfsPower } from "../../../src/daemon/energy/sysfs_power.ts";
import type { RunTool } from "../../../src/daemon/sharing/run_tool.ts";

/** A machine whose `/sys` has these files. */
async function machine(files: Record<string, string>) {
  const root = await Deno.makeTempDir({ prefix: "ark-sys-" });
  const write = async (more: Record<string, string>) => {
    for (const [path, text] of Object.entries(more)) {
      await Deno.mkdir(dirname(`${root}/sys/class/${path}`), { recursive: true });
      await Deno.writeTextFile(`${root}/sys/class/${path}`, `${text}\n`);
    }
  };
  await write(files);
  return { root, write, [Symbol.asyncDispose]: () => Deno.remove(root, { recursive: true }) };
}

const rapl = (name: string, what: string, microjoules: number | string, range = "262143328850") => ({
  [`powercap/${name}/name`]: what,
  [`powercap/${name}/energy_uj`]: String(microjoules),
  [`powercap/${name}/max_energy_range_uj`]: range,
});

const battery = (fields: Record<string, string>, name = "BAT0") =>
  Object.fromEntries(
    Object.entries({ type: "Battery", status: "Discharging", ...fields })
      .map(([field, text]) => [`power_supply/${name}/${field}`, text]),
  );

const amd = (card: string, microwatts: string, memory = "17163091968", field = "power1_average") => ({
  [`drm/${card}/device/mem_info_vram_total`]: memory,
  [`drm/${card}/device/hwmon/hwmon3/${field}`]: microwatts,
});

const MISSING: RunTool = () => Promise.resolve({ kind: "missing" });
const says = (text: string): RunTool => () => Promise.resolve({ kind: "printed", text });
const quiet = new AbortController().signal;

function meter(
  root: string,
  { usesGpu = false, run = MISSING }: { usesGpu?: boolean; run?: RunTool } = {},
): PowerMeter {
  return new PowerMeter({ history: { power: () => {} }, usesGpu: () => usesGpu, run, root });
}

Deno.test("PowerMeter tells watts of processors and their memory by what their counters gained, the cores not twice", async () => {
  await using one = await machine({
    ...rapl("intel-rapl:0", "package-0", 1_000_000),
    ...rapl("intel-rapl:0:0", "core", 5),
    ...rapl("intel-rapl:0:1", "dram", 2_000_000),
    ...rapl("intel-rapl:1", "package-1", 262_143_000_000),
    "powercap/intel-rapl/enabled": "1",
  });
  const it = meter(one.root);
  assert.equal(await it.look(quiet, 0), null);
  await one.write({
    ...rapl("intel-rapl:0", "package-0", 101_000_000),
    ...rapl("intel-rapl:0:0", "core", 90_000_000),
    ...rapl("intel-rapl:0:1", "dram", 12_000_000),
    // It began anew at its range.
    ...rapl("intel-rapl:1", "package-1", 49_671_150),
  });
  assert.deepEqual(await it.look(quiet, 10_000), { watts: (100 + 10 + 50) / 10, of: "processor" });
});

Deno.test("PowerMeter takes the counter of the whole platform where there is one, and no part for the whole", async () => {
  await using one = await machine({ ...rapl("intel-rapl:0", "package-0", 0), ...rapl("intel-rapl:1", "psys", 0) });
  const it = meter(one.root);
  await it.look(quiet, 0);
  await one.write({ ...rapl("intel-rapl:0", "package-0", 9_000_000), ...rapl("intel-rapl:1", "psys", 30_000_000) });
  assert.deepEqual(await it.look(quiet, 1_000), { watts: 30, of: "processor" });
  // One that cannot be read leaves nothing that could be told.
  await one.write({ "powercap/intel-rapl:0/energy_uj": "" });
  assert.equal(await it.look(quiet, 2_000), null);
});

Deno.test("PowerMeter tells nothing of a time between that was a sleep, and begins anew behind it", async () => {
  await using one = await machine(rapl("intel-rapl:0", "package-0", 0));
  const it = meter(one.root);
  await it.look(quiet, 0);
  await one.write(rapl("intel-rapl:0", "package-0", 5_000_000));
  assert.equal(await it.look(quiet, 3_600_000), null);
  await one.write(rapl("intel-rapl:0", "package-0", 25_000_000));
  assert.deepEqual(await it.look(quiet, 3_610_000), { watts: 2, of: "processor" });
});

Deno.test("PowerMeter tells of the whole machine by a battery that gives power, and by no other", async () => {
  for (
    const [fields, watts] of [
      [{ power_now: "12500000" }, 12.5],
      [{ power_now: "-12500000" }, 12.5],
      [{ current_now: "1000000", voltage_now: "12000000" }, 12],
      [{ power_now: "12500000", status: "Charging" }, null],
      [{ power_now: "12500000", status: "Full" }, null],
      [{ power_now: "12500000", scope: "Device" }, null],
      [{ power_now: "12500000", type: "Mains" }, null],
      [{ power_now: "much" }, null],
      [{ power_now: "9999999999999999" }, null],
      [{ power_now: "999999999999999" }, null],
      [{ current_now: "1000000" }, null],
      [{ power_now: "0" }, null],
    ] as const
  ) {
    await using one = await machine(battery(fields));
    const reading = await meter(one.root).look(quiet, 0);
    assert.deepEqual(reading, watts === null ? null : { watts, of: "machine" }, JSON.stringify(fields));
  }
  await using two = await machine({
    ...battery({ power_now: "3000000" }),
    ...battery({ power_now: "4000000" }, "BAT1"),
  });
  assert.deepEqual(await meter(two.root).look(quiet, 0), { watts: 7, of: "machine" });
});

Deno.test("PowerMeter counts a GPU that works for the node, tells nothing without it, and asks none that does not", async () => {
  await using one = await machine(rapl("intel-rapl:0", "package-0", 0));
  let asked = 0;
  const it = meter(one.root, { run: (...call) => (asked++, says("100.00")(...call)) });
  await it.look(quiet, 0);
  assert.equal(asked, 0);
  const with_ = async (options: Parameters<typeof meter>[1], more: Record<string, string> = {}) => {
    await one.write({ ...rapl("intel-rapl:0", "package-0", 0), ...more });
    const it = meter(one.root, { usesGpu: true, ...options });
    await it.look(quiet, 0);
    await one.write(rapl("intel-rapl:0", "package-0", 50_000_000));
    return await it.look(quiet, 1_000);
  };
  assert.deepEqual(await with_({ run: says("100.25\n20.00\n") }), { watts: 170.25, of: "processor_and_gpu" });
  assert.equal(await with_({ run: says("100.25\n[N/A]\n") }), null);
  assert.equal(await with_({}), null);
  // What a chip without memory of its own takes is in the processor's counter.
  assert.equal(await with_({}, amd("card0", "15000000", "536870912")), null);
  assert.deepEqual(await with_({}, amd("card1", "200000000")), { watts: 250, of: "processor_and_gpu" });
  assert.deepEqual(await with_({}, amd("card2", "10000000", undefined, "power1_input")), {
    watts: 260,
    of: "processor_and_gpu",
  });
  assert.equal(await with_({}, amd("card3", "none")), null);
  await using bare = await machine({});
  assert.deepEqual(await meter(bare.root, { usesGpu: true, run: says("40.5") }).look(quiet, 0), {
    watts: 40.5,
    of: "gpu",
  });
  assert.equal(await meter(bare.root).look(quiet, 0), null);
});

Deno.test("PowerMeter does not ask again for a program that is missing, and has one question under way at a time", async () => {
  await using bare = await machine({});
  let [asked, running, most] = [0, 0, 0];
  const stop = new AbortController();
  const slow = new PowerMeter({
    history: { power: () => {} },
    usesGpu: () => true,
    root: bare.root,
    everyMs: 1,
    run: async () => {
      most = Math.max(most, ++running);
      await new Promise((resolve) => setTimeout(resolve, 5));
      running--;
      if (++asked === 5) stop.abort();
      return { kind: "printed", text: "7.00" };
    },
  });
  await slow.run(stop.signal);
  assert.deepEqual([asked, most], [5, 1]);
  asked = 0;
  const it = meter(bare.root, { usesGpu: true, run: (...call) => (asked++, MISSING(...call)) });
  for (let i = 0; i < 3; i++) assert.equal(await it.look(quiet), null);
  assert.equal(asked, 1);
});

Deno.test("joulesBetween() and SysfsPower return sensible numbers or nothing, whatever the files say", async () => {
  const count = fc.integer({ min: 0, max: 999_999_999_999_999 });
  fc.assert(fc.property(count, count, fc.option(count), (before, now, range) => {
    const at = (microjoules: number) => [{ name: "a", microjoules, range }];
    const joules = joulesBetween(at(before), at(now));
    assert.ok(joules === null || joules >= 0);
    assert.equal(joulesBetween(at(before), []), null);
  }));
  const text = fc.oneof(
    fc.string({ maxLength: 90 }),
    fc.constantFrom("-1", "1e9", "0x1", "1 2", "9".repeat(15), "NaN", "17"),
  );
  const tried = fc.asyncProperty(fc.array(text, { minLength: 6, maxLength: 6 }), async ([a, b, c, d, e, f]) => {
    await using one = await machine({
      ...rapl("intel-rapl:0", "package-0", a ?? "", b),
      ...battery({ power_now: c ?? "", status: "Discharging", current_now: d ?? "", voltage_now: e ?? "" }),
      ...amd("card0", f ?? ""),
    });
    const sysfs = new SysfsPower(one.root);
    const watts = [
      await sysfs.battery(),
      await sysfs.amd(),
      ...(await sysfs.processors())?.map((x) => x.microjoules) ?? [],
    ];
    for (const value of watts) assert.ok(value === null || (Number.isFinite(value) && value >= 0), String(value));
  });
  await fc.assert(tried, { numRuns: 25 });
});
