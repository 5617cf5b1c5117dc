import assert from "node:assert/strict";
import { type ArkEvent, Events } from "@ark/node/telemetry";

function models(count: number): ArkEvent {
  return { type: "models", count };
}

Deno.test("Events.emit() reaches every subscriber, from the subscription on", async () => {
  const events = new Events();
  const abort = new AbortController();
  events.emit(models(0));
  const seen = [events.subscribe(abort.signal), events.subscribe(abort.signal)].map((subscription) =>
    Array.fromAsync(subscription, (event) => {
      if (event.type === "models" && event.count === 2) abort.abort();
      return event;
    })
  );
  events.emit(models(1));
  events.emit(models(2));
  assert.deepEqual(await Promise.all(seen), [[models(1), models(2)], [models(1), models(2)]]);
  assert.equal(events.subscribers, 0);
});

Deno.test("Events.emit() wakes a subscriber that waits", async () => {
  const events = new Events();
  const subscription = events.subscribe(new AbortController().signal)[Symbol.asyncIterator]();
  const waiting = subscription.next();
  events.emit(models(7));
  assert.deepEqual(await waiting, { done: false, value: models(7) });
  await subscription.return?.();
});

Deno.test("Events drops a slow subscriber's oldest events, counts them and tells it", async () => {
  const events = new Events({ queueLimit: 3 });
  const subscription = events.subscribe(new AbortController().signal)[Symbol.asyncIterator]();
  for (let index = 1; index <= 10; index++) events.emit(models(index));
  assert.equal(events.dropped, 7);
  const seen: ArkEvent[] = [];
  for (let index = 0; index < 4; index++) seen.push((await subscription.next()).value);
  assert.deepEqual(seen, [{ type: "lost", count: 7 }, models(8), models(9), models(10)]);
  await subscription.return?.();
  assert.equal(events.subscribers, 0);
});

Deno.test("Events.subscribe() ends a waiting iteration when the signal aborts", async () => {
  const events = new Events();
  const abort = new AbortController();
  const ended = Array.fromAsync(events.subscribe(abort.signal));
  await Promise.resolve();
  abort.abort();
  assert.deepEqual(await ended, []);
  assert.equal(events.subscribers, 0);
  assert.deepEqual(await Array.fromAsync(events.subscribe(abort.signal)), []);
  assert.equal(events.subscribers, 0);
});

Deno.test("Events.subscribe() ends when the loop is left", async () => {
  const events = new Events();
  const subscription = events.subscribe(new AbortController().signal);
  events.emit(models(1));
  for await (const event of subscription) {
    assert.deepEqual(event, models(1));
    break;
  }
  assert.equal(events.subscribers, 0);
  events.emit(models(2));
});
