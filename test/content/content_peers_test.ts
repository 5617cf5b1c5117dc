import assert from "node:assert/strict";
import { ByteCache, ContentPeers, decodeHits, decodePacks, Library, type PackInfo } from "@ark/node/content";
import { generateIdentity, type NodeId } from "@ark/node/identity";
import { decodeApproval } from "@ark/node/peers";
import type { MeshCall, MeshPeer, MeshResponse } from "@ark/node/transport";

const never = new AbortController().signal;
const PACK = {
  uuid: "ab".repeat(16),
  title: "T",
  description: "",
  language: "eng",
  date: "2026-01-01",
  articles: 1,
  size: 9,
};

/** A peer that answers as it is told. */
interface Scripted {
  id: NodeId;
  packs: (Partial<PackInfo> & { name: string })[];
  answer(
    path: URLSearchParams,
  ): { status?: number; body?: string | Uint8Array<ArrayBuffer>; headers?: Record<string, string> } | Error;
  asked: string[];
}

function scripted(more: Partial<Scripted>): Scripted {
  return { id: generateIdentity().id, packs: [], answer: () => ({ body: "page" }), asked: [], ...more };
}

function reach(peers: Scripted[], clock: { now: number } = { now: 0 }): ContentPeers {
  return new ContentPeers({
    approved: () => peers.map(({ id }) => decodeApproval({ node_id: id, name: "P" }, "2026-01-01T00:00:00Z")),
    addresses: () => [{ hostname: "127.0.0.1", port: 1 }],
    now: () => clock.now,
    client: {
      request({ id }: MeshPeer, { path }: MeshCall): Promise<MeshResponse> {
        const peer = peers.find((one) => one.id === id) ?? assert.fail();
        peer.asked.push(path);
        const list = path === "/ark/v1/content";
        const url = new URL(path, "http://x");
        const packs = peer.packs.map((pack) => ({ ...PACK, ...pack }));
        const said = list ? { body: JSON.stringify({ packs }) } : peer.answer(url.searchParams);
        if (said instanceof Error) return Promise.reject(said);
        const { status = 200, body = "", headers = {} } = said;
        const { body: stream } = new Response(body);
        assert.ok(stream);
        return Promise.resolve({
          status,
          headers: new Headers(headers),
          body: stream as ReadableStream<Uint8Array<ArrayBuffer>>,
          signature: "",
          address: { hostname: "127.0.0.1", port: 1 },
        });
      },
    },
  });
}

async function pageOf(peers: ContentPeers, name = "a", path = "p"): Promise<string> {
  const answer = await peers.page(name, path, never);
  return answer.kind === "page" ? new TextDecoder().decode(answer.body) : `to ${answer.path}`;
}

Deno.test("ContentPeers asks the peer that has the newest pack, and another with the same one where that fails", async () => {
  const old = scripted({
    packs: [{ name: "a", date: "2020-01-01", uuid: "cd".repeat(16) }],
    answer: () => ({ body: "old" }),
  });
  const broken = scripted({ packs: [{ name: "a" }], answer: () => ({ status: 503 }) });
  const good = scripted({ packs: [{ name: "A" }], answer: () => ({ body: "new" }) });
  const peers = reach([old, broken, good]);
  assert.equal(await pageOf(peers), "new");
  assert.ok(old.asked.every((path) => path === "/ark/v1/content"), "Pages of two packs are never mixed");
  await assert.rejects(pageOf(peers, "none"), { code: "model_not_found" });
});

Deno.test("ContentPeers keeps pages by peer and pack, asks by their tag, and goes on while a peer is away", async () => {
  const clock = { now: 0 };
  let away = false;
  const one = scripted({
    packs: [{ name: "a" }],
    answer: (query) =>
      away
        ? new Error("away")
        : query.get("tag") === "t1"
        ? { status: 304 }
        : { body: "one", headers: { etag: '"t1"' } },
  });
  const peers = reach([one], clock);
  const pages = () => one.asked.filter((path) => path.includes("/page"));
  for (let time = 0; time < 5; time++) assert.equal(await pageOf(peers), "one");
  assert.equal(pages().length, 1);
  clock.now += 61_000;
  assert.equal(await pageOf(peers), "one");
  assert.match(pages()[1] ?? "", /tag=t1/);
  clock.now += 61_000;
  away = true;
  assert.equal(await pageOf(peers), "one");
  await assert.rejects(pageOf(peers, "a", "not read before"));
  away = false;
  clock.now += 61_000;
  one.answer = () => ({ status: 404 });
  await assert.rejects(pageOf(peers), { code: "model_not_found" });
  one.answer = () => new Error("away");
  await assert.rejects(pageOf(peers), Error, "What a peer took back is not kept");
});

