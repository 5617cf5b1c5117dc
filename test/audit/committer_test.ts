import assert from "node:assert/strict";
import { setImmediate } from "node:timers";
import { ArkError } from "@ark/node/protocol";
import { Logger } from "@ark/node/telemetry";
import { unplaced } from "../../src/audit/audit_record.ts";
import { Committer } from "../../src/audit/committer.ts";
import type { Follower } from "../../src/audit/follower.ts";
import type { CommitOptions, Journal } from "../../src/audit/journal.ts";
import type { Reserve } from "../../src/audit/reserve.ts";

const RECORD = { kind: "start", direction: null, peer: null } as const;

/** Fails with a sentence where something does not come. */
async function soon<T>(promise: Promise<T>, what: string): Promise<T> {
  let timer: ReturnType<typeof setTimeout> | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Error(`${what} was not settled in 10 s`)), 10_000);
  });
  try {
    return await Promise.race([promise, late]);
  } finally {
    clearTimeout(timer);
  }
}

/** A committer on a disk that takes something or not, whose log nobody can write to, and whose database may refuse to follow. */
async function committer(
  disk: { sound: boolean; follows: boolean; writes?: boolean; commits?: number; ms?: number },
): Promise<Committer> {
  const made = new Committer({
    journal: {
      path: "audit.log",
      commit(_: Uint8Array, { written }: CommitOptions) {
        disk.commits = (disk.commits ?? 0) + 1;
        if (disk.writes !== false) written?.();
        if (!disk.sound) throw new ArkError("audit_unavailable", "The disk takes nothing");
      },
    } as unknown as Journal,
    follower: {
      push() {
        if (!disk.follows) throw new Error("No thread can be started");
      },
    } as unknown as Follower,
    reserve: { release: () => false } as unknown as Reserve,
    logger: new Logger({
      write() {
        throw new Error("Broken pipe");
      },
    }),
    events: undefined,
    now: () => disk.ms ?? 0,
    recover: () => Promise.resolve({ head: { seq: 0, hash: "0".repeat(64), monotonic_ms: 0 }, refusal: null }),
  });
  await made.start();
  return made;
}

Deno.test("Committer.add() settles, and so do those after it, where what is told of a commit cannot be told", async () => {
  const disk = { sound: false, follows: true };
  const made = await committer(disk);
  for (const _ of [1, 2]) {
    const both = [made.add(unplaced(RECORD)), made.add(unplaced(RECORD))];
    for (const one of both) await assert.rejects(soon(one, "A record"), { code: "audit_unavailable" });
    await soon(made.settled(), "The committer");
  }
  disk.sound = true;
  assert.equal((await soon(made.add(unplaced(RECORD)), "A record")).seq, 1);
  disk.follows = false;
  assert.equal((await soon(made.add(unplaced(RECORD)), "A record")).seq, 2);
  disk.follows = true;
  await soon(made.settled(), "The committer");
  assert.equal((await soon(made.add(unplaced(RECORD)), "A record")).seq, 3);
  await soon(made.settled(), "The committer");
});

Deno.test("Committer.add() does not wait for others at once, and together with others as soon as there are some", async () => {
  const disk = { sound: true, follows: true, commits: 0, ms: 1_000 };
  const made = await committer(disk);
  const order: string[] = [];
  const turn = new Promise<void>((resolve) => setImmediate(resolve)).then(() => order.push("turn"));
  const alone = made.add(unplaced(RECORD), { atOnce: true }).then(() => order.push("alone"));
  const beside = made.add(unplaced(RECORD)).then(() => order.push("beside"));
  await soon(Promise.all([turn, alone, beside]), "A record");
  // What was added before anything was committed goes with it.
  assert.deepEqual([order, disk.commits], [["alone", "beside", "turn"], 1]);
  await soon(made.settled(), "The committer");
  disk.ms += 5;
  // A moment later somebody else is likely to come, too.
  const later: string[] = [];
  const next = new Promise<void>((resolve) => setImmediate(resolve)).then(() => later.push("turn"));
  const one = made.add(unplaced(RECORD), { atOnce: true }).then(() => later.push("one"));
  await Promise.resolve().then(() => Promise.resolve());
  const two = made.add(unplaced(RECORD), { atOnce: true }).then(() => later.push("two"));
  await soon(Promise.all([next, one, two]), "A record");
  assert.deepEqual([later, disk.commits], [["turn", "one", "two"], 2]);
  await soon(made.settled(), "The committer");
  disk.ms += 6;
  const last: string[] = [];
  const over = new Promise<void>((resolve) => setImmediate(resolve)).then(() => last.push("turn"));
  const three = made.add(unplaced(RECORD), { atOnce: true }).then(() => last.push("three"));
  await soon(Promise.all([over, three]), "A record");
  assert.deepEqual([last, disk.commits], [["three", "turn"], 3]);
  await soon(made.settled(), "The committer");
});

Deno.test("Committer.add() says that a record was written where it was, also where it is not durable then", async () => {
  const disk = { sound: false, writes: false, follows: true };
  const made = await committer(disk);
  let told = 0;
  const record = () => made.add(unplaced(RECORD), { written: () => void told++ });
  await assert.rejects(soon(record(), "A record"), { code: "audit_unavailable" });
  assert.equal(told, 0);
  disk.writes = true;
  await assert.rejects(soon(record(), "A record"), { code: "audit_unavailable" });
  assert.equal(told, 1);
  disk.sound = true;
  await soon(Promise.all([record(), record(), made.add(unplaced(RECORD))]), "Records");
  assert.equal(told, 3);
  await soon(made.settled(), "The committer");
});
