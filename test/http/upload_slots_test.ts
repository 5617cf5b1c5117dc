import assert from "node:assert/strict";
import { type UploadLease, UploadSlots } from "@ark/node/http";

const NEVER = new AbortController().signal;

Deno.test("UploadSlots serves four peers and one more, and tells the next when to come back", async () => {
  let now = 0;
  const slots = new UploadSlots({ now: () => now });
  const leases: UploadLease[] = [];
  for (const peer of ["a", "b", "c", "d", "e"]) leases.push(await slots.enter(peer, NEVER));
  assert.equal(slots.peers, 5);
  const refused = async () => {
    try {
      await slots.enter("f", NEVER);
    } catch (error) {
      return error as { code: string; retryAfterSeconds: number };
    }
    return assert.fail("It was let in");
  };
  const { code, retryAfterSeconds } = await refused();
  assert.deepEqual([code, retryAfterSeconds], ["busy", 5]);
  now = 29_500;
  assert.equal((await refused()).retryAfterSeconds, 1);
  // Those who keep coming keep their slots; the fifth slot goes round.
  now = 30_000;
  leases.push(await slots.enter("f", NEVER));
  assert.equal(slots.peers, 5);
  assert.equal(slots.running, 6);
  await assert.rejects(slots.enter("e", NEVER), { code: "busy" });
  leases.push(await slots.enter("a", NEVER));
  for (const lease of leases) lease.release({ reuse: true });
  assert.equal(slots.running, 0);
  // Who does not come back for some seconds makes room.
  now = 34_999;
  await assert.rejects(slots.enter("e", NEVER), { code: "busy" });
  now = 35_000;
  (await slots.enter("e", NEVER)).release({ reuse: true });
  assert.equal(slots.peers, 1);
});

Deno.test("UploadSlots sends few chunks to each where many are served, and never more than ten at once", async () => {
  const slots = new UploadSlots({ waitMs: 600_000 });
  const running = new Set<UploadLease>();
  const enter = (peer: string) => slots.enter(peer, NEVER).then((lease) => void running.add(lease));
  const all = ["a", "b"].flatMap((peer) => Array.from({ length: 6 }, () => enter(peer)));
  await turns();
  assert.equal(running.size, 8);
  for (const peer of ["c", "d", "e"]) all.push(...Array.from({ length: 4 }, () => enter(peer)));
  await turns();
  assert.equal(slots.running, 8 + 6);
  // What ends is not followed by another of the same peer until it has no more than its share.
  const [first, second, third] = running;
  for (const lease of [first, second]) lease?.release({ reuse: true });
  await turns();
  assert.equal(slots.running, 12);
  third?.release({ reuse: true });
  let most = 0;
  while (slots.running > 0) {
    for (const lease of running) lease.release({ reuse: true });
    await turns();
    most = Math.max(most, slots.running);
  }
  assert.ok(most <= 10, `${most} at once`);
  await Promise.all(all);
});

Deno.test("UploadSlots lets eight more wait, in order, and refuses what is beyond", async () => {
  const slots = new UploadSlots({ waitMs: 600_000 });
  const order: number[] = [];
  const leases = await Promise.all(Array.from({ length: 4 }, () => slots.enter("a", NEVER)));
  const leaving = new AbortController();
  const waiting = Array.from({ length: 8 }, (_, index) => {
    return slots.enter("a", index === 2 ? leaving.signal : NEVER).then((lease) => {
      order.push(index);
      lease.release({ reuse: false });
    });
  });
  await assert.rejects(slots.enter("a", NEVER), { code: "busy", retryAfterSeconds: 1 });
  const left = assert.rejects(waiting[2] ?? Promise.resolve(), /left/);
  leaving.abort(new Error("left"));
  await left;
  waiting.splice(2, 1);
  for (const lease of leases) {
    lease.release({ reuse: true });
    lease.release({ reuse: true });
  }
  await Promise.all(waiting);
  assert.deepEqual(order, [0, 1, 3, 4, 5, 6, 7]);
  assert.equal(slots.running, 0);
});

Deno.test("UploadSlots lets nobody wait for long: it says that one may ask again", async () => {
  const slots = new UploadSlots({ waitMs: 5 });
  const leases = await Promise.all(Array.from({ length: 4 }, () => slots.enter("a", NEVER)));
  await assert.rejects(slots.enter("a", NEVER), { code: "busy", retryAfterSeconds: 1 });
  for (const lease of leases) lease.release({ reuse: true });
  assert.equal(slots.running, 0);
  (await slots.enter("a", NEVER)).release({ reuse: true });
});

Deno.test("UploadSlots gives each chunk memory of its own, and uses it again only where nobody reads it", async () => {
  const slots = new UploadSlots();
  const [a, b] = [await slots.enter("a", NEVER), await slots.enter("a", NEVER)];
  assert.notEqual(a.buffer, b.buffer);
  a.release({ reuse: false });
  const c = await slots.enter("a", NEVER);
  assert.ok(c.buffer !== a.buffer && c.buffer !== b.buffer);
  b.release({ reuse: true });
  const d = await slots.enter("a", NEVER);
  assert.equal(d.buffer, b.buffer);
  c.release({ reuse: true });
  d.release({ reuse: true });
});

async function turns(): Promise<void> {
  for (let turn = 0; turn < 20; turn++) await Promise.resolve();
}
