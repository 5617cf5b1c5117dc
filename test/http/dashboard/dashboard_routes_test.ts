import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { formatPublicKey, generateIdentity } from "@ark/node/identity";
import { FIXTURES, MODEL, TestNode } from "../../mesh/test_node.ts";
import { dashboardAssets } from "../../../src/http/dashboard/dashboard_assets.ts";

/** Fields that a browser sends of a page of this very node. */
function ownPage(node: TestNode): Record<string, string> {
  return { origin: node.api, "sec-fetch-site": "same-origin", "sec-fetch-mode": "cors" };
}

async function sessionOf(node: TestNode): Promise<string> {
  const { body: { code } } = await node.admin<{ code: string }>("/ui/code", {});
  const response = await fetch(`${node.api}/ui/session`, {
    method: "POST",
    headers: { "content-type": "application/json", ...ownPage(node) },
    body: JSON.stringify({ code }),
  });
  assert.equal(response.status, 200);
  return (await response.json()).session;
}

Deno.test("The dashboard weighs at most 150 KiB in all, compressed, and names no other server", async () => {
  const { page, files } = await dashboardAssets();
  const all = [page, ...files.values()];
  const bytes = all.reduce((sum, { zipped }) => sum + zipped.length, 0);
  assert.ok(bytes <= 150 << 10, `${bytes} bytes`);
  for (const [name, { plain }] of files) {
    const foreign = new TextDecoder().decode(plain).match(/https?:\/\/(?!www\.w3\.org)[\w.-]+\.[a-z]{2,}[^\s"']*/g) ??
      [];
    assert.deepEqual(foreign.filter((url) => !/github\.com\/leeoniya/.test(url)), [], name);
  }
});

Deno.test("The dashboard's policy lets no code in that stands in a page but its map of modules", async () => {
  const { page } = await dashboardAssets();
  const text = new TextDecoder().decode(page.plain);
  assert.doesNotMatch(page.policy, /unsafe|\*|data:(?!;)(?!$)script/);
  const inline = [...text.matchAll(/<script(?![^>]* src=)[^>]*>([^]*?)<\/script>/g)].map(([, code = ""]) => code);
  assert.equal(inline.length, 1);
  const hash = createHash("sha256").update(inline[0] ?? "").digest("base64");
  assert.ok(page.policy.includes(`'sha256-${hash}'`));
  assert.doesNotMatch(text, / on\w+=| style=/);
});

Deno.test("Files of the dashboard come with their policy, compressed where that is understood, and once per version", async () => {
  await using node = await TestNode.start({ name: "N" });
  const response = await fetch(`${node.api}/ui/`, { headers: { "accept-encoding": "gzip" } });
  assert.equal(response.status, 200);
  assert.match(await response.text(), /<div id="app">/);
  assert.match(response.headers.get("content-security-policy") ?? "", /frame-ancestors 'none'/);
  assert.equal(response.headers.get("x-content-type-options"), "nosniff");
  const etag = response.headers.get("etag") ?? "";
  const again = await fetch(`${node.api}/ui/`, { headers: { "if-none-match": etag } });
  assert.equal(again.status, 304);
  for (const path of ["/ui/nothing.js", "/ui/..%2fadmin.token", "/ui/%2e%2e/status"]) {
    const missing = await fetch(node.api + path);
    assert.ok(missing.status >= 400, path);
    await missing.body?.cancel();
  }
});

Deno.test("A session of the dashboard does what the owner does, from a page of this node only, until it ends", async () => {
  await using node = await TestNode.start({ name: "N", flags: { "require-keys": true } });
  const session = await sessionOf(node);
  const ask = async (headers: Record<string, string>, path = "/peers/dismiss", body: unknown = { node_id: "x" }) => {
    const response = await fetch(node.api + path, {
      method: "POST",
      headers: { authorization: `Bearer ${session}`, "content-type": "application/json", ...headers },
      body: JSON.stringify(body),
    });
    await response.body?.cancel();
    return response.status;
  };
  // 400: it was let in, and the id is none.
  assert.equal(await ask(ownPage(node)), 400);
  assert.equal(await ask({ ...ownPage(node), authorization: "" }), 401);
  for (
    const foreign of [
      { ...ownPage(node), origin: "http://127.0.0.1:1" },
      { ...ownPage(node), origin: "null" },
      { ...ownPage(node), "sec-fetch-site": "same-site" },
      { ...ownPage(node), "sec-fetch-mode": "no-cors" },
      { ...ownPage(node), referer: `${node.api}/content/a` },
      { origin: node.api },
    ]
  ) assert.equal(await ask(foreign), 403, JSON.stringify(foreign));
  // Where apps need keys, the dashboard's chat has its session. 404: there is no such model.
  const chat = { model: "nobody-has-it", messages: [{ role: "user", content: "hi" }] };
  assert.equal(await ask(ownPage(node), "/v1/chat/completions", chat), 404);
  assert.equal(await ask({ ...ownPage(node), authorization: "Bearer nothing" }, "/v1/chat/completions", chat), 401);
  assert.equal(await ask(ownPage(node), "/ui/logout", {}), 200);
  assert.equal(await ask(ownPage(node)), 401);
});

Deno.test("A session is no way to a further code, and neither is a wrong token to a session", async () => {
  await using node = await TestNode.start({ name: "N" });
  const session = await sessionOf(node);
  const post = async (path: string, body: unknown, headers: Record<string, string> = {}) => {
    const response = await fetch(node.api + path, {
      method: "POST",
      headers: { "content-type": "application/json", ...headers },
      body: JSON.stringify(body),
    });
    await response.body?.cancel();
    return response.status;
  };
  assert.equal(await post("/ui/code", {}, { authorization: `Bearer ${session}` }), 401);
  assert.equal(await post("/ui/session", { token: session }), 401);
  assert.equal(await post("/ui/session", { code: "x" }), 401);
  assert.equal(await post("/ui/session", {}), 400);
  const token = (await Deno.readTextFile(`${node.data}/admin.token`)).trim();
  assert.equal(await post("/ui/session", { token }), 200);
});

Deno.test("GET /api/v1/events tells what happens, and /api/v1/history how it was, to the owner only", async () => {
  await using node = await TestNode.start({ name: "N", models: [FIXTURES] });
  const refused = await fetch(`${node.api}/api/v1/events`);
  assert.equal(refused.status, 401);
  await refused.body?.cancel();
  const session = await sessionOf(node);
  const gone = new AbortController();
  const stream = await fetch(`${node.api}/api/v1/events`, {
    headers: { authorization: `Bearer ${session}` },
    signal: gone.signal,
  });
  const reader = (stream.body ?? assert.fail()).pipeThrough(new TextDecoderStream()).getReader();
  let text = "";
  const heard = async (pattern: RegExp) => {
    while (!pattern.test(text)) text += (await reader.read()).value ?? assert.fail(text);
  };
  await heard(/"type":"hello"/);
  await (await node.chat({ model: MODEL, max_tokens: 3 })).text();
  await heard(/"type":"journey"/);
  gone.abort();
  await reader.cancel().catch(() => {});
  const { body } = await node.admin<{ samples: { requests: number; tokens: number }[] }>("/api/v1/history");
  assert.equal(body.samples.reduce((sum, { requests }) => sum + requests, 0), 1);
  assert.equal(body.samples.reduce((sum, { tokens }) => sum + tokens, 0), 3);
});

Deno.test("GET /audit?before=N gives the entries before that one", async () => {
  await using node = await TestNode.start({ name: "N" });
  for (let i = 0; i < 5; i++) await node.approve({ publicKey: formatPublicKey(generateIdentity().publicKey) });
  const seqs = async (query: string) => {
    const { body } = await node.admin<{ entries: { seq: number }[] }>(`/audit?${query}`);
    return body.entries.map(({ seq }) => seq);
  };
  assert.deepEqual(await seqs("before=5&count=3"), [2, 3, 4]);
  assert.deepEqual(await seqs("before=2&count=100"), [1]);
  assert.deepEqual(await seqs("before=1&count=1"), []);
  assert.equal((await node.admin("/audit?before=x&count=1")).status, 400);
});
