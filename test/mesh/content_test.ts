/** Content packs between whole nodes. */
import assert from "node:assert/strict";
import { join } from "node:path";
import { until } from "../inference/local_fixture.ts";
import { withDirectory } from "../support/temporary.ts";
import { PIXEL, skyPack, zimBytes } from "../support/zim_writer.ts";
import { MeshPeer } from "./mesh_peer.ts";
import { auditOf, Pair, TestNode, type TestNodeOptions } from "./test_node.ts";

/** A folder with the packs `sky_en` and `secret`. */
async function withPacks(test: (directory: string) => Promise<void>): Promise<void> {
  await withDirectory(async (directory) => {
    await Deno.writeFile(join(directory, "sky_en.zim"), skyPack());
    const items = [{ path: "a", title: "Secret plans", body: "hidden" }];
    await Deno.writeFile(join(directory, "secret.zim"), zimBytes({ items, uuid: 9 }));
    await test(directory);
  });
}

function having(directory: string): Partial<TestNodeOptions> {
  return { flags: { content: [directory] } };
}

interface Listed {
  packs: { name: string; at: string | null; title: string; articles: number }[];
}

function get(node: TestNode, path: string, headers: Record<string, string> = {}): Promise<Response> {
  return fetch(node.api + path, { headers, redirect: "manual" });
}

async function listOf(node: TestNode): Promise<Listed["packs"]> {
  return (await (await get(node, "/content/")).json() as Listed).packs;
}

/** An answer whose body does not matter. */
async function headOf(response: Promise<Response>): Promise<Response> {
  const answer = await response;
  await answer.body?.cancel();
  return answer;
}

async function statusOf(response: Promise<Response>): Promise<number> {
  const { status, body } = await response;
  await body?.cancel();
  return status;
}

Deno.test("A node serves its own packs on its own listener, with the right types and redirects", async () => {
  await withPacks(async (directory) => {
    await using node = await TestNode.start({ name: "N", ...having(directory) });
    assert.deepEqual((await listOf(node)).map(({ name, at, articles }) => [name, at, articles]), [
      ["secret", null, 1],
      ["sky_en", null, 3],
    ]);
    const main = await headOf(get(node, "/content/sky_en/"));
    assert.deepEqual([main.status, main.headers.get("location")], [302, "/content/sky_en/Sea"]);
    const skies = await headOf(get(node, "/content/SKY_EN/Skies"));
    assert.deepEqual([skies.status, skies.headers.get("location")], [302, "/content/SKY_EN/Sky"]);
    const sky = await get(node, "/content/sky_en/Sky");
    assert.match(await sky.text(), /It is blue/);
    assert.equal(sky.headers.get("content-type"), "text/html; charset=utf-8");
    assert.match(sky.headers.get("content-security-policy") ?? "", /^sandbox allow-scripts/);
    assert.doesNotMatch(sky.headers.get("content-security-policy") ?? "", /allow-same-origin|allow-top-navigation/);
    assert.equal(sky.headers.get("x-content-type-options"), "nosniff");
    assert.equal(sky.headers.get("set-cookie"), null);
    const tag = sky.headers.get("etag") ?? "";
    assert.equal(await statusOf(get(node, "/content/sky_en/Sky", { "if-none-match": tag })), 304);
    assert.deepEqual(await (await get(node, "/content/sky_en/img/dot.png")).bytes(), PIXEL);
    assert.equal(await (await get(node, "/content/sky_en/%C3%9Cnder/ground%3F")).text(), "<p>Tief");
    const { found } = await (await get(node, "/content/search?q=the")).json();
    assert.deepEqual(found.find(({ pack }: { pack: string }) => pack === "sky_en").hits, [{
      path: "Sky",
      title: "The sky",
    }]);
    const page = await (await get(node, "/content/", { accept: "text/html" })).text();
    assert.match(page, /All of the sky/);
    for (
      const none of [
        "/content/none/",
        "/content/none/x",
        "/content/sky_en/none",
        "/content/..%2fx/y",
        "/content/search?q=a&pack=none",
      ]
    ) {
      assert.equal(await statusOf(get(node, none)), 404, none);
    }
    assert.equal(await statusOf(get(node, "/content/sky_en/%zz")), 400);
  });
});

