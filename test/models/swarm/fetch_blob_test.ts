import assert from "node:assert/strict";
import fc from "fast-check";
import { ArkError, Bitfield, CHUNK_BYTES } from "@ark/node/protocol";
import { fetchBlob } from "../../../src/models/swarm/fetch_blob.ts";
import type { FetchBlobOptions } from "../../../src/models/swarm/fetch_options.ts";
import type { FetchProgress, FetchReport } from "../../../src/models/swarm/piece_source.ts";
import { CountedFile, type Nature, sizeOf, VirtualClock, VirtualSource } from "./virtual_swarm.ts";

const MB = 1e6;
const CHUNKS = 256;

interface Outcome {
  report: FetchReport;
  file: CountedFile;
  sources: VirtualSource[];
  size: number;
  /** Bytes that came in vain, as a share of the file. */
  duplicates: number;
}

async function fetched(
  natures: readonly Nature[],
  { chunks = CHUNKS, size = sizeOf(chunks), ...options }: Partial<FetchBlobOptions> & {
    chunks?: number;
    size?: number;
  } = {},
): Promise<Outcome> {
  const clock = new VirtualClock();
  const file = new CountedFile(size);
  const sources = natures.map((nature, index) => new VirtualSource(`s${index}`, { clock, size, nature }));
  const signal = new AbortController().signal;
  const report = await clock.run(fetchBlob(file, { sources, signal, clock, ...options }));
  const sent = sources.reduce((sum, source) => sum + source.sent, 0);
  return { report, file, sources, size, duplicates: (sent - size) / size };
}

/** How much of the sum of what the sources could give came. */
function share({ report, size }: Outcome, natures: readonly Nature[]): number {
  return size / report.ms * 1_000 / natures.reduce((sum, { rate }) => sum + rate, 0);
}

function refused(work: Promise<unknown>, message: RegExp): Promise<void> {
  return assert.rejects(work, (error) => {
    assert.ok(error instanceof ArkError, String(error));
    assert.equal(error.code, "unavailable");
    assert.match(error.message, message);
    return true;
  });
}

for (const [count, least] of [[1, 0.97], [2, 0.95], [4, 0.92]] as const) {
  Deno.test(`fetchBlob() gets ${least * 100} % of what ${count} equal sources give together`, async () => {
    const natures = Array.from({ length: count }, () => ({ rate: 30 * MB }));
    const outcome = await fetched(natures);
    assert.ok(share(outcome, natures) >= least, `${share(outcome, natures)}`);
    assert.ok(outcome.duplicates <= 0.01, `${outcome.duplicates}`);
  });
}

Deno.test("fetchBlob() gets 92 % of what unequal sources give together", async () => {
  const natures = [80, 40, 20, 5].map((rate) => ({ rate: rate * MB }));
  const outcome = await fetched(natures);
  assert.ok(share(outcome, natures) >= 0.92, `${share(outcome, natures)}`);
  assert.ok(outcome.duplicates <= 0.01, `${outcome.duplicates}`);
});

Deno.test("fetchBlob() does not take a source for slow that sent the short last chunk first", async () => {
  // Nearly all of such a chunk's time is the way there.
  for (const rates of [[30], [30, 30], [80, 40, 20, 5]]) {
    const natures = rates.map((rate) => ({ rate: rate * MB, delayMs: 25 }));
    const outcome = await fetched(natures, { size: CHUNK_BYTES * CHUNKS + 400, random: () => 0.999 });
    assert.ok(outcome.file.order.slice(0, 4).includes(CHUNKS), "The last chunk comes first");
    assert.ok(share(outcome, natures) >= 0.95, `${rates}: ${share(outcome, natures)}`);
    assert.ok(outcome.duplicates <= 0.01, `${rates}: ${outcome.duplicates}`);
  }
});

