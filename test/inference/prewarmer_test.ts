import assert from "node:assert/strict";
import { DemandHistory, Prewarmer, type WarmBackend } from "@ark/node/inference";
import { seeded } from "../support/seeded.ts";
import { FakeBackend, until } from "./local_fixture.ts";

const MINUTE = 60_000;
const HOUR = 60 * MINUTE;
const DAY = 24 * HOUR;
const WEEK = 7 * DAY;
const KEEP_ALIVE = 5 * MINUTE;
const hourOf = (at: number) => ({ hour: Math.floor(at / HOUR) % 168, week: Math.floor(at / WEEK) });

/** A machine in virtual time: models leave when nobody uses them, and there is room for two. */
class VirtualMachine implements WarmBackend {
  now = 0;
  busy = 0;
  queued = 0;
  ready = true;
  room = 2;
  /** When each was used last. */
  readonly used = new Map<string, number>();
  readonly loads: string[] = [];
  readonly counted = { met: 0, avoided: 0 };
  readonly prewarmer: Prewarmer;

  constructor({ enabled = true }: { enabled?: boolean } = {}) {
    this.prewarmer = new Prewarmer({
      backend: this,
      history: new DemandHistory({ hourOf }),
      enabled,
      clock: () => this.now,
      cold: (what) => this.counted[what]++,
    });
  }

  loaded(): { id: string }[] {
    for (const [id, at] of this.used) if (this.now - at > KEEP_ALIVE) this.used.delete(id);
    return [...this.used.keys()].map((id) => ({ id }));
  }

  loading(): { id: string }[] {
    return [];
  }

  hasRoomFor(): boolean {
    return this.loaded().length < this.room;
  }

  load(id: string): Promise<void> {
    if (!this.used.has(id)) this.loads.push(id);
    this.used.set(id, this.now);
    return Promise.resolve();
  }

  /** The owner, or a peer, asks. */
  ask(model: string, priority: "owner" | "peer" = "owner"): void {
    const warm = this.loaded().some(({ id }) => id === model);
    this.prewarmer.asked({ model, priority, principal: "x", warm });
    if (!warm && !this.hasRoomFor()) {
      const [oldest] = [...this.used].sort(([, a], [, b]) => a - b);
      if (oldest !== undefined) this.used.delete(oldest[0]);
    }
    this.used.set(model, this.now);
  }

  /** Lets time pass by minutes, with what happens in each. */
  async until(end: number, each: (minute: number) => void = () => {}): Promise<void> {
    for (; this.now < end; this.now += MINUTE) {
      each(this.now);
      this.prewarmer.tick();
      // The load has a turn to end in.
      await Promise.resolve();
      await Promise.resolve();
      await Promise.resolve();
    }
  }
}

/** A household: work on weekdays from nine, a story each evening, and something new now and then. */
function household(machine: VirtualMachine): (now: number) => void {
  const random = seeded(3);
  return (now) => {
    const day = Math.floor(now / DAY) % 7;
    const minute = Math.floor(now / MINUTE) % (24 * 60);
    const workday = day >= 1 && day <= 5;
    if (workday && minute >= 9 * 60 && minute < 12 * 60 && random() < 0.05) machine.ask("coder");
    if (minute >= 20 * 60 && minute < 21 * 60 && random() < 0.05) machine.ask("story");
    if (random() < 0.0005) machine.ask(`curious ${Math.floor(random() * 5)}`);
  };
}

Deno.test("Prewarmer avoids most cold starts of a household that lives by the clock", async () => {
  const cold: Record<string, number> = {};
  for (const enabled of [false, true]) {
    const machine = new VirtualMachine({ enabled });
    await machine.until(2 * WEEK, household(machine));
    const learning = { ...machine.counted };
    await machine.until(6 * WEEK, household(machine));
    const met = machine.counted.met - learning.met;
    const avoided = machine.counted.avoided - learning.avoided;
    cold[enabled ? "on" : "off"] = met;
    assert.equal(avoided > 0, enabled);
    // deno-lint-ignore no-console
    console.log(`Four weeks ${enabled ? "with" : "without"} prewarming: ${met} cold starts, ${avoided} avoided`);
  }
  assert.ok((cold.on ?? NaN) <= 0.5 * (cold.off ?? NaN), JSON.stringify(cold));
});

/** A machine that learned that a model is asked for at nine each day, ten minutes before it is. */
async function learned(options: { enabled?: boolean; priority?: "owner" | "peer" } = {}): Promise<VirtualMachine> {
  const machine = new VirtualMachine(options);
  await machine.until(5 * DAY + 8 * HOUR + 49 * MINUTE, (now) => {
    if (now % DAY === 9 * HOUR + 30 * MINUTE) machine.ask("daily", options.priority ?? "owner");
  });
  machine.loads.length = 0;
  machine.used.clear();
  return machine;
}

