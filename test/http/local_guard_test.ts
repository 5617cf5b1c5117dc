import assert from "node:assert/strict";
import { until } from "../inference/local_fixture.ts";
import { TestNode } from "../mesh/test_node.ts";

/** Sends a request as bytes, since `fetch` does not let one choose the Host field. */
async function raw(node: TestNode, lines: string[]): Promise<string> {
  const connection = await Deno.connect({ hostname: "127.0.0.1", port: node.daemon.api.port });
  await connection.write(new TextEncoder().encode([...lines, "Connection: close", "", ""].join("\r\n")));
  const decoder = new TextDecoder();
  let text = "";
  for await (const chunk of connection.readable) text += decoder.decode(chunk);
  return text;
}

Deno.test("T12: Of thirty Host forms the loopback listener takes those that mean the loopback, and no other", async () => {
  await using node = await TestNode.start({ name: "N", flags: { "allow-host": ["ark.example"] } });
  const { port } = node.daemon.api;
  const ask = (target: string, ...fields: string[]) => raw(node, [`GET ${target} HTTP/1.1`, ...fields]);
  const get = (host: string) => ask("/v1/models", `Host: ${host}`);
  const right = [
    `127.0.0.1:${port}`,
    "localhost",
    `LOCALHOST:${port}`,
    `[::1]:${port}`,
    "node.localhost",
    "127.1.2.3",
    `ark.example:${port}`,
    "ARK.example",
  ];
  for (const host of right) assert.match(await get(host), /^HTTP\/1\.1 200 /, host);
  const wrong = [
    "evil.test",
    `evil.test:${port}`,
    "localhost.evil.test",
    "127.0.0.1.evil.test",
    `localhost:${port}@evil.test`,
    `evil.test#localhost:${port}`,
    "evil.test/localhost",
    "evil.test\\localhost",
    "localhost, evil.test",
    "localhost evil.test",
    "localhost:evil.test",
    `localhost:${port}:${port}`,
    "localhost:",
    "localhost.",
    "127.0.0.1.",
    "127.1",
    "2130706433",
    "0x7f.0.0.1",
    "0177.0.0.1",
    "0.0.0.0",
    "[::]",
    "[::ffff:127.0.0.1]",
    "::1",
    "192.168.1.2",
    "sub.ark.example",
    "%6cocalhost",
    "",
  ];
  for (const host of wrong) {
    const text = await get(host);
    assert.match(text, /^HTTP\/1\.1 (403|400) /, host);
    assert.doesNotMatch(text, /"object":"list"/, host);
  }
  assert.match(await get("evil.test"), /loopback names only.*--allow-host/);
  // Without a Host, with two, and with one in the request line that differs.
  assert.match(await ask("/v1/models"), /^HTTP\/1\.1 40[03] /);
  assert.match(await ask("/v1/models", "Host: localhost", "Host: evil.test"), /^HTTP\/1\.1 40[03] /);
  assert.match(await ask("http://evil.test/v1/models", "Host: localhost"), /^HTTP\/1\.1 403 /);
});

