/** What the owner's programs see of an answer whose receipt is missing or wrong: through real nodes and OpenAI's API. */
import assert from "node:assert/strict";
import { generateIdentity } from "@ark/node/identity";
import { formatAddress, listenMesh } from "@ark/node/transport";
import { answerEvents, type Arrived, ScriptedPeer } from "../routing/scripted_peer.ts";
import { auditOf, readStream, TestNode } from "./test_node.ts";

const MODEL = "tiny:1b";
const LONGER = 60_000;

/** A node that asks a peer which answers over real TLS as a script has it. */
async function asking(
  answer: (bob: ScriptedPeer, arrived: Arrived) => Uint8Array[],
  test: (a: TestNode) => Promise<void>,
): Promise<void> {
  const bob = new ScriptedPeer("bob", [MODEL]);
  await using listener = await listenMesh({
    identity: bob.identity,
    hostname: "127.0.0.1",
    port: 0,
    standing: () => "approved",
    handler: async (request, caller) => {
      if (new URL(request.url).pathname !== "/ark/v1/infer") return Response.json(bob.offer);
      const arrived = { path: "", method: "POST", body: await request.text(), hash: caller.signature };
      return new Response(new Blob(answer(bob, arrived) as BlobPart[]).stream(), {
        headers: { "content-type": "text/event-stream" },
      });
    },
  });
  await using a = await TestNode.start({ name: "A", peers: [formatAddress(listener)] });
  await a.approve({ publicKey: bob.peer.public_key, name: "bob" });
  await a.reaches(MODEL);
  await test(a);
}

function chat(a: TestNode, { stream }: { stream: boolean }): Promise<Response> {
  return a.chat({ model: MODEL, stream, max_tokens: 3 }, { signal: AbortSignal.timeout(LONGER) });
}

Deno.test("An answer with its receipt is whole, streamed or not", async () => {
  await asking((bob, arrived) => bob.honest(arrived), async (a) => {
    assert.deepEqual(await readStream(await chat(a, { stream: true })), { text: "w0 w1 w2 ", done: true, error: null });
    const { choices, usage } = await (await chat(a, { stream: false })).json();
    assert.equal(choices[0].message.content, "w0 w1 w2 ");
    assert.equal(usage.completion_tokens, 3);
    // The receipt's hash is the owner's evidence.
    const ends = auditOf(a).filter(({ kind }) => kind === "end");
    assert.equal(ends.length, 2);
    for (const { outcome, receipt } of ends) {
      assert.equal(outcome, "ok");
      assert.match(String(receipt), /^[0-9a-f]{64}$/);
    }
  });
});

const LIES: Record<string, (bob: ScriptedPeer, arrived: Arrived) => Uint8Array[]> = {
  "no receipt": (bob, arrived) => bob.honest(arrived).slice(0, -1),
  "no end and no receipt": (bob, arrived) => bob.honest(arrived).slice(0, -2),
  "a receipt by another key": (bob, arrived) => {
    const events = answerEvents(MODEL, { prompt_tokens: 3 });
    const frames = bob.signed(events, arrived).slice(0, -1);
    return [...frames, bob.receiptFor(frames, { events, hash: arrived.hash, by: generateIdentity() })];
  },
  "a receipt for another request": (bob) => bob.signed(answerEvents(MODEL), { hash: "ab".repeat(32) }),
  "a receipt for another stream": (bob, { hash }) =>
    bob.signed(answerEvents(MODEL), { hash, lie: { stream: "cd".repeat(32) } }),
  "a receipt for fewer tokens": (bob, { hash }) =>
    bob.signed(answerEvents(MODEL), { hash, lie: { completion_tokens: 2 } }),
};

Deno.test.each(Object.entries(LIES).map(([what, answer]) => ({ what, answer })))(
  "An answer with $what is shown as cut, streamed or not",
  async ({ answer }) => {
    await asking(answer, async (a) => {
      const { text, done, error } = await readStream(await chat(a, { stream: true }));
      // What was written is there, and that it is not whole is said.
      assert.equal(text, "w0 w1 w2 ");
      assert.ok(!done);
      assert.match(error ?? "", /^bob (broke off before its answer was complete|sent a receipt that does not match)/);
      // It is asked again once it has said what it offers.
      await a.reaches(MODEL);
      const whole = await chat(a, { stream: false });
      assert.equal(whole.status, 503);
      const body = await whole.text();
      assert.match(JSON.parse(body).error.message, /^bob (broke off|sent a receipt)/);
      assert.ok(!body.includes("w0"));
      const ends = auditOf(a).filter(({ kind }) => kind === "end");
      assert.deepEqual(
        ends.map(({ outcome, receipt }) => `${outcome} ${receipt}`),
        Array(2).fill("unavailable undefined"),
      );
    });
  },
);