Deno.test("Prewarmer loads a model before its hour, keeps it until it is over, and lets it leave then", async () => {
  const machine = await learned();
  await machine.until(machine.now + 3 * MINUTE);
  assert.deepEqual([machine.loads, [...machine.prewarmer.early]], [["daily"], ["daily"]]);
  await machine.until(5 * DAY + 9 * HOUR + 59 * MINUTE);
  assert.deepEqual(machine.loaded(), [{ id: "daily" }], "Longer than models stay that nobody uses");
  await machine.until(5 * DAY + 10 * HOUR + 7 * MINUTE);
  assert.deepEqual([machine.loaded(), machine.loads], [[], ["daily"]]);
});

Deno.test("Prewarmer loads nothing on a machine that is at work, thrashes, has no room or may not", async () => {
  const reasons: [string, (machine: VirtualMachine) => void][] = [
    ["busy", (machine) => machine.busy = 1],
    ["queued", (machine) => machine.queued = 1],
    ["thrashing", (machine) => machine.ready = false],
    ["full", (machine) => machine.room = 0],
  ];
  for (const [name, change] of reasons) {
    const machine = await learned();
    change(machine);
    await machine.until(machine.now + HOUR);
    assert.deepEqual(machine.loads, [], name);
  }
  const off = await learned({ enabled: false });
  await off.until(off.now + HOUR);
  assert.deepEqual(off.loads, []);
  const used = await learned();
  await used.until(used.now + HOUR, () => used.ask("other"));
  assert.deepEqual(used.loads, [], "Somebody asks for something all the time");
});

Deno.test("Prewarmer learns nothing from peers", async () => {
  const machine = await learned({ priority: "peer" });
  await machine.until(machine.now + HOUR);
  assert.deepEqual([machine.loads, machine.counted], [[], { met: 0, avoided: 0 }]);
});

Deno.test("Prewarmer does not bring back what the owner sent away", async () => {
  const machine = await learned();
  await machine.until(machine.now + 3 * MINUTE);
  machine.used.delete("daily");
  await machine.until(machine.now + 40 * MINUTE);
  assert.deepEqual(machine.loads, ["daily"]);
});

Deno.test("Prewarmer counts a request as a cold start avoided once", async () => {
  const machine = await learned();
  const before = { ...machine.counted };
  await machine.until(machine.now + 15 * MINUTE);
  machine.ask("daily");
  machine.ask("daily");
  assert.deepEqual(machine.counted, { met: before.met, avoided: before.avoided + 1 });
});

Deno.test("Prewarmer goes on after a model could not be loaded", async () => {
  const machine = await learned();
  const load = machine.load.bind(machine);
  let failures = 0;
  machine.load = (id) => failures++ === 0 ? Promise.reject(new Error("The file is gone")) : load(id);
  await machine.until(machine.now + 5 * MINUTE);
  assert.deepEqual(machine.loads, ["daily"]);
});

Deno.test("Prewarmer loads a real worker's model into free memory only, and the next request finds it there", async () => {
  await using fake = new FakeBackend({ maxLoaded: 1 });
  const { backend } = fake;
  let now = 5 * DAY + 9 * HOUR;
  const history = new DemandHistory({ hourOf });
  for (let day = 0; day < 5; day++) history.note("early", day * DAY + 9 * HOUR);
  const counted: string[] = [];
  const prewarmer = new Prewarmer({
    backend,
    history,
    enabled: true,
    clock: () => now,
    cold: (what) => counted.push(what),
  });
  using _listening = backend.onAsked((asked) => prewarmer.asked(asked));
  const ask = async (model: string) => {
    const request = { model, input: { kind: "completion" as const, prompt: "one two" }, parameters: { max_tokens: 2 } };
    const options = { priority: "owner" as const, principal: "owner", signal: new AbortController().signal };
    for await (const _event of backend.infer(request, options)) { /* To its end. */ }
  };
  await ask("other");
  now += HOUR / 2;
  prewarmer.tick();
  assert.ok(!backend.hasRoomFor("early"));
  assert.deepEqual(backend.loading(), [], "There is room for one model, and it is taken");
  await backend.unload("other");
  prewarmer.tick();
  await until(() => backend.loaded().some(({ id }) => id === "early"));
  await ask("early");
  assert.deepEqual(counted, ["met", "avoided"]);
});
