import assert from "node:assert/strict";
import { registryApp } from "@ark/node/http";
import { generateIdentity, type Identity } from "@ark/node/identity";
import { type SignedRegistration, signRegistration } from "@ark/node/protocol";
import { openRegistryStore } from "@ark/node/store";
import { RegistryRoom } from "../../../src/http/registry/registry_room.ts";

const NOW = Date.parse("2026-11-21T12:00:00Z");
const HOUR = 3_600_000;

async function registry(options: { perMinute?: { writes: number; reads: number }; mostNodes?: number } = {}) {
  const store = await openRegistryStore(":memory:");
  let now = NOW;
  const app = registryApp({ store, now: () => now, perMinute: { writes: 1_000, reads: 1_000 }, ...options });
  return {
    async ask(path: string, body?: unknown, remote = "192.0.2.1") {
      const response = await app(
        new Request(`http://registry${path}`, {
          ...body === undefined ? {} : { method: "POST", body: typeof body === "string" ? body : JSON.stringify(body) },
          headers: { "content-type": "application/json" },
        }),
        { remote },
      );
      return { status: response.status, body: await response.json(), wait: response.headers.get("retry-after") };
    },
    pass: (ms: number) => void (now += ms),
    [Symbol.asyncDispose]: () => store[Symbol.asyncDispose](),
  };
}

function signed(identity: Identity, given: Partial<Parameters<typeof signRegistration>[1]> = {}): SignedRegistration {
  return signRegistration(identity, {
    endpoints: ["ark.example:8911"],
    models: ["llama3.1:8b"],
    seq: 1,
    lifeMs: HOUR,
    now: NOW,
    ...given,
  });
}

Deno.test("A registry lists what nodes say of themselves, by id and by model, until it ends", async () => {
  await using one = await registry();
  const [a, b] = [generateIdentity(), generateIdentity()];
  assert.equal((await one.ask("/registry/v1/nodes", signed(a))).status, 200);
  assert.equal((await one.ask("/registry/v1/nodes", signed(b, { models: ["qwen:7b"], lifeMs: 2 * HOUR }))).status, 200);
  assert.deepEqual((await one.ask(`/registry/v1/nodes/${a.id}`)).body, signed(a));
  assert.deepEqual((await one.ask("/registry/v1/nodes?model=llama*")).body, { nodes: [signed(a)], next: null });
  const page = (await one.ask("/registry/v1/nodes?limit=1")).body;
  const [first = "", second = ""] = [a.id, b.id].sort();
  assert.deepEqual([page.nodes[0].node_id, page.next], [first, first]);
  assert.equal((await one.ask(`/registry/v1/nodes?limit=1&after=${page.next}`)).body.nodes[0].node_id, second);
  one.pass(HOUR);
  assert.equal((await one.ask(`/registry/v1/nodes/${a.id}`)).status, 404);
  assert.equal((await one.ask("/registry/v1/nodes")).body.nodes.length, 1);
});

Deno.test("A registry refuses what is forged, spoilt, stale, replayed or too long-lived", async () => {
  await using one = await registry();
  const [a, b] = [generateIdentity(), generateIdentity()];
  const good = signed(a, { seq: 5 });
  const refused = async (body: unknown, status: number) => {
    const answer = await one.ask("/registry/v1/nodes", body);
    assert.equal(answer.status, status, JSON.stringify([body, answer.body]));
    return answer.body;
  };
  await refused({ ...good, node_id: b.id }, 401);
  await refused({ ...good, endpoints: ["evil.example:1"] }, 401);
  await refused({ ...good, models: [] }, 401);
  await refused({ ...good, seq: 6 }, 401);
  await refused({ ...good, not_after: new Date(NOW + 2 * HOUR).toISOString() }, 401);
  await refused({ ...good, signature: signed(b, { seq: 5 }).signature }, 401);
  const last = good.signature.at(-3) ?? "";
  const other = String.fromCharCode(last.charCodeAt(0) + 1);
  await refused({ ...good, signature: `${good.signature.slice(0, -3)}${other}==` }, 400);
  await refused({ ...good, more: 1 }, 400);
  await refused({ ...good, seq: 0 }, 400);
  await refused([good], 400);
  await refused("{", 400);
  await refused(JSON.stringify({ ...good, models: ["x".repeat(40_000)] }), 413);
  for (const endpoint of ["evil", "http://a:1", "a:0", "a:65536", "a b:1", "[::1:1", "A:1", "../x:1"]) {
    await refused(signed(a, { endpoints: [endpoint] }), 400);
  }
  for (const model of ["UPPER", "a b", "", "<script>", "x".repeat(201)]) {
    await refused(signed(a, { models: [model] }), 400);
  }
  await refused(signed(a, { endpoints: Array.from({ length: 9 }, (_, i) => `a${i}.example:1`) }), 400);
  await refused(signed(a, { endpoints: ["a:1", "a:1"] }), 400);
  await refused(signed(a, { now: NOW - 2 * HOUR }), 401);
  await refused(signed(a, { now: NOW + 20 * HOUR, lifeMs: 24 * HOUR }), 400);
  assert.equal((await one.ask("/registry/v1/nodes", good)).status, 200);
  assert.deepEqual((await refused(good, 401)).seq, 5);
  assert.deepEqual((await refused(signed(a, { seq: 4 }), 401)).seq, 5);
  assert.deepEqual((await one.ask(`/registry/v1/nodes/${a.id}`)).body, good);
});

