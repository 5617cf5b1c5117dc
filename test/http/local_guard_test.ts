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

Deno.test("The local listener answers on loopback names only, and web pages of other sites get nothing", async () => {
  await using node = await TestNode.start({ name: "N" });
  const get = (host: string, ...more: string[]) => raw(node, ["GET /v1/models HTTP/1.1", `Host: ${host}`, ...more]);
  for (const host of ["127.0.0.1:8910", "localhost", "LOCALHOST:1", "[::1]:8910", "node.localhost", "127.1.2.3"]) {
    assert.match(await get(host), /^HTTP\/1\.1 200 /, host);
  }
  const wrong = [
    "evil.example",
    "evil.example:8910",
    "localhost.evil.example",
    "192.168.1.2",
    "127.0.0.1.evil.example",
  ];
  for (const host of wrong) {
    const text = await get(host);
    assert.match(text, /^HTTP\/1\.1 403 /, host);
    assert.match(text, /loopback names only/);
  }
  const evil = await get("localhost", "Origin: https://evil.example");
  assert.match(evil, /^HTTP\/1\.1 403 /);
  assert.doesNotMatch(evil, /access-control-allow-origin/i);
  assert.match(await get("localhost", "Origin: null"), /^HTTP\/1\.1 403 /);
  const own = await get("localhost", "Origin: http://localhost:3000");
  assert.match(own, /^HTTP\/1\.1 200 /);
  assert.match(own, /access-control-allow-origin: http:\/\/localhost:3000/i);
  const preflight = await raw(node, [
    "OPTIONS /v1/chat/completions HTTP/1.1",
    "Host: localhost",
    "Origin: http://127.0.0.1:3000",
    "Access-Control-Request-Method: POST",
    "Access-Control-Request-Headers: openai-beta,x-stainless-os",
  ]);
  assert.match(preflight, /^HTTP\/1\.1 204 /);
  assert.match(preflight, /access-control-allow-headers: openai-beta,x-stainless-os/i);
});

Deno.test("Every admin call needs the admin token, and none passes through a proxy", async () => {
  await using node = await TestNode.start({ name: "N" });
  const token = (await Deno.readTextFile(`${node.data}/admin.token`)).trim();
  const calls: [string, string][] = [
    ["GET", "/status"],
    ["GET", "/models"],
    ["GET", "/peers/discovered"],
    ["GET", "/peers/status"],
    ["POST", "/peers/approve"],
    ["POST", "/peers/revoke"],
    ["GET", "/audit"],
    ["GET", "/audit/verify"],
    ["GET", "/audit/export"],
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
      for (const field of ["x-forwarded-for", "forwarded", "via", "x-real-ip"]) {
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

Deno.test("/healthz and /metrics are open to this machine and name no peer", async () => {
  await using node = await TestNode.start({ name: "N" });
  await using other = await TestNode.start({ name: "Other" });
  await node.approve(other);
  assert.deepEqual(await (await fetch(`${node.api}/healthz`)).json(), { status: "ok" });
  const metrics = await fetch(`${node.api}/metrics`);
  assert.match(metrics.headers.get("content-type") ?? "", /^text\/plain; version=0\.0\.4/);
  const text = await metrics.text();
  assert.match(text, /# TYPE ark_requests_total counter/);
  assert.ok(!text.includes(other.daemon.id.slice(0, 8)) && !text.includes("Other"));
  const nothing = await fetch(`${node.api}/nothing`);
  assert.equal(nothing.status, 404);
  assert.match((await nothing.json()).error.message, /There is nothing here/);
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
