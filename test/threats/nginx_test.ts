/** A node behind a real nginx: our snippet, the founding texts' way, and requests that are meant to be read as two. */
import assert from "node:assert/strict";
import { formatPublicKey, generateIdentity } from "@ark/node/identity";
import { auditOf, FIXTURES, MODEL, TestNode } from "../mesh/test_node.ts";
import { Nginx } from "../support/nginx.ts";
import { rawHttp } from "../support/raw_http.ts";

const SNIPPET = await Deno.readTextFile(new URL("../../packaging/nginx/arknet.conf", import.meta.url));

const reason = await Nginx.missing();
// deno-lint-ignore no-console
if (reason !== null) console.log(`nginx_test: skipped, ${reason}`);

/** A node that needs keys, one key, and nginx with our snippet before it. */
async function proxied(
  scope: AsyncDisposableStack,
): Promise<{ node: TestNode; key: string; nginx: Nginx; api: string }> {
  const node = scope.use(await TestNode.start({ name: "N", models: [FIXTURES], flags: { "require-keys": true } }));
  const { body } = await node.admin<{ text: string }>("/keys", { name: "proxy" });
  const nginx = scope.use(await Nginx.start(SNIPPET.replaceAll("127.0.0.1:8910", `127.0.0.1:${node.daemon.api.port}`)));
  return { node, key: body.text, nginx, api: `http://127.0.0.1:${nginx.port}` };
}

const approval = () =>
  JSON.stringify({ public_key: formatPublicKey(generateIdentity().publicKey), permissions: { models_shared: ["*"] } });

Deno.test({
  name: "T14: Nothing of the owner's is to be had through nginx with our snippet, and apps need their key",
  ignore: reason !== null,
  async fn() {
    await using scope = new AsyncDisposableStack();
    const { node, key, nginx, api } = await proxied(scope);
    const token = (await Deno.readTextFile(`${node.data}/admin.token`)).trim();
    const before = auditOf(node).length;
    const paths = [
      "/status",
      "/metrics",
      "/doctor",
      "/keys",
      "/settings",
      "/models",
      "/audit",
      "/audit/export",
      "/grid",
      "/api/v1/requests",
      "/api/v1/why?model=m",
      "/peers/discovered",
      "/peers/approve",
      "/peers/revoke",
      "/arknet/status",
      "/v1",
      "/v1/../status",
      "/v1/%2e%2e/status",
      "/v1/..%2fstatus",
      "/v1//../status",
      "/v1/./../peers/approve",
      "/v1/..;/status",
      "/v1/%252e%252e/status",
      "/healthz/../status",
      "/healthz%2f..%2fstatus",
      "/V1/../status",
    ];
    for (const path of paths) {
      for (const method of ["GET", "POST"]) {
        const body = method === "POST" ? approval() : "";
        const text = await rawHttp(
          nginx.port,
          `${method} /arknet${path} HTTP/1.1\r\nHost: ark.example\r\nAuthorization: Bearer ${token}\r\n` +
            `Content-Type: application/json\r\nContent-Length: ${body.length}\r\nConnection: close\r\n\r\n${body}`,
        );
        assert.match(text, /^HTTP\/1\.1 (40[0134]|405) /, `${method} ${path}: ${text}`);
        assert.doesNotMatch(text, /node_id|ark_requests_total|"peers"/, path);
      }
    }
    const outside = await fetch(`${api}/status`);
    assert.equal(outside.status, 404);
    await outside.body?.cancel();
    assert.equal(auditOf(node).length, before);
    assert.deepEqual((await node.admin("/peers/status")).body, { peers: [], fault: null });

    assert.deepEqual(await (await fetch(`${api}/arknet/healthz`)).json(), { status: "ok" });
    const refused = await fetch(`${api}/arknet/v1/models`);
    assert.equal(refused.status, 401);
    assert.match((await refused.json()).error.message, /ark-node keys create/);
    // The owner's own token is no key for what comes through a proxy.
    const asOwner = await fetch(`${api}/arknet/v1/models`, { headers: { authorization: `Bearer ${token}` } });
    assert.equal(asOwner.status, 401);
    await asOwner.body?.cancel();
    const models = await fetch(`${api}/arknet/v1/models`, { headers: { authorization: `Bearer ${key}` } });
    assert.deepEqual((await models.json()).data.map(({ id }: { id: string }) => id), [MODEL]);
  },
});