Deno.test("fetchBlob() asks a source for the next chunk while one is being checked and written", async () => {
  const clock = new VirtualClock();
  const size = sizeOf(CHUNKS);
  const file = new CountedFile(size);
  const signal = new AbortController().signal;
  let atOnce = 0;
  let most = 0;
  // It takes longer than a chunk's way here, but for several at once.
  const sink = {
    size,
    have: file.have,
    write: async (index: number, bytes: Uint8Array) => {
      most = Math.max(most, ++atOnce);
      await clock.sleep(150, signal);
      atOnce--;
      return await file.write(index, bytes);
    },
  };
  const natures = [{ rate: 80 * MB }, { rate: 5 * MB }];
  const sources = natures.map((nature, index) => new VirtualSource(`s${index}`, { clock, size, nature }));
  const report = await clock.run(fetchBlob(sink, { sources, signal, clock }));
  const share = size / report.ms * 1_000 / (85 * MB);
  assert.ok(share >= 0.95, `${share}`);
  assert.equal(report.wasted, 0);
  assert.ok(most <= 12, `Memory is bounded: ${most} chunks`);
});

for (const how of ["diesAt", "hangsAt", "refusesAt"] as const) {
  Deno.test(`fetchBlob() loses less than two seconds by a source that ${how.replace("At", "")}, whenever that is`, async () => {
    for (const at of [100, 3_000, 7_000, 12_000, 13_200]) {
      const rate = 40 * MB;
      const outcome = await fetched([{ rate }, { rate, [how]: at }]);
      // Both until then, one of them afterwards.
      const ideal = at + Math.max(0, outcome.size - 2 * rate * at / 1_000) / rate * 1_000;
      assert.ok(outcome.report.ms < ideal + 2_000, `${how} ${at}: ${outcome.report.ms} instead of ${ideal}`);
      assert.ok(outcome.duplicates <= 0.01, `${how} ${at}: ${outcome.duplicates}`);
    }
  });
}

Deno.test("fetchBlob() goes on with a source that came back, and with one that joined", async () => {
  const rate = 40 * MB;
  const alone = await fetched([{ rate, diesAt: 3_000, returnsAt: 20_000 }], { idleMs: 60_000 });
  assert.ok(alone.file.have.full);
  assert.ok(alone.report.ms < 20_000 + 27_000 + 11_000, `${alone.report.ms}`);

  const clock = new VirtualClock();
  const size = sizeOf(CHUNKS);
  const file = new CountedFile(size);
  const [first, late] = ["first", "late"].map((name) => new VirtualSource(name, { clock, size, nature: { rate } }));
  assert.ok(first && late);
  const report = await clock.run(fetchBlob(file, {
    sources: [first],
    discover: (known) => Promise.resolve(known.has("late") || clock.now() < 8_000 ? [] : [late]),
    signal: new AbortController().signal,
    clock,
  }));
  const joined = report.sources.find(({ key }) => key === "late");
  assert.ok((joined?.bytes ?? 0) > size / 4, JSON.stringify(report.sources));
  assert.ok(report.ms < 21_000, `${report.ms}`);
});

Deno.test("fetchBlob() names and bars a source that sends wrong chunks, and the others bring the file", async () => {
  const told: [string, boolean][] = [];
  const natures: Nature[] = [{ rate: 40 * MB }, { rate: 40 * MB }, { rate: 40 * MB }, {
    rate: 40 * MB,
    lies: () => true,
  }];
  const outcome = await fetched(natures, { wrong: (source, barred) => void told.push([source.name, barred]) });
  assert.deepEqual(told, [["s3", false], ["s3", true]]);
  assert.match(outcome.report.sources[3]?.fault ?? "", /wrong|not what they should be/);
  assert.equal(outcome.report.sources[3]?.bytes, 0);
  // Three of four are left: at most a tenth slower than those three.
  assert.ok(outcome.report.ms < outcome.size / (120 * MB) * 1_000 * 1.1, `${outcome.report.ms}`);
});

Deno.test("fetchBlob() goes on where a source sent one wrong chunk and then right ones", async () => {
  let lies = 1;
  const outcome = await fetched([{ rate: 40 * MB, lies: () => lies-- > 0 }], { chunks: 20 });
  assert.equal(outcome.report.sources[0]?.bad, 1);
  assert.equal(outcome.report.sources[0]?.fault, null);
});