Deno.test("A web page may use the API when its very origin was named, and nothing else of the node", async () => {
  await using node = await TestNode.start({
    name: "N",
    flags: { "allow-origin": ["https://ui.example", "http://localhost:3000"] },
  });
  const get = (path: string, ...fields: string[]) => raw(node, [`GET ${path} HTTP/1.1`, "Host: localhost", ...fields]);
  for (const origin of ["https://ui.example", "http://localhost:3000"]) {
    const text = await get("/v1/models", `Origin: ${origin}`, "Sec-Fetch-Site: cross-site", "Sec-Fetch-Mode: cors");
    assert.match(text, /^HTTP\/1\.1 200 /, origin);
    assert.match(text, new RegExp(`access-control-allow-origin: ${origin}\r\n`, "i"));
    assert.match(text, /vary: origin/i);
    for (const name of "retry-after retry-after-ms x-ark-node x-ark-reason x-ark-route x-should-retry".split(" ")) {
      assert.match(text, new RegExp(`access-control-expose-headers: [^\r]*${name}[,\r]`, "i"));
    }
    assert.match(text, /access-control-expose-headers: [^\r]*x-request-id/i);
    assert.match(await get("/status", `Origin: ${origin}`), /^HTTP\/1\.1 403 /, "No admin call");
    assert.match(await get("/metrics", `Origin: ${origin}`), /^HTTP\/1\.1 403 /);
  }
  const strangers = [
    "https://evil.test",
    "http://ui.example",
    "https://ui.example:444",
    "https://sub.ui.example",
    "https://ui.example.evil.test",
    "http://localhost:3001",
    "http://127.0.0.1:3000",
    "null",
    "file://",
  ];
  for (const origin of strangers) {
    const text = await get("/v1/models", `Origin: ${origin}`);
    assert.match(text, /^HTTP\/1\.1 403 /, origin);
    assert.doesNotMatch(text, /access-control-allow/i, origin);
  }
  const silent = [
    ["/v1/models", "Sec-Fetch-Site: cross-site"],
    ["/v1/models", "Sec-Fetch-Site: same-site"],
    ["/v1/models", "Sec-Fetch-Site: same-origin", "Sec-Fetch-Mode: no-cors"],
    ["/healthz", "Sec-Fetch-Site: cross-site"],
    ["/healthz", "Referer: http://localhost/"],
  ] as const;
  for (const [path, ...fields] of silent) assert.match(await get(path, ...fields), /^HTTP\/1\.1 403 /, fields.join());
  assert.match(await get("/healthz", "Sec-Fetch-Site: none", "Sec-Fetch-Mode: navigate"), /^HTTP\/1\.1 200 /);
});

/** What OpenAI's client sends beside its key. */
const ASKED = "authorization,content-type,openai-beta,x-stainless-lang,x-stainless-package-version,x-stainless-os," +
  "x-stainless-arch,x-stainless-runtime,x-stainless-runtime-version,x-stainless-retry-count,x-stainless-timeout," +
  "x-stainless-helper-method";

Deno.test("A preflight is answered for a named origin only, with what the page asks for", async () => {
  await using node = await TestNode.start({ name: "N", flags: { "allow-origin": ["https://ui.example"] } });
  const preflight = (path: string, origin: string) =>
    raw(node, [
      `OPTIONS ${path} HTTP/1.1`,
      "Host: localhost",
      `Origin: ${origin}`,
      "Access-Control-Request-Method: POST",
      `Access-Control-Request-Headers: ${ASKED}`,
      "Access-Control-Request-Private-Network: true",
    ]);
  const yes = await preflight("/v1/chat/completions", "https://ui.example");
  assert.match(yes, /^HTTP\/1\.1 204 /);
  assert.match(yes, new RegExp(`access-control-allow-headers: ${ASKED}\r\n`, "i"));
  assert.match(yes, /access-control-allow-methods: [^\r]*POST[^\r]*DELETE/i);
  assert.match(yes, /access-control-allow-private-network: true/i);
  assert.doesNotMatch(yes, /access-control-allow-credentials/i);
  for (
    const [path, origin] of [
      ["/v1/chat/completions", "http://localhost:3000"],
      ["/peers/approve", "https://ui.example"],
      ["/arknet/keys", "https://ui.example"],
    ] as const
  ) {
    const no = await preflight(path, origin);
    assert.match(no, /^HTTP\/1\.1 403 /, path);
    assert.doesNotMatch(no, /access-control/i, path);
  }
});

