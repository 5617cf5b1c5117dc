import assert from "node:assert/strict";
import { Logger } from "@ark/node/telemetry";
import { openStore } from "@ark/node/store";
import {
  type Candidate,
  type Ended,
  expectedRates,
  KeptReputation,
  Observations,
  rank,
  Reputation,
} from "@ark/node/routing";
import { Random } from "../sim/random.ts";

const DEMAND = { promptTokens: 500, answerTokens: 200 };
const CLAIM = { promptRate: 1_000, generationRate: 40 };

interface Fault {
  /** How much slower it is. */
  readonly slowness?: number;
  /** How many of its answers break off. */
  readonly failing?: number;
}

/** Three equal peers in virtual time, asked every ten seconds; the first one may be at fault for a while. */
class House {
  #now = 0;
  readonly #random = new Random(7);
  readonly reputation = new Reputation({ clock: () => this.#now });
  readonly #observations = new Observations({
    clock: () => this.#now,
    ended: (ended) => this.reputation.note(ended),
  });

  /** Asks for some minutes, and tells which part of the answers the first peer was asked for. */
  share(minutes: number, { slowness = 1, failing = 0 }: Fault = {}): number {
    let [mine, all] = [0, 0];
    for (const end = this.#now + minutes * 60_000; this.#now < end; all++) {
      const [first] = rank(["0", "1", "2"].map((key) => this.#candidate(key)), {
        ...DEMAND,
        random: () => this.#random.next(),
      });
      const key = first?.key ?? "";
      const bad = key === "0";
      if (bad) mine++;
      const began = this.#now;
      const observation = this.#observations.begin(key, "m", { promptTokens: 500, claim: CLAIM, expectedMs: 500 });
      this.#now += 500 * (bad ? slowness : 1);
      observation.firstToken();
      const breaks = bad && this.#random.next() < failing;
      const tokens = breaks ? 50 : 200;
      this.#now += tokens * 25 * (bad ? slowness : 1);
      observation.tokens(tokens);
      observation.end(breaks ? "unavailable" : "ok");
      this.#now = Math.max(this.#now, began + 10_000);
    }
    return mine / all;
  }

  #candidate(key: string): Candidate {
    const observed = this.#observations.of(key, "m");
    const { honesty, reliability } = this.reputation.of(key);
    return {
      key,
      name: key,
      local: false,
      loaded: true,
      inFlight: 0,
      slots: 1,
      queued: 0,
      roundTripMs: 1,
      loadMs: null,
      ...expectedRates(observed, CLAIM, honesty),
      successRate: Math.min(observed.successRate, reliability),
    };
  }
}

for (
  const [name, fault] of Object.entries(
    {
      "A slow peer": { slowness: 5 },
      "A flaky peer": { failing: 0.5 },
    } satisfies Record<string, Fault>,
  )
) {
  Deno.test(`${name} loses its traffic, and gets it back when it does well again`, () => {
    const house = new House();
    const before = house.share(60);
    assert.ok(before > 0.2 && before < 0.5, `${before} before`);
    const during = house.share(60, fault);
    assert.ok(during < 0.12, `${during} during`);
    house.share(60);
    const after = house.share(60);
    assert.ok(after > 0.2, `${after} after`);
  });
}

function ended(fields: Partial<Ended> = {}): Ended {
  return {
    key: "a",
    model: "m",
    outcome: "ok",
    began: true,
    firstTokenMs: 100,
    promptRate: null,
    generationRate: null,
    late: false,
    claim: null,
    ...fields,
  };
}

Deno.test("Reputation tells success, completeness, punctuality and uptime, and nothing of who was never asked", () => {
  const reputation = new Reputation({ clock: () => 0 });
  const nobody = reputation.of("a");
  assert.deepEqual([nobody.reliability, nobody.honesty, nobody.success, nobody.uptime], [1, 1, null, null]);
  reputation.note(ended());
  reputation.note(ended({ late: true }));
  reputation.note(ended({ outcome: "unavailable" }));
  reputation.note(ended({ outcome: "engine_failed", began: false, firstTokenMs: null, late: null }));
  reputation.note(ended({ outcome: "cancelled", late: null }));
  reputation.watched("a", { ms: 3_000, there: true });
  reputation.watched("a", { ms: 1_000, there: false });
  const { success, completeness, punctuality, uptime, answers, reliability } = reputation.of("a");
  assert.deepEqual([success, completeness, punctuality, uptime, answers], [0.5, 2 / 3, 2 / 3, 0.75, 4]);
  assert.ok(reliability < 0.75 && reliability > 0.5, `${reliability}`);
  assert.ok(reputation.reset("a"));
  assert.ok(!reputation.reset("a"));
  assert.deepEqual(reputation.of("a"), nobody);
});

Deno.test("Reputation remembers no more than it may", () => {
  const reputation = new Reputation({ clock: () => 0, most: 3 });
  for (const key of ["a", "b", "c", "a", "d"]) reputation.note(ended({ key }));
  assert.deepEqual(reputation.list().map(({ key }) => key), ["c", "a", "d"]);
});

Deno.test("KeptReputation outlives a restart, fades meanwhile, and keeps nothing of who is not approved", async () => {
  await using store = await openStore(":memory:");
  const logger = new Logger({ write: () => {} });
  const approved = new Set(["a", "b"]);
  const options = { store, logger, peers: () => [], approved: (id: string) => approved.has(id) };
  {
    await using kept = await KeptReputation.open(options);
    for (let turn = 0; turn < 8; turn++) kept.note(ended({ outcome: turn % 2 === 0 ? "ok" : "unavailable" }));
    kept.note(ended({ key: "b" }));
    kept.note(ended({ key: "stranger" }));
  }
  const rows = await store.selectFrom("reputations").selectAll().execute();
  assert.deepEqual(rows.map(({ node_id }) => node_id), ["a", "b"]);
  {
    await using kept = await KeptReputation.open(options);
    const { success, answers } = kept.of("a");
    assert.ok(Math.abs((success ?? 0) - 0.5) < 1e-6 && answers > 7.9, `${success} of ${answers}`);
  }
  // It was off for ten minutes: half is forgotten. What is not ours is left out.
  await store.updateTable("reputations").set({ saved_at: Date.now() - 600_000 }).where("node_id", "=", "a").execute();
  await store.updateTable("reputations").set({ record: '{"answers":-1}' }).where("node_id", "=", "b").execute();
  await using kept = await KeptReputation.open(options);
  assert.ok(Math.abs(kept.of("a").answers - 4) < 0.1, `${kept.of("a").answers}`);
  assert.equal(kept.of("b").answers, 0);
  approved.delete("a");
  await kept.flush();
  assert.deepEqual(await store.selectFrom("reputations").selectAll().execute(), []);
});

Deno.test("KeptReputation says once that it cannot be kept, and goes on", async () => {
  const lines: string[] = [];
  const logger = new Logger({ write: (line) => void lines.push(line) });
  const store = await openStore(":memory:");
  const kept = await KeptReputation.open({ store, logger, peers: () => [], approved: () => true });
  kept.note(ended());
  await store[Symbol.asyncDispose]();
  await kept.flush();
  await kept.flush();
  assert.equal(lines.length, 1);
  assert.match(lines[0] ?? "", /Reputations could not be kept/);
  assert.ok(kept.of("a").answers > 0.9);
});