Deno.test({
  name: "T14: Nobody is approved through nginx as the founding texts have it, and the doctor sees the open door",
  ignore: reason !== null,
  async fn() {
    for (const fields of ["", "proxy_set_header X-Real-IP $remote_addr;", "proxy_set_header Via nginx;"]) {
      await using node = await TestNode.start({ name: "N", models: [FIXTURES] });
      const to = `http://127.0.0.1:${node.daemon.api.port}/`;
      await using nginx = await Nginx.start(`location /arknet/ { proxy_pass ${to}; ${fields} }`);
      const token = (await Deno.readTextFile(`${node.data}/admin.token`)).trim();
      const approve = (headers: Record<string, string>) =>
        fetch(`http://127.0.0.1:${nginx.port}/arknet/peers/approve`, {
          method: "POST",
          headers: { "content-type": "application/json", ...headers },
          body: approval(),
        });
      for (const headers of [{}, { authorization: `Bearer ${"A".repeat(43)}` }] as Record<string, string>[]) {
        const answer = await approve(headers);
        assert.equal(answer.status, fields === "" ? 401 : 403, fields);
        await answer.body?.cancel();
      }
      if (fields !== "") {
        const stolen = await approve({ authorization: `Bearer ${token}` });
        assert.equal(stolen.status, 403, "Not even with the token");
        await stolen.body?.cancel();
        await (await fetch(`http://127.0.0.1:${nginx.port}/arknet/v1/models`)).body?.cancel();
        const { findings } = (await node.admin<{ findings: { check: string; level: string }[] }>("/doctor")).body;
        assert.equal(findings.find(({ check }) => check === "open-proxy")?.level, "danger");
      }
      assert.deepEqual((await node.admin("/peers/status")).body, { peers: [], fault: null });
    }
  },
});

Deno.test({
  name: "An answer streams through nginx with our snippet, word for word",
  ignore: reason !== null,
  async fn() {
    await using scope = new AsyncDisposableStack();
    const { node, key, api } = await proxied(scope);
    const response = await fetch(`${api}/arknet/v1/chat/completions`, {
      method: "POST",
      headers: { authorization: `Bearer ${key}`, "content-type": "application/json" },
      body: JSON.stringify({
        model: MODEL,
        stream: true,
        max_tokens: 40,
        messages: [{ role: "user", content: "#slow=20" }],
      }),
    });
    assert.equal(response.headers.get("content-type"), "text/event-stream");
    let text = "";
    let early = false;
    const decoder = new TextDecoder();
    for await (const chunk of response.body ?? new ReadableStream<Uint8Array>()) {
      text += decoder.decode(chunk, { stream: true });
      // The first word is here while the model still writes.
      if (text.includes("w0")) early ||= !node.workerLog().includes('"fake:over"');
    }
    assert.ok(early, "Words came before the answer was complete");
    assert.match(text, /w39.*\[DONE\]/s);
  },
});

/** What stands in for a second request: nginx has no such path, so only a node that was tricked answers it. */
const hidden = (key: string) =>
  `GET /v1/models/hidden HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: Bearer ${key}\r\n\r\n`;

