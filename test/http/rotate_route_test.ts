import assert from "node:assert/strict";
import { introductions, ROTATE_PATH, rotateRoute } from "@ark/node/http";
import { generateIdentity, type Identity, type SignedRotation, signRotation } from "@ark/node/identity";
import type { RotationState } from "@ark/node/peers";
import { ArkError } from "@ark/node/protocol";

function scene(hear: () => Promise<RotationState> = () => Promise.resolve("pending")) {
  const heard: { chain: readonly SignedRotation[]; from: string }[] = [];
  const asked: unknown[] = [];
  let now = 1_000;
  const route = rotateRoute({
    rotations: { hear: (chain, from) => (heard.push({ chain, from }), hear()) },
    asked: (id, address) => void asked.push([id, address]),
    now: () => now,
  });
  const { handler } = introductions({ [ROTATE_PATH]: route });
  const post = async (body: unknown, { from, remote = "192.0.2.7", query = "" }: {
    from: Identity;
    remote?: string;
    query?: string;
  }) => {
    const request = new Request(`https://node.ark.invalid${ROTATE_PATH}${query}`, {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: typeof body === "string" ? body : JSON.stringify(body),
    });
    const caller = {
      nodeId: from.id,
      publicKey: from.publicKey,
      signature: "00".repeat(32),
      remote,
      deadlineMs: 5_000,
    };
    const answer = await handler(request, caller);
    const said = await answer.json();
    return [answer.status, said.state ?? said.error.code];
  };
  return { post, heard, asked, pass: (ms: number) => void (now += ms) };
}

const [old, next] = [generateIdentity(), generateIdentity()];
const chain = [signRotation({ old, new: next }, { seq: 1, created: "2026-11-21T08:00:00.000Z" })];

Deno.test("rotateRoute() hands on a chain with true signatures, and where its sender listens", async () => {
  const { post, heard, asked } = scene();
  assert.deepEqual(await post({ rotations: chain }, { from: next, query: "?port=8911" }), [200, "pending"]);
  assert.deepEqual(heard, [{ chain, from: next.id }]);
  assert.deepEqual(asked, [[next.id, { hostname: "192.0.2.7", port: 8911 }]]);
});

Deno.test("T11: rotateRoute() looks nothing up for a statement that is not signed right or told by another", async () => {
  const { post, heard, asked } = scene();
  const [one = assert.fail()] = chain;
  assert.deepEqual(await post({ rotations: chain }, { from: old }), [403, "ark_forbidden"]);
  assert.deepEqual(await post({ rotations: [{ ...one, seq: 2 }] }, { from: next }), [400, "ark_bad_request"]);
  const forged = { ...one, old_signature: one.new_signature };
  assert.deepEqual(await post({ rotations: [forged] }, { from: next }), [400, "ark_bad_request"]);
  for (
    const body of ["", "null", "[]", "{}", '{"rotations":[]}', '{"rotations":[null]}', '{"rotations":{"length":1}}']
  ) {
    assert.ok(Number((await post(body, { from: next }))[0]) >= 400, body);
  }
  assert.deepEqual([heard, asked], [[], []]);
});

Deno.test("rotateRoute() says why a change does not count, and does not note its sender", async () => {
  const { post, asked } = scene(() => Promise.reject(new ArkError("forbidden", "No")));
  assert.deepEqual(await post({ rotations: chain }, { from: next, query: "?port=8911" }), [403, "ark_forbidden"]);
  assert.deepEqual(asked, []);
});

Deno.test("rotateRoute() checks so many signatures a minute, of one source and in all", async () => {
  const { post, heard, pass } = scene();
  const statuses: unknown[] = [];
  for (let i = 0; i < 14; i++) statuses.push((await post({ rotations: chain }, { from: next }))[0]);
  assert.deepEqual(statuses, [...Array(12).fill(200), 429, 429]);
  for (let i = 0; i < 400; i++) await post({ rotations: chain }, { from: next, remote: `2001:db8::${i}` });
  assert.equal(heard.length, 240);
  pass(60_000);
  assert.deepEqual(await post({ rotations: chain }, { from: next }), [200, "pending"]);
});