Deno.test("A node takes itself out of a registry, and nobody puts it back with what it said before", async () => {
  await using one = await registry();
  const a = generateIdentity();
  await one.ask("/registry/v1/nodes", signed(a));
  assert.equal((await one.ask("/registry/v1/nodes", signed(a, { seq: 2, endpoints: [], models: [] }))).status, 200);
  assert.equal((await one.ask(`/registry/v1/nodes/${a.id}`)).status, 404);
  assert.equal((await one.ask("/registry/v1/nodes", signed(a))).status, 401);
  assert.deepEqual((await one.ask("/registry/v1/nodes?model=llama*")).body.nodes, []);
});

Deno.test("A registry answers so many requests of one source in a minute, and no more nodes than it has room for", async () => {
  await using one = await registry({ perMinute: { writes: 2, reads: 3 }, mostNodes: 2 });
  const [a, b, c] = [generateIdentity(), generateIdentity(), generateIdentity()];
  for (const node of [a, b]) assert.equal((await one.ask("/registry/v1/nodes", signed(node))).status, 200);
  const busy = await one.ask("/registry/v1/nodes", signed(c));
  assert.equal(busy.status, 429);
  assert.ok(Number(busy.wait) >= 1);
  const full = await one.ask("/registry/v1/nodes", signed(c), "192.0.2.2");
  assert.equal(full.status, 429);
  assert.match(full.body.error.message, /full/);
  assert.equal((await one.ask("/registry/v1/nodes", signed(a, { seq: 2 }), "192.0.2.2")).status, 200);
  for (let i = 0; i < 3; i++) assert.equal((await one.ask("/registry/v1/nodes")).status, 200);
  assert.equal((await one.ask("/registry/v1/nodes")).status, 429);
});

Deno.test("A registry refuses questions that are none", async () => {
  await using one = await registry();
  for (
    const query of [
      "limit=0",
      "limit=201",
      "limit=x",
      "after=x",
      "model=%00",
      "model=a%20b",
      `model=${"x".repeat(201)}`,
      "model=*",
    ]
  ) {
    assert.equal((await one.ask(`/registry/v1/nodes?${query}`)).status, 400, query);
  }
  assert.equal((await one.ask("/registry/v1/nodes/nobody")).status, 400);
  assert.equal((await one.ask(`/registry/v1/nodes/${generateIdentity().id}`)).status, 404);
  assert.equal((await one.ask("/elsewhere")).status, 400);
});

Deno.test("A registry counts its nodes once for many that come at once, and keeps to its room when they are many", async () => {
  let counted = 0;
  const room = new RegistryRoom({
    count: async () => {
      await new Promise((resolve) => setTimeout(resolve, 5));
      return ++counted;
    },
  }, 3);
  assert.ok((await Promise.all(Array.from({ length: 20 }, () => room.full(0)))).every((full) => !full));
  assert.equal(counted, 1);
  room.taken();
  room.taken();
  assert.ok(await room.full(1));
  assert.equal(counted, 1);
  // Some may have ended: it looks again, but not for each that comes.
  assert.ok(!await room.full(2_000));
  assert.equal(counted, 2);
});
