import assert from "node:assert/strict";
import type { InferenceRequest } from "@ark/node/protocol";
import { FakeBackend, until } from "./local_fixture.ts";

function request(prompt: string, tokens: number): InferenceRequest {
  return { model: "fake", input: { kind: "completion", prompt }, parameters: { max_tokens: tokens } };
}

Deno.test("T39: Among ten greedy peers the owner's request is served next, each time, and also where the line is full", async () => {
  await using fake = new FakeBackend({ maxQueued: 24 });
  const { backend } = fake;
  const enough = new AbortController();
  const { signal } = enough;
  let refused = 0;
  const greedy = Array.from({ length: 10 }, async (_, peer) => {
    // Three at a time each, and at once again: always more than there is place for.
    await Promise.all(Array.from({ length: 3 }, async () => {
      while (!signal.aborted) {
        try {
          const options = { priority: "peer", principal: `peer ${peer}`, signal } as const;
          for await (const event of backend.infer(request(`peer ${peer} #slow=1`, 20), options)) void event;
        } catch {
          if (!signal.aborted) refused++;
          await new Promise((resolve) => setTimeout(resolve, 5));
        }
      }
    }));
  });
  const order = () =>
    fake.log("generate").map(({ input }) =>
      (input as { prompt: string }).prompt.startsWith("owner") ? "owner" : "peer"
    );
  for (let turn = 1; turn <= 8; turn++) {
    await until(() => backend.queued >= 20);
    const before = order().length;
    const options = { priority: "owner", principal: "owner", signal: new AbortController().signal } as const;
    let text = "";
    for await (const event of backend.infer(request(`owner ${turn}`, 2), options)) {
      if (event.type === "text") text += event.text;
    }
    assert.equal(text, "w0 w1");
    const since = order().slice(before);
    // One may have been on its way to the worker when the owner asked.
    assert.ok(since.indexOf("owner") >= 0 && since.indexOf("owner") <= 1, `${since} after ${before}`);
  }
  assert.ok(refused > 0, "The line was full");
  enough.abort();
  await Promise.all(greedy);
  assert.equal(order().filter((who) => who === "owner").length, 8);
});