/** Ways to write a request whose end two servers may see in two places: fields, and body with the hidden request. */
function smuggles(second: string): Record<string, string> {
  const chunked = `0\r\n\r\n${second}`;
  const size = chunked.length;
  return {
    "CL.TE": `Content-Length: ${size}\r\nTransfer-Encoding: chunked\r\n\r\n${chunked}`,
    "TE.CL": `Transfer-Encoding: chunked\r\nContent-Length: 4\r\n\r\n${
      second.length.toString(16)
    }\r\n${second}\r\n0\r\n\r\n`,
    "TE.TE unknown coding": `Transfer-Encoding: xchunked\r\nContent-Length: 5\r\n\r\n${chunked}`,
    "space before the colon": `Content-Length: ${size}\r\nTransfer-Encoding : chunked\r\n\r\n${chunked}`,
    "folded line": `Content-Length: ${size}\r\nX-Fold: a\r\n Transfer-Encoding: chunked\r\n\r\n${chunked}`,
    "two lengths": `Content-Length: 5\r\nContent-Length: ${size}\r\n\r\n${chunked}`,
    "list of lengths": `Content-Length: 5, ${size}\r\n\r\n${chunked}`,
    "signed length": `Content-Length: +5\r\n\r\n${chunked}`,
    "length with an underscore": `Content_Length: ${size}\r\nContent-Length: 5\r\n\r\n${chunked}`,
    "two codings": `Transfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\nContent-Length: 5\r\n\r\n${chunked}`,
    "coding after a tab": `Transfer-Encoding:\tchunked\r\nContent-Length: ${size}\r\n\r\n${chunked}`,
    "bare line feeds": `Content-Length: 5\nTransfer-Encoding: chunked\n\n${chunked}`,
    "chunk size overflow": `Transfer-Encoding: chunked\r\n\r\n10000000000000000\r\n${second}`,
    "chunk size with 0x": `Transfer-Encoding: chunked\r\n\r\n0x0\r\n\r\n${second}`,
    "chunk ended by a line feed": `Transfer-Encoding: chunked\r\n\r\n0\n\n${second}`,
    "upgrade":
      `Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 777\r\nContent-Length: 0\r\n\r\n${second}`,
    "carriage return in a field": `X-A: b\rTransfer-Encoding: chunked\r\nContent-Length: ${size}\r\n\r\n${chunked}`,
    "null byte in a field": `X-A: b\0\r\nTransfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n${chunked}`,
  };
}

Deno.test({
  name: "T52: Requests that are meant to be read as two stay one, through nginx and at the node itself",
  ignore: reason !== null,
  async fn() {
    await using scope = new AsyncDisposableStack();
    const { node, key, nginx } = await proxied(scope);
    const second = hidden(key);
    const probes = Object.entries(smuggles(second));
    assert.ok(probes.length >= 12);
    const reached = () =>
      node.log.filter((line) => /Answered an API request.*path="\/v1\/models\/\*"/.test(line)).length;
    const head = (path: string) =>
      `POST ${path} HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: Bearer ${key}\r\nContent-Type: application/json\r\n`;
    await Promise.all(probes.map(([, rest]) => rawHttp(nginx.port, head("/arknet/v1/chat/completions") + rest)));
    for (const path of ["/arknet/v1/x%0d%0a%0d%0aGET%20/v1/models/hidden", "/arknet/v1/x HTTP/1.1\r\n\r\n"]) {
      await rawHttp(nginx.port, head(path) + `Content-Length: 0\r\n\r\n${second}`);
    }
    assert.equal(reached(), 0);
    // A connection stays in step afterwards: what nginx sends next gets its own answer.
    const after = await fetch(`http://127.0.0.1:${nginx.port}/arknet/v1/models`, {
      headers: { authorization: `Bearer ${key}` },
    });
    assert.equal((await after.json()).object, "list");

    // Whoever talks to the node itself may ask twice; what it must not do is take a body for a request or the reverse.
    for (const name of ["CL.TE", "TE.CL", "TE.TE unknown coding", "two lengths", "list of lengths", "signed length"]) {
      const text = await rawHttp(node.daemon.api.port, head("/v1/chat/completions") + smuggles(second)[name]);
      assert.ok((text.match(/^HTTP\/1\.1 /gm) ?? []).length <= 1, `${name}: ${text}`);
    }
    assert.equal(reached(), 0);
    // The hidden request is a real one: sent by itself, the node answers it.
    assert.match(await rawHttp(node.daemon.api.port, second), /model_not_found/);
    assert.equal(reached(), 1);
  },
});