Deno.test("fetchBlob() ends with a sentence that names everybody when all are barred, gone or silent", async () => {
  const rate = 40 * MB;
  const lies = () => true;
  await refused(fetched([{ rate, lies }, { rate, lies }]), /s0 \(it sent pieces .*\); s1 \(it sent pieces/);
  await refused(fetched([{ rate, refusesAt: 2_000 }]), /s0 \(It does not share it\)/);
  await refused(fetched([{ rate, diesAt: 2_000 }], { idleMs: 5_000 }), /s0 \(connection refused\).*What came is kept/);
  await refused(fetched([{ rate, hangsAt: 2_000 }], { idleMs: 30_000 }), /s0 \(Nothing came from it/);
  await refused(fetched([]), /Nobody has this file/);
});

Deno.test("fetchBlob() waits as long as a busy source says, which is no fault of it", async () => {
  const asked: number[] = [];
  const busy = (now: number) => now < 5_000 ? (asked.push(now), 2) : null;
  const outcome = await fetched([{ rate: 40 * MB, busy }], { chunks: 20 });
  assert.equal(outcome.report.sources[0]?.fault, null);
  const times = [...new Set(asked)];
  for (let at = 1; at < times.length; at++) assert.ok((times[at] ?? 0) - (times[at - 1] ?? 0) >= 1_999, `${times}`);
});

Deno.test("fetchBlob() takes what a partial holder gets meanwhile, and asks again what it has", async () => {
  const grows = (now: number) => {
    const have = new Bitfield(CHUNKS);
    for (let index = 0; index < Math.min(CHUNKS, now / 50); index++) have.set(index);
    return have;
  };
  const outcome = await fetched([{ rate: 40 * MB, has: grows }]);
  assert.ok(outcome.file.have.full);
  assert.ok(outcome.report.ms < 40_000, `${outcome.report.ms}`);
  assert.equal(outcome.report.sources[0]?.fault, null);
});

Deno.test("fetchBlob() lets the origin help within 12 seconds where peers are slow, and leaves it again when they are not", async () => {
  const origin: Nature = { rate: 50 * MB, kind: "origin" };
  const slow = await fetched([{ rate: 0.5 * MB }, origin], { chunks: 64 });
  const whole = slow.size / (50 * MB) * 1_000;
  assert.ok(slow.report.ms > 9_000 && slow.report.ms < 12_000 + whole + 1_000, `${slow.report.ms}`);
  assert.ok((slow.sources[1]?.sent ?? 0) > slow.size * 0.9);

  const enough = await fetched([{ rate: 30 * MB }, origin], { chunks: 64 });
  assert.equal(enough.sources[1]?.sent, 0, "Peers that are fast enough are not helped");

  const again = await fetched([{ rate: 30 * MB, hangsAt: 0, returnsAt: 15_000 }, { ...origin, rate: 20 * MB }], {
    chunks: 512,
  });
  const before = again.sources[1]?.sent ?? 0;
  assert.ok(before > 0 && before < again.size * 0.8, `The origin leaves when the peer is back: ${before}`);
});

Deno.test("fetchBlob() asks the origin at once for what no peer has", async () => {
  const half = new Bitfield(64);
  for (let index = 0; index < 32; index++) half.set(index);
  const natures: Nature[] = [{ rate: 30 * MB, has: () => half }, { rate: 30 * MB, kind: "origin" }];
  const outcome = await fetched(natures, { chunks: 64 });
  assert.ok(outcome.report.ms < 9_000, `${outcome.report.ms}`);
  assert.equal(outcome.sources[1]?.asked, 32);
});

Deno.test("fetchBlob() begins with the header, then at random, and takes the rarest chunks first", async () => {
  const chunks = 40;
  const common = new Bitfield(chunks);
  for (let index = 0; index < 30; index++) common.set(index);
  const natures: Nature[] = [{ rate: 20 * MB }, { rate: 20 * MB, has: () => common }, {
    rate: 20 * MB,
    has: () => common,
  }];
  let turn = 0;
  const outcome = await fetched(natures, { chunks, random: () => (turn = (turn + 0.37) % 1) });
  assert.ok(outcome.file.order.indexOf(0) < 4, `${outcome.file.order}`);
  const rare = outcome.file.order.map((index, at) => index >= 30 ? at : -1).filter((at) => at >= 0);
  assert.ok(Math.max(...rare) < 34, `Chunks of which there is one copy come early: ${outcome.file.order}`);
  const alone = await fetched([{ rate: 20 * MB }], { chunks, random: () => 0.5 });
  // Several lanes: one may overtake another.
  const late = alone.file.order.slice(8).filter((index, at, all) => all.slice(0, at).some((one) => one > index + 4));
  assert.deepEqual(late, [], `In order at last: ${alone.file.order}`);
});

Deno.test("fetchBlob() tells how far it is, how fast, from whom, and how long it will take", async () => {
  const told: FetchProgress[] = [];
  const { size } = await fetched([{ rate: 60 * MB }, { rate: 20 * MB }], {
    tell: (progress) => void told.push(progress),
  });
  const middle = told[Math.floor(told.length / 2)];
  assert.ok(middle);
  assert.ok(Math.abs(middle.speed - 80 * MB) < 12 * MB, `${middle.speed}`);
  assert.equal(middle.sources[0]?.name, "s0");
  assert.ok(Math.abs((middle.sources[0]?.share ?? 0) - 0.75) < 0.1);
  const left = (size - middle.completed) / middle.speed;
  assert.ok(Math.abs((middle.secondsLeft ?? 0) - left) < 0.1);
  assert.deepEqual([told.at(-1)?.completed, told.at(-1)?.total], [size, size]);
});

Deno.test("fetchBlob() ends at once when it is cancelled, and nothing writes afterwards", async () => {
  const clock = new VirtualClock();
  const size = sizeOf(CHUNKS);
  const file = new CountedFile(size);
  const sources = [new VirtualSource("s", { clock, size, nature: { rate: 40 * MB } })];
  const stop = new AbortController();
  const work = fetchBlob(file, { sources, signal: stop.signal, clock });
  const cancel = clock.sleep(5_000, stop.signal).then(() => stop.abort(new Error("enough")));
  await assert.rejects(clock.run(work), /enough/);
  await cancel;
  assert.ok(clock.now() <= 5_100, `${clock.now()}`);
  const kept = file.order.length;
  assert.ok(kept > 20);
  await new Promise((resolve) => setTimeout(resolve, 20));
  assert.equal(file.order.length, kept);
});

Deno.test("fetchBlob() does not blame a source for a disk that is full", async () => {
  const clock = new VirtualClock();
  const size = sizeOf(16);
  const file = new CountedFile(size);
  const source = new VirtualSource("s", { clock, size, nature: { rate: 40 * MB } });
  const full = new ArkError("unavailable", "The disk is full");
  const sink = { size, have: file.have, write: () => Promise.reject(full) };
  const work = fetchBlob(sink, { sources: [source], signal: new AbortController().signal, clock });
  await assert.rejects(clock.run(work), /The disk is full/);
});

Deno.test("fetchBlob() keeps every chunk exactly once, whatever sources do", async () => {
  const nature = fc.record({
    rate: fc.integer({ min: 1, max: 200 }).map((rate) => rate * MB),
    trouble: fc.constantFrom("none", "none", "diesAt", "hangsAt", "refusesAt"),
    at: fc.integer({ min: 0, max: 8_000 }),
    back: fc.option(fc.integer({ min: 1, max: 4_000 }), { nil: null }),
    liar: fc.integer({ min: 0, max: 9 }),
    partial: fc.option(fc.integer({ min: 1, max: 60 }), { nil: null }),
  });
  await fc.assert(
    fc.asyncProperty(fc.array(nature, { maxLength: 5 }), fc.integer({ min: 1, max: 60 }), async (others, chunks) => {
      const natures: Nature[] = others.map(({ rate, trouble, at, back, liar, partial }) => ({
        rate,
        ...trouble === "none" ? {} : { [trouble]: at, ...back === null ? {} : { returnsAt: at + back } },
        ...liar === 0 ? { lies: (index: number) => index % 3 === 0 } : {},
        ...partial === null ? {} : {
          has: () => {
            const have = new Bitfield(chunks);
            for (let index = 0; index < chunks; index++) if ((index * 7) % 61 < partial) have.set(index);
            return have;
          },
        },
      }));
      // One is good: then the file comes, whatever the others do.
      const { file, report, size } = await fetched([...natures, { rate: 20 * MB }], { chunks });
      assert.ok(file.have.full);
      assert.equal(file.order.length, chunks);
      assert.equal(new Set(file.order).size, chunks);
      assert.equal(report.sources.reduce((sum, { bytes }) => sum + bytes, 0), size);
      // Never slower than the good one alone would be, but for moments in which its chunks are elsewhere.
      assert.ok(report.ms < (size + 2 * CHUNK_BYTES) / (20 * MB) * 1_000 + 20_000, `${report.ms}`);
    }),
    { numRuns: Deno.env.get("ARK_LONG") === "1" ? 2_000 : 120 },
  );
});
