import assert from "node:assert/strict";
import { ArkError } from "@ark/node/protocol";
import { RequestLedger } from "@ark/node/routing";
import { Events } from "@ark/node/telemetry";
import { requestsAnswer, type RequestsEvent } from "../../src/http/admin/request_routes.ts";

function scene() {
  const events = new Events();
  const ledger = new RequestLedger({ changed: ({ seq }) => events.emit({ type: "journey", seq }) });
  const closing = new AbortController();
  const get = (query: string) =>
    requestsAnswer(new Request(`http://x/api/v1/requests${query}`), { ledger, events, closing: closing.signal });
  const begin = (id: string) => ledger.begin({ id, from: "owner", model: "m" });
  return { events, ledger, closing, get, begin };
}

/** Events of a stream, one by one; null when it has ended. */
function reader(response: Response): { next(): Promise<RequestsEvent | null>; cancel(): Promise<void> } {
  const chunks = response.body?.getReader() ?? assert.fail();
  return {
    async next() {
      const { done, value } = await chunks.read();
      return done ? null : JSON.parse(new TextDecoder().decode(value).slice("data: ".length));
    },
    cancel: () => chunks.cancel(),
  };
}

Deno.test("requestsAnswer() gives the last requests, as many as are asked for", async () => {
  const { get, begin } = scene();
  for (const id of ["a", "b", "c"]) begin(id).end("ok");
  const ids = async (query: string) => (await get(query).json()).requests.map(({ id }: { id: string }) => id);
  assert.deepEqual(await ids(""), ["a", "b", "c"]);
  assert.deepEqual(await ids("?count=2"), ["b", "c"]);
  for (const count of ["0", "-1", "1.5", "x", "", "9999999"]) {
    assert.throws(() => get(`?count=${count}`), (error) => error instanceof ArkError && error.code === "bad_request");
  }
});

Deno.test("requestsAnswer() follows: what there is, then each change, until the node stops or the reader leaves", async () => {
  const { events, get, begin, closing } = scene();
  begin("a").end("ok");
  const first = reader(get("?follow=1"));
  const second = reader(get("?follow=1"));
  for (const { next } of [first, second]) {
    const event = await next();
    assert.ok(event !== null && "requests" in event && event.requests.length === 1);
  }
  const run = begin("b");
  run.step({ ms: 1, type: "asked", key: "local", name: "own", attempt: 0 });
  run.end("busy");
  const seen: unknown[] = [];
  while (seen.length < 3) {
    const event = await first.next();
    if (event !== null && "request" in event) seen.push(event.request.id);
  }
  assert.deepEqual(seen, ["b", "b", "b"]);
  assert.equal(events.subscribers, 2);
  await first.cancel();
  assert.equal(events.subscribers, 1);
  closing.abort();
  for (let event = await second.next(); event !== null;) event = await second.next();
  assert.equal(events.subscribers, 0);
});

Deno.test("requestsAnswer() holds a bounded number of events for a slow reader, and tells him the state anew", async () => {
  const { get, begin, closing, ledger } = scene();
  const slow = reader(get("?follow=1&count=5"));
  for (let burst = 0; burst < 40; burst++) {
    for (let i = 0; i < 50; i++) begin(`${burst}-${i}`).end("ok");
    // The stream takes what it is told between two bursts.
    await new Promise((resolve) => setTimeout(resolve));
  }
  let [events, states] = [0, 0];
  let last: RequestsEvent | null = null;
  const drained = (async () => {
    for (let event = await slow.next(); event !== null; event = await slow.next()) {
      events++;
      if ("requests" in event) states++;
      last = event;
    }
  })();
  const begun = performance.now();
  // A change after he has caught up.
  while (states < 2 && performance.now() - begun < 10_000) {
    begin("last").end("ok");
    await new Promise((resolve) => setTimeout(resolve, 1));
  }
  closing.abort();
  await drained;
  assert.ok(states >= 2, "He was told the state anew");
  assert.ok(events < 2_000, `${events} events for 4,000 changes`);
  assert.ok(last !== null && ledger.list().length === 1_000);
});
