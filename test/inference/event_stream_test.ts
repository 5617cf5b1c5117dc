import assert from "node:assert/strict";
import { ArkError, type InferenceEvent } from "@ark/node/protocol";
import { EventStream } from "../../src/inference/event_stream.ts";

const START: InferenceEvent = { type: "start", model: "m", digest: null, prompt_tokens: 1 };
const END: InferenceEvent = {
  type: "end",
  finish_reason: "stop",
  usage: { prompt_tokens: 1, completion_tokens: 3 },
  timings: { queue_ms: 0, load_ms: 0, prompt_ms: 0, generation_ms: 0 },
};

function text(value: string): InferenceEvent {
  return { type: "text", text: value, tokens: 1 };
}

function stream(): { stream: EventStream; calls: string[] } {
  const calls: string[] = [];
  const made = new EventStream({
    begin: () => calls.push("begin"),
    leave: () => calls.push("leave"),
    over: () => calls.push("over"),
  });
  return { stream: made, calls };
}

Deno.test("EventStream begins with the first event that is asked for", async () => {
  const { stream: events, calls } = stream();
  events.push(text("too early"));
  const first = events.next();
  assert.deepEqual(calls, ["begin"]);
  events.push(START);
  assert.deepEqual(await first, { done: false, value: START });
});

Deno.test("EventStream hands each event on at once, and joins texts that wait", async () => {
  const { stream: events } = stream();
  const first = events.next();
  for (const event of [START, text("a"), text("b"), text("c"), END]) events.push(event);
  assert.deepEqual(await first, { done: false, value: START });
  assert.deepEqual(await Array.fromAsync(events), [{ type: "text", text: "abc", tokens: 3 }, END]);
});

Deno.test("EventStream keeps the order where texts join after some were taken", async () => {
  const { stream: events } = stream();
  const reads = [events.next(), events.next()];
  events.push(text("a"));
  events.push(text("b"));
  events.push(text("c"));
  events.push(text("d"));
  reads.push(events.next());
  events.push(text("e"));
  reads.push(events.next());
  events.push(END);
  const read = await Promise.all(reads);
  assert.deepEqual(read.map(({ value }) => value?.type === "text" ? value.text : value), ["a", "b", "cd", "e"]);
  assert.deepEqual(await events.next(), { done: false, value: END });
  assert.deepEqual(await events.next(), { done: true, value: undefined });
});

Deno.test("EventStream.fail() follows what waits, and is told once", async () => {
  const { stream: events, calls } = stream();
  const first = events.next();
  events.push(START);
  events.push(text("a"));
  events.fail(new ArkError("engine_failed", "It broke"));
  events.fail(new ArkError("cancelled", "Too late"));
  await first;
  assert.deepEqual(await events.next(), { done: false, value: text("a") });
  await assert.rejects(events.next(), { code: "engine_failed" });
  assert.deepEqual(await events.next(), { done: true, value: undefined });
  assert.deepEqual(calls, ["begin", "over"]);
});

Deno.test("EventStream.return() takes effect while an event is awaited", async () => {
  const { stream: events, calls } = stream();
  const waiting = events.next();
  assert.deepEqual(await events.return(), { done: true, value: undefined });
  assert.deepEqual(await waiting, { done: true, value: undefined });
  events.push(START);
  assert.deepEqual(await events.next(), { done: true, value: undefined });
  assert.deepEqual(calls, ["begin", "over", "leave"]);
});

Deno.test("EventStream.return() says nothing where the answer is over already", async () => {
  const { stream: events, calls } = stream();
  void events.next();
  events.push(END);
  await events.return();
  assert.ok(!calls.includes("leave"));
});

/** A stream whose parts may take the short way, and what came by it. */
function shortWay(): { events: EventStream; taken: string[]; way: { open: boolean; full: Promise<void> | null } } {
  const taken: string[] = [];
  const way = { open: false, full: null as Promise<void> | null };
  const direct = {
    get open() {
      return way.open;
    },
    take(parts: readonly InferenceEvent[]) {
      taken.push(parts.map((part) => part.type === "text" ? part.text : part.type).join("+"));
      return way.full;
    },
  };
  return { events: new EventStream({ begin() {}, leave() {}, over() {}, direct }), taken, way };
}

Deno.test("EventStream gives parts to the short way while an event is waited for, and start and end to the iteration", async () => {
  const { events, taken, way } = shortWay();
  const start = events.next();
  events.push(START);
  assert.deepEqual(await start, { done: false, value: START });
  way.open = true;
  // Nobody waits yet: it is for the iteration.
  events.push(text("a"));
  assert.deepEqual(await events.next(), { done: false, value: text("a") });
  const next = events.next();
  for (const word of ["b", "c"]) events.push(text(word));
  assert.deepEqual(taken, ["b", "c"]);
  events.push(END);
  assert.deepEqual(await next, { done: false, value: END });
  assert.deepEqual(await events.next(), { done: true, value: undefined });
});

for (const how of ["end", "failure", "leaving"] as const) {
  Deno.test(`EventStream waits for a short way that is full, and gives it what came meanwhile, before ${how}`, async () => {
    const { events, taken, way } = shortWay();
    const start = events.next();
    events.push(START);
    await start;
    const room = Promise.withResolvers<void>();
    Object.assign(way, { open: true, full: room.promise });
    const next = events.next();
    const settled = next.then(({ value }) => value, (error) => error.code);
    for (const word of ["a", "b", "c"]) events.push(text(word));
    assert.deepEqual(taken, ["a"]);
    way.full = null;
    if (how === "end") events.push(END);
    else if (how === "failure") events.fail(new ArkError("engine_failed", "It broke"));
    else await events.return();
    if (how !== "leaving") {
      // Nothing may overtake what waits for room.
      assert.equal(await Promise.race([settled, Promise.resolve("waits")]), "waits");
    }
    room.resolve();
    assert.deepEqual(await settled, how === "end" ? END : how === "failure" ? "engine_failed" : undefined);
    assert.deepEqual(taken, how === "leaving" ? ["a"] : ["a", "bc"]);
  });
}