Deno.test("T14 T59: Every admin call needs the admin token, and none passes through a proxy", async () => {
  await using node = await TestNode.start({ name: "N" });
  const token = (await Deno.readTextFile(`${node.data}/admin.token`)).trim();
  const calls: [string, string][] = [
    ["GET", "/status"],
    ["GET", "/models"],
    ["GET", "/peers/discovered"],
    ["GET", "/peers/status"],
    ["POST", "/peers/approve"],
    ["POST", "/peers/revoke"],
    ["GET", "/doctor"],
    ["GET", "/keys"],
    ["POST", "/keys"],
    ["POST", "/keys/revoke"],
    ["GET", "/settings"],
    ["POST", "/settings"],
    ["GET", "/sharing"],
    ["POST", "/sharing/pause"],
    ["GET", "/audit"],
    ["GET", "/audit/verify"],
    ["GET", "/audit/export"],
    ["GET", "/grid"],
    ["GET", "/api/v1/requests"],
    ["GET", "/api/v1/requests?follow=1"],
    ["GET", "/api/v1/why?model=m"],
  ];
  for (const [method, path] of calls) {
    for (const prefix of ["", "/arknet"]) {
      const call = (headers: Record<string, string>) =>
        fetch(node.api + prefix + path, { method, headers, ...(method === "POST" ? { body: "{}" } : {}) });
      for (const authorization of ["", "Bearer", `Bearer ${"A".repeat(43)}`, `Bearer ${token}x`, `Basic ${token}`]) {
        const response = await call({
          "content-type": "application/json",
          ...(authorization ? { authorization } : {}),
        });
        assert.equal(response.status, 401, `${method} ${path} with ${authorization}`);
        assert.match((await response.json()).error.message, /Authorization: Bearer TOKEN/);
      }
      for (
        const field of ["x-forwarded-for", "x-forwarded-server", "forwarded", "via", "x-real-ip", "cf-connecting-ip"]
      ) {
        const response = await call({ authorization: `Bearer ${token}`, [field]: "192.168.1.9" });
        assert.equal(response.status, 403, `${method} ${path} with ${field}`);
        await response.body?.cancel();
      }
    }
  }
  const right = await fetch(`${node.api}/arknet/status`, { headers: { authorization: `Bearer ${token}` } });
  assert.equal((await right.json()).name, "N");
  // The API itself works behind a proxy.
  const models = await fetch(`${node.api}/arknet/v1/models`, { headers: { "x-forwarded-for": "192.168.1.9" } });
  assert.equal((await models.json()).object, "list");
});

Deno.test("Admin calls take JSON only, and say in one sentence what is wrong with it", async () => {
  await using node = await TestNode.start({ name: "N" });
  const token = (await Deno.readTextFile(`${node.data}/admin.token`)).trim();
  const approve = (body: string, type: string) =>
    fetch(`${node.api}/peers/approve`, {
      method: "POST",
      headers: { authorization: `Bearer ${token}`, "content-type": type },
      body,
    });
  const wrong: [string, string, RegExp][] = [
    ["{}", "text/plain", /application\/json/],
    ["{", "application/json", /not valid JSON/],
    ["[]", "application/json", /must be an object/],
    ["{}", "application/json", /needs public_key or node_id/],
    [`{"public_key":"wg:AAAA"}`, "application/json", /public_key/],
    [`{"public_key":"${node.publicKey}","admin":true}`, "application/json", /unknown field: admin/],
  ];
  for (const [body, type, sentence] of wrong) {
    const response = await approve(body, type);
    assert.ok(response.status >= 400 && response.status < 500, body);
    assert.match((await response.json()).error.message, sentence);
  }
  assert.equal((await node.admin("/peers/revoke", {})).status, 400);
  assert.equal((await node.admin("/peers/revoke", { node_id: node.daemon.id })).status, 400);
  assert.equal((await node.admin("/audit?count=0")).status, 400);
  assert.deepEqual((await node.admin("/peers/status")).body, { peers: [], fault: null });
});