Deno.test("ContentPeers gives no peer's page for another's pack of the same id", async () => {
  const honest = scripted({ packs: [{ name: "a" }], answer: () => ({ body: "honest" }) });
  const liar = scripted({ packs: [{ name: "b" }], answer: () => ({ body: "lie" }) });
  const peers = reach([liar, honest]);
  assert.equal(await pageOf(peers, "b"), "lie");
  assert.equal(await pageOf(peers, "a"), "honest");
});

Deno.test("ContentPeers takes no more of a peer than the protocol has, whatever it sends", async () => {
  const endless = new Uint8Array((32 << 20) + 1);
  const bad: [Parameters<Scripted["answer"]>[0] | ReturnType<Scripted["answer"]>, RegExp][] = [
    [{ body: endless }, /more than the protocol/],
    [{ status: 302, body: "no JSON" }, /not part of the protocol/],
    [{ status: 302, body: '{"path":""}' }, /not part of the protocol/],
    [{ status: 302, body: `{"path":"${"x".repeat(5_000)}"}` }, /not part of the protocol/],
    [{ status: 500 }, /could not give the page/],
    [{ status: 429, headers: { "retry-after": "600" } }, /no more pages now/],
  ];
  for (const [said, message] of bad) {
    const peer = scripted({ packs: [{ name: "a" }], answer: () => said as ReturnType<Scripted["answer"]> });
    await assert.rejects(pageOf(reach([peer])), { message });
  }
  const types = scripted({
    packs: [{ name: "a" }],
    answer: () => ({ body: "x", headers: { "content-type": "text/html, x" } }),
  });
  const answer = await reach([types]).page("a", "p", never);
  assert.ok(answer.kind === "page" && answer.type === "application/octet-stream");
  assert.deepEqual(
    decodePacks({ packs: [null, 1, { name: "../x", uuid: PACK.uuid }, { ...PACK, name: "a", uuid: "no" }] }),
    [],
  );
  assert.throws(() => decodePacks([]), { code: "unavailable" });
  assert.equal(
    decodePacks({ packs: Array.from({ length: 9_999 }, (_, n) => ({ ...PACK, name: `a${n}` })) }).length,
    512,
  );
  const [pack] = decodePacks({
    packs: [{ ...PACK, name: "a", title: "a\nb\u202ec".padEnd(999, "x"), articles: -1, size: "9" }],
  });
  assert.ok(pack && !/[\n\u202e]/.test(pack.title) && pack.title.length <= 120);
  assert.deepEqual([pack.articles, pack.size], [0, 0]);
  assert.deepEqual(decodeHits({ hits: [1, { path: 2 }, { path: "p", title: "t" }] }), [{ path: "p", title: "t" }]);
  assert.deepEqual(decodeHits(null), []);
});

Deno.test("ContentPeers waits when a peer says so, and asks again", async () => {
  let refusals = 2;
  const patient = scripted({
    packs: [{ name: "a" }],
    answer: () => refusals-- > 0 ? { status: 429, headers: { "retry-after": "0" } } : { body: "now" },
  });
  assert.equal(await pageOf(reach([patient])), "now");
});

Deno.test("Library takes a pack of this node before any peer's", async () => {
  const here = { info: { ...PACK, name: "a" }, page: () => Promise.resolve({ kind: "elsewhere", path: "here" }) };
  const peer = scripted({ packs: [{ name: "a" }, { name: "b" }] });
  const shelf = { list: () => [here], find: (name: string) => name === "a" ? here : undefined };
  const library = new Library({
    shelf: shelf as unknown as ConstructorParameters<typeof Library>[0]["shelf"],
    peers: reach([peer]),
  });
  assert.deepEqual((await library.list(never)).map(({ name, at }) => [name, at]), [["a", null], ["a", "P"], [
    "b",
    "P",
  ]]);
  assert.deepEqual(await library.page("a", "p", never), { kind: "elsewhere", path: "here" });
  const there = await library.page("b", "p", never);
  assert.equal(there.kind, "page");
  for (const bad of ["../a", "a/b", "", "search"]) {
    await assert.rejects(library.page(bad, "p", never), { code: "model_not_found" });
  }
});

Deno.test("ByteCache keeps what was used last, within its bytes and its number", () => {
  const cache = new ByteCache<{ bytes: number }>({ bytes: 100, things: 5 });
  for (const key of "abcd") cache.set(key, { bytes: 20 });
  cache.get("a");
  cache.set("e", { bytes: 25 });
  cache.set("f", { bytes: 20 });
  assert.deepEqual([..."abcdef"].filter((key) => cache.get(key) !== undefined), ["a", "d", "e", "f"]);
  cache.set("large", { bytes: 26 });
  assert.equal(cache.get("large"), undefined, "One thing never takes the place of all others");
  for (let n = 0; n < 50; n++) cache.set(`n${n}`, { bytes: 1 });
  assert.equal(cache.bytes, 5);
  cache.set("n49", { bytes: 3 });
  cache.delete("n48");
  assert.equal(cache.bytes, 6);
});