Deno.test("A peer reads the packs that it may read, and is told of no other", async () => {
  await withPacks(async (directory) => {
    await using pair = await Pair.start({ ...having(directory), permissions: { content_shared: ["sky*"] } });
    const { a, b } = pair;
    await until(async () => (await listOf(a)).length > 0);
    assert.deepEqual((await listOf(a)).map(({ name, at, title }) => [name, at, title]), [[
      "sky_en",
      "B",
      "All of the sky",
    ]]);
    assert.match(await (await get(a, "/content/sky_en/Sky")).text(), /It is blue/);
    assert.equal((await headOf(get(a, "/content/sky_en/Skies"))).headers.get("location"), "/content/sky_en/Sky");
    assert.deepEqual(await (await get(a, "/content/sky_en/img/dot.png")).bytes(), PIXEL);
    const { found } = await (await get(a, "/content/search?q=s&pack=sky_en")).json();
    assert.deepEqual(found[0].hits.map(({ title }: { title: string }) => title), ["Sea", "Skies"]);
    assert.equal(await statusOf(get(a, "/content/secret/a")), 404);
    const lines = auditOf(b).filter(({ model }) => String(model).startsWith("content:"));
    assert.deepEqual(lines.map(({ kind, direction, peer, model }) => [kind, direction, peer, model]), [
      ["start", "in", a.daemon.id, "content:sky_en"],
      ["end", "in", a.daemon.id, "content:sky_en"],
    ], "It is on the record that the peer reads this pack, and not what");
    // Said in the peer's own words, what is not shared is as what is not there.
    await using peer = new MeshPeer(b.daemon.id, b.daemon.mesh);
    await b.approve(peer, { content_shared: ["sky*"] });
    const ask = (path: string) => peer.get(path);
    assert.doesNotMatch((await ask("/ark/v1/content")).text, /secret/i);
    for (const what of ["page?path=a&pack=", "page?path=&pack=", "search?q=S&pack=", "page?path=none&pack="]) {
      const [hidden, none] = [await ask(`/ark/v1/content/${what}secret`), await ask(`/ark/v1/content/${what}nothing`)];
      assert.deepEqual(hidden, none);
      assert.equal(hidden.status, 404);
    }
    assert.equal((await ask("/ark/v1/content/page?pack=sky_en&path=../../etc/passwd")).status, 404);
    assert.equal((await ask("/ark/v1/content/other?pack=sky_en")).status, 400);
    // Absent is nothing.
    await b.approve(peer);
    assert.deepEqual(JSON.parse((await ask("/ark/v1/content")).text), { packs: [] });
    assert.equal((await ask("/ark/v1/content/page?pack=sky_en&path=Sky")).status, 404);
  });
});

Deno.test("What a peer gave is kept, and what it does not share any more is not given any more", async () => {
  await withPacks(async (directory) => {
    await using pair = await Pair.start({
      ...having(directory),
      permissions: { content_shared: ["*"], max_requests_per_minute: 30 },
    });
    const { a, b } = pair;
    await until(async () => (await listOf(a)).length === 2);
    // More often than the rate lets it ask.
    for (let time = 0; time < 60; time++) {
      assert.match(await (await get(a, "/content/sky_en/Sky")).text(), /blue/);
    }
    await b.approve({ publicKey: a.publicKey, name: "A" }, { content_shared: ["secret"] });
    assert.equal(await statusOf(get(a, "/content/sky_en/Sea")), 404, "What was not read before is not given any more");
  });
});

Deno.test("Pages count in a peer's rate, and not in its questions at a time", async () => {
  await withPacks(async (directory) => {
    await using b = await TestNode.start({ name: "B", ...having(directory) });
    await using peer = new MeshPeer(b.daemon.id, b.daemon.mesh);
    await b.approve(peer, { content_shared: ["*"], max_requests_per_minute: 5, max_concurrent_requests: 1 });
    const path = "/ark/v1/content/page?pack=sky_en&path=Sky";
    const some = await Promise.all(Array.from({ length: 5 }, () => peer.get(path)));
    assert.deepEqual(some.map(({ status }) => status), Array(5).fill(200));
    const refused = await peer.get(path);
    assert.equal(refused.status, 429);
    assert.match(refused.text, /5 of your requests in a minute/);
    // What is hidden is refused in the same way: asking for names is not for free.
    assert.equal((await peer.get("/ark/v1/content/page?pack=none&path=Sky")).status, 429);
  });
});

Deno.test("Content packs need a key where keys are required, and pages of other sites never get any", async () => {
  await withPacks(async (directory) => {
    await using node = await TestNode.start({ name: "N", flags: { content: [directory], "require-keys": true } });
    for (const path of ["/content/", "/content/sky_en/Sky", "/content/search?q=a"]) {
      assert.equal(await statusOf(get(node, path)), 401, path);
    }
    const { body } = await node.admin<{ text: string }>("/keys", { name: "phone" });
    assert.equal(await statusOf(get(node, "/content/sky_en/Sky", { authorization: `Bearer ${body.text}` })), 200);
    await using open = await TestNode.start({ name: "O", flags: { content: [directory] } });
    const cross = { "sec-fetch-site": "cross-site", "sec-fetch-mode": "no-cors", "sec-fetch-dest": "image" };
    const typed = { "sec-fetch-site": "none", "sec-fetch-mode": "navigate", "sec-fetch-dest": "document" };
    assert.equal(await statusOf(get(open, "/content/sky_en/img/dot.png", cross)), 403);
    assert.equal(await statusOf(get(open, "/content/", { ...typed, "sec-fetch-site": "cross-site" })), 403);
    assert.equal(await statusOf(get(open, "/content/", { origin: "https://evil.test" })), 403);
    const keyed = (await headOf(get(open, "/content/sky_en/Sky", typed))).headers.get("location") ?? "";
    assert.match(keyed, /^\/content\/~[0-9a-f]{32}\/sky_en\/Sky$/);
    assert.equal(await statusOf(get(open, keyed.replace("Sky", "img/dot.png"), cross)), 200);
    assert.equal(
      await statusOf(get(open, keyed.replace("sky_en/Sky", "secret/a"), cross)),
      403,
      "The key of one pack opens no other",
    );
    assert.equal(await statusOf(get(open, keyed.replace(/~../, "~zz"), cross)), 403);
    assert.equal(await statusOf(fetch(open.api + keyed, { method: "POST", headers: cross })), 403);
  });
});
