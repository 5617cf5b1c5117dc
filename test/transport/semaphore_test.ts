import assert from "node:assert/strict";
import { Semaphore } from "../../src/transport/semaphore.ts";

const never = new AbortController().signal;

Deno.test("Semaphore.take() lets in as many as there are places, the others in order", async () => {
  const semaphore = new Semaphore(2);
  const first = await semaphore.take(never);
  await semaphore.take(never);
  const order: number[] = [];
  const third = semaphore.take(never).then((place) => (order.push(3), place));
  const fourth = semaphore.take(never).then((place) => (order.push(4), place));
  first[Symbol.dispose]();
  // A place is given back once.
  first[Symbol.dispose]();
  const place = await third;
  assert.deepEqual(order, [3]);
  place[Symbol.dispose]();
  await fourth;
  assert.deepEqual(order, [3, 4]);
});

Deno.test("Semaphore.take() rejects with the reason of its signal, and leaves the place to others", async () => {
  const semaphore = new Semaphore(1);
  const place = await semaphore.take(never);
  const stop = new AbortController();
  const waiting = semaphore.take(stop.signal);
  const patient = semaphore.take(never);
  stop.abort(new RangeError("enough"));
  await assert.rejects(waiting, /enough/);
  place[Symbol.dispose]();
  (await patient)[Symbol.dispose]();
  await assert.rejects(semaphore.take(stop.signal), /enough/);
  (await semaphore.take(never))[Symbol.dispose]();
});

Deno.test("Semaphore.takeNow() takes what is free, and nothing that somebody waits for", async () => {
  const semaphore = new Semaphore(1);
  const place = semaphore.takeNow();
  assert.ok(place !== null);
  assert.equal(semaphore.takeNow(), null);
  const waiting = semaphore.take(never);
  place[Symbol.dispose]();
  assert.equal(semaphore.takeNow(), null);
  (await waiting)[Symbol.dispose]();
  assert.ok(semaphore.takeNow() !== null);
});