Deno.test("POST /peers/approve writes approved_peers.json as in the founding texts, and an edit by hand counts", async () => {
  await using node = await TestNode.start({ name: "N" });
  await using other = await TestNode.start({ name: "Dave's Ark" });
  const permissions = {
    can_request_inference: true,
    can_pull_models: false,
    models_shared: ["llama3.1:8b"],
    max_concurrent_requests: 2,
  };
  const approved = await node.admin<{ summary: string }>("/peers/approve", {
    node_id: "ark-neighbor-001",
    public_key: other.publicKey,
    permissions,
  });
  assert.equal(approved.status, 200);
  assert.match(approved.body.summary, /^ark-neighbor-001 may ask llama3\.1:8b, two questions at a time\./);
  const path = `${node.data}/approved_peers.json`;
  const { peers } = JSON.parse(await Deno.readTextFile(path));
  assert.deepEqual(Object.keys(peers[0]).sort(), ["approved_at", "name", "node_id", "permissions", "public_key"]);
  assert.deepEqual([peers[0].public_key, peers[0].permissions], [other.publicKey, permissions]);

  await Deno.writeTextFile(path, "{ torn");
  await until(async () => (await node.admin<{ fault: string | null }>("/peers/status")).body.fault !== null);
  const { body } = await node.admin<{ peers: unknown[] }>("/peers/status");
  assert.equal(body.peers.length, 1, "The last good set stays");
  await Deno.writeTextFile(path, JSON.stringify({ peers: [] }));
  await until(async () => (await node.admin<{ peers: unknown[] }>("/peers/status")).body.peers.length === 0);
});

Deno.test("T59: /healthz and /metrics are open to this machine and name no peer", async () => {
  await using node = await TestNode.start({ name: "N" });
  await using other = await TestNode.start({ name: "Other" });
  await node.approve(other);
  assert.deepEqual(await (await fetch(`${node.api}/healthz`)).json(), { status: "ok" });
  const metrics = await fetch(`${node.api}/metrics`);
  assert.match(metrics.headers.get("content-type") ?? "", /^text\/plain; version=0\.0\.4/);
  const text = await metrics.text();
  assert.match(text, /# TYPE ark_requests_total counter/);
  assert.ok(!text.includes(other.daemon.id.slice(0, 8)) && !text.includes("Other"));
  const token = (await Deno.readTextFile(`${node.data}/admin.token`)).trim();
  const owners = await fetch(`${node.api}/metrics`, { headers: { authorization: `Bearer ${token}` } });
  assert.match(
    await owners.text(),
    new RegExp(`\nark_peer_reliability_ratio\\{peer="${other.daemon.id.slice(0, 8)}"\\} 1\n`),
  );
  for (const wrong of [`Bearer ${token}x`, `Basic ${token}`, "Bearer"]) {
    const stranger = await fetch(`${node.api}/metrics`, { headers: { authorization: wrong } });
    assert.ok(!(await stranger.text()).includes("ark_peer_"), wrong);
  }
  const proxied = await fetch(`${node.api}/arknet/metrics`, { headers: { "x-forwarded-for": "192.168.1.9" } });
  assert.equal(proxied.status, 403);
  await proxied.body?.cancel();
  const nothing = await fetch(`${node.api}/nothing`);
  assert.equal(nothing.status, 404);
  assert.match((await nothing.json()).error.message, /There is nothing here/);
});

Deno.test("Every answer of the owner's listener has an id, also where no API had its turn", async () => {
  await using node = await TestNode.start({ name: "N", role: "compute" });
  const asked: [string, RequestInit][] = [
    ["/healthz", {}],
    ["/metrics", {}],
    ["/nothing", {}],
    ["/status", {}],
    ["/v1/models", {}],
    ["/v1/models", { headers: { origin: "https://evil.test" } }],
    ["/v1/chat/completions", { method: "POST", body: "{" }],
  ];
  for (const [path, init] of asked) {
    const response = await fetch(node.api + path, init);
    assert.match(response.headers.get("x-request-id") ?? "", /^req_[0-9a-f]{32}$/, path);
    await response.body?.cancel();
  }
});

Deno.test("A node without the role gateway has no API, and one without the role compute offers nothing", async () => {
  await using compute = await TestNode.start({ name: "C", role: "compute" });
  const refused = await fetch(`${compute.api}/v1/models`);
  assert.equal(refused.status, 404);
  assert.match((await refused.json()).error.message, /has not the role gateway/);
  await using gateway = await TestNode.start({ name: "G", role: "gateway" });
  assert.equal(gateway.daemon.engine, null);
  assert.deepEqual((await (await fetch(`${gateway.api}/v1/models`)).json()).data, []);
});
