import assert from "node:assert/strict";
import type { AuditRecord } from "@ark/node/audit";
import { PullSessions } from "@ark/node/http";
import { FakeTime } from "./fake_time.ts";

const REQUEST = "a".repeat(64);
const [FILE, OTHER] = ["b".repeat(64), "c".repeat(64)];

class Scene {
  readonly time = new FakeTime();
  readonly records: AuditRecord[] = [];
  readonly warnings: string[] = [];
  may = true;
  fails = false;
  readonly sessions = new PullSessions({
    audit: {
      append: (record) => {
        if (this.fails) return Promise.reject(new Error("The disk is full"));
        this.records.push(record);
        return Promise.resolve({} as never);
      },
    },
    events: { emit() {} },
    logger: { warn: (message) => void this.warnings.push(message) },
    may: () => this.may,
    now: () => this.time.now,
    later: this.time.later,
  });
}

Deno.test("PullSessions ends a download after a minute of silence, and not while a chunk is on its way", async () => {
  const { sessions, records, time } = new Scene();
  await sessions.begin({ peer: "p", model: "m", request: REQUEST });
  const ended = sessions.chunk({ peer: "p", model: "m" }, FILE);
  time.pass(10 * 60_000);
  assert.equal(sessions.open, 1);
  ended({ bytes: 5, whole: true });
  time.pass(59_000);
  await sessions.begin({ peer: "p", model: "m", request: "d".repeat(64) });
  time.pass(59_000);
  assert.equal(sessions.open, 1);
  time.pass(17_000);
  assert.equal(sessions.open, 0);
  await Promise.resolve();
  assert.deepEqual(records.map(({ kind, request, count, digest, ms }) => [kind, request, count, digest, ms]), [
    ["start", REQUEST, 0, undefined, undefined],
    ["end", REQUEST, 1, FILE, 659_000],
  ]);
  assert.equal(time.waiting, 0);
});

Deno.test("PullSessions names the file of a download where it was one, and counts the chunks that came whole", async () => {
  const { sessions, records } = new Scene();
  await sessions.begin({ peer: "p", model: "m", request: REQUEST });
  for (const [file, whole] of [[FILE, true], [OTHER, true], [FILE, false]] as const) {
    sessions.chunk({ peer: "p", model: "m" }, file)({ bytes: 1, whole });
  }
  await sessions.close();
  assert.deepEqual([records[1]?.digest, records[1]?.count, records[1]?.outcome], [null, 2, "ok"]);
});

Deno.test("PullSessions begins a download once for all who ask at the same time, and again where it could not be recorded", async () => {
  const scene = new Scene();
  const { sessions, records } = scene;
  const begin = () => sessions.begin({ peer: "p", model: "m", request: REQUEST });
  scene.fails = true;
  for (const { status } of await Promise.allSettled([begin(), begin(), begin()])) assert.equal(status, "rejected");
  assert.equal(sessions.open, 0);
  scene.fails = false;
  await Promise.all([begin(), begin(), begin()]);
  assert.equal(records.length, 1);
  scene.fails = true;
  await sessions.close();
  assert.equal(scene.warnings.length, 1);
});

Deno.test("PullSessions ends what may not go on at once, and nothing else", async () => {
  const scene = new Scene();
  const { sessions, records } = scene;
  await sessions.begin({ peer: "p", model: "m", request: REQUEST });
  sessions.recheck();
  assert.equal(sessions.open, 1);
  scene.may = false;
  sessions.recheck();
  assert.equal(sessions.open, 0);
  await sessions.close();
  await Promise.resolve();
  assert.equal(records[1]?.outcome, "forbidden");
});

Deno.test("PullSessions keeps a thousand downloads and ends the one that was silent for longest", async () => {
  const { sessions, records, time } = new Scene();
  for (let peer = 0; peer < 1_030; peer++) {
    time.now++;
    await sessions.begin({ peer: `p${peer}`, model: "m", request: REQUEST });
  }
  assert.equal(sessions.open, 1_024);
  await Promise.resolve();
  const ended = records.filter(({ kind }) => kind === "end").map(({ peer }) => peer);
  assert.deepEqual(ended, ["p0", "p1", "p2", "p3", "p4", "p5"]);
  await sessions.close();
});
