/** API keys at a whole node. */
import assert from "node:assert/strict";
import { networkInterfaces } from "node:os";
import { until } from "../../inference/local_fixture.ts";
import { auditOf, FIXTURES, MODEL, readStream, TestNode } from "../../mesh/test_node.ts";
import { rawHttp } from "../../support/raw_http.ts";

async function keyed(node: TestNode, terms: Record<string, unknown> = {}): Promise<{ authorization: string }> {
  const name = crypto.randomUUID().slice(0, 8);
  const { status, body } = await node.admin<{ text: string; recorded: boolean }>("/keys", { name, ...terms });
  assert.equal(status, 200, JSON.stringify(body));
  assert.ok(body.recorded);
  return { authorization: `Bearer ${body.text}` };
}

async function refusal(response: Response): Promise<{ status: number; code: string; message: string }> {
  const { error } = await response.json();
  assert.deepEqual(Object.keys(error).sort(), ["code", "message", "param", "type"]);
  assert.match(error.message, /^[A-Z].*[^.!]$/);
  assert.match(response.headers.get("x-request-id") ?? "", /^req_/);
  return { status: response.status, code: error.code, message: error.message };
}

Deno.test("On the loopback any key or none will do, but one of ours must be in force", async () => {
  await using node = await TestNode.start({ name: "N", models: [FIXTURES] });
  const ask = (headers: Record<string, string>) => node.chat({ model: MODEL, max_tokens: 2 }, { headers });
  for (const headers of [{}, { authorization: "Bearer sk-anything" }, { "x-api-key": "ollama" }]) {
    const response = await ask(headers as Record<string, string>);
    assert.equal(response.status, 200);
    await response.body?.cancel();
  }
  const wrong = `ark-${"A".repeat(43)}`;
  for (
    const headers of [{ authorization: `Bearer ${wrong}` }, { "x-api-key": wrong }, { authorization: "bearer ark-x" }]
  ) {
    const { status, code, message } = await refusal(await ask(headers as Record<string, string>));
    assert.deepEqual([status, code], [401, "unauthenticated"]);
    assert.match(message, /not known here: make one with 'ark-node keys create NAME'/);
  }
  const { authorization } = await keyed(node);
  assert.equal((await (await ask({ authorization })).json()).usage.completion_tokens, 2);
  assert.equal(
    (await (await ask({ "x-api-key": authorization.slice("Bearer ".length) })).json()).object,
    "chat.completion",
  );
  assert.equal(auditOf(node).filter(({ kind }) => kind === "config").length, 1);
  const { keys } = (await node.admin<{ keys: { last_used_at: string | null }[] }>("/keys")).body;
  assert.match(keys[0]?.last_used_at ?? "", /^\d{4}-/);
});

Deno.test("A key's models and limits hold in front of the router, also on the loopback", async () => {
  await using node = await TestNode.start({ name: "N", models: [FIXTURES] });
  const ask = (headers: Record<string, string>, body: Record<string, unknown> = {}) =>
    node.chat({ model: MODEL, max_tokens: 2, ...body }, { headers });

  const other = await keyed(node, { models: ["llama*"] });
  assert.deepEqual((await (await fetch(`${node.api}/v1/models`, { headers: other })).json()).data, []);
  assert.equal((await refusal(await fetch(`${node.api}/v1/models/${MODEL}`, { headers: other }))).status, 404);
  // A short name does not lead around the list.
  for (const model of [MODEL, "arkling", MODEL.toUpperCase()]) {
    const { status, code } = await refusal(await ask(other, { model }));
    assert.deepEqual([status, code], [403, "model_not_shared"], model);
  }
  assert.ok(!node.workerLog().includes('"type":"generate"'));
  const these = await keyed(node, { models: ["arkling:*"] });
  for (const model of [MODEL, "arkling"]) {
    assert.equal((await (await ask(these, { model })).json()).object, "chat.completion");
  }

  const rare = await keyed(node, { max_requests_per_minute: 2 });
  for (let number = 0; number < 2; number++) await (await ask(rare)).body?.cancel();
  const late = await ask(rare);
  assert.ok(Number(late.headers.get("retry-after")) > 1);
  assert.deepEqual((await refusal(late)).status, 429);

  const short = await keyed(node, { max_tokens_per_day: 10 });
  const cut = await readStream(await ask(short, { max_tokens: 50, stream: true }));
  // Three words of prompt and seven of the answer make ten; what the engine wrote in one go is passed on whole.
  assert.ok([8, 9, 10].includes(cut.text.split(" ").length), cut.text);
  assert.deepEqual([cut.done, cut.error], [true, null]);
  assert.match((await refusal(await ask(short))).message, /used its 10 tokens of the day/);

  const single = await keyed(node, { max_concurrent_requests: 1 });
  const slow = await ask(single, { stream: true, max_tokens: 500, messages: [{ role: "user", content: "#slow=20" }] });
  assert.match((await refusal(await ask(single))).message, /1 question at a time/);
  await slow.body?.cancel();
  await until(async () => {
    const response = await ask(single);
    await response.body?.cancel();
    return response.status === 200;
  });
});

Deno.test("What runs with a key ends when it is revoked, and the engine stops", async () => {
  await using node = await TestNode.start({ name: "N", models: [FIXTURES] });
  const { body } = await node.admin<{ text: string }>("/keys", { name: "phone" });
  const headers = { authorization: `Bearer ${body.text}` };
  const messages = [{ role: "user", content: "#slow=10" }];
  const stream = await node.chat({ model: MODEL, stream: true, max_tokens: 900, messages }, { headers });
  const reader = (stream.body ?? new ReadableStream<Uint8Array>()).getReader();
  await reader.read();
  assert.equal((await node.admin("/keys/revoke", { key: "phone" })).status, 200);
  let rest = "";
  for (let read = await reader.read(); !read.done; read = await reader.read()) {
    rest += new TextDecoder().decode(read.value);
  }
  assert.match(rest, /"error":\{"message":"This API key was revoked, so the answer ends here"/);
  assert.ok(!rest.includes("[DONE]"));
  await until(() => node.workerLog().includes('"cancelled":true'));
  const { status, message } = await refusal(await node.chat({ model: MODEL }, { headers }));
  assert.equal(status, 401);
  assert.match(message, /was revoked/);
  assert.equal((await node.admin("/keys/revoke", { key: "phone" })).status, 400);
  assert.equal((await node.admin("/keys/revoke", {})).status, 400);
});

Deno.test("A node that needs keys answers its owner's command line, on this machine only, and nobody else without one", async () => {
  await using node = await TestNode.start({ name: "N", models: [FIXTURES], flags: { "require-keys": true } });
  const token = (await Deno.readTextFile(`${node.data}/admin.token`)).trim();
  const ask = (headers: Record<string, string>) => fetch(`${node.api}/v1/models`, { headers });
  const refused: Record<string, string>[] = [
    {},
    { authorization: "Bearer sk-anything" },
    { authorization: `Bearer ${"A".repeat(43)}` },
    { authorization: `Bearer ${token}`, "x-forwarded-for": "192.168.1.9" },
    { "x-api-key": token },
  ];
  for (const headers of refused) assert.equal((await refusal(await ask(headers))).status, 401, JSON.stringify(headers));
  for (const path of ["/v1/nothing", "/v1/chat/completions", "/arknet/v1/models"]) {
    assert.equal((await refusal(await fetch(node.api + path))).status, 401, path);
  }
  // All are counted, and the log has one line of them.
  assert.match(await (await fetch(`${node.api}/metrics`)).text(), /^ark_api_refused_total 8$/m);
  const said = node.log.filter((line) => line.includes("An app was refused"));
  assert.deepEqual([said.length, said[0]?.includes("address=127.0.0.1")], [1, true]);
  assert.equal((await (await ask({ authorization: `Bearer ${token}` })).json()).object, "list");
  assert.equal((await (await ask(await keyed(node))).json()).object, "list");
});

/** An address of this machine that is not the loopback's, or null. */
function ownAddress(): string | null {
  const all = Object.values(networkInterfaces()).flatMap((found) => found ?? []);
  return all.find(({ family, internal }) => family === "IPv4" && !internal)?.address ?? null;
}

for (const where of ["every address", "one address"] as const) {
  Deno.test(`T14: A listener on ${where} of the machine takes keys there and admin calls on the loopback only`, async () => {
    const address = ownAddress();
    if (address === null) {
      // deno-lint-ignore no-console
      console.log("Skipped: this machine has no address but the loopback's");
      return;
    }
    const listen = where === "one address" ? `${address}:0` : "0.0.0.0:0";
    await using node = await TestNode.start({
      name: "N",
      models: [FIXTURES],
      flags: { listen, "allow-host": ["ark.example"] },
    });
    const token = (await Deno.readTextFile(`${node.data}/admin.token`)).trim();
    const { api: own } = JSON.parse(await Deno.readTextFile(`${node.data}/node.lock`));
    assert.equal(new URL(own).hostname, "127.0.0.1");
    const { port } = node.daemon.api;
    const far = `http://${address}:${port}`;
    const authorization = `Bearer ${token}`;

    const byFar = await fetch(`${far}/status`, { headers: { authorization } });
    assert.equal(byFar.status, 403);
    assert.match((await byFar.json()).error.message, /on this machine, by its loopback address/);
    assert.equal((await refusal(await fetch(`${far}/v1/models`, { headers: { authorization } }))).status, 401);
    assert.equal((await refusal(await fetch(`${own}/v1/models`))).status, 401, "Also on the loopback");

    for (const [path, status] of [["/metrics", 403], ["/healthz", 200], ["/nothing", 404]] as const) {
      const response = await fetch(far + path);
      assert.equal(response.status, status, path);
      await response.body?.cancel();
    }

    const admin = (path: string, init: RequestInit = {}) =>
      fetch(own + path, { ...init, headers: { authorization, "content-type": "application/json" } });
    const status = await (await admin("/status")).json();
    assert.match(status.faults.join(), /keys, questions and answers travel there in clear/);
    assert.match(status.faults.join(), /there is no API key yet/);
    const { text } = await (await admin("/keys", { method: "POST", body: '{"name":"phone"}' })).json();
    const models = await fetch(`${far}/v1/models`, { headers: { authorization: `Bearer ${text}` } });
    assert.equal((await models.json()).data[0].id, MODEL);
    assert.doesNotMatch((await (await admin("/status")).json()).faults.join(), /no API key yet/);
    assert.deepEqual(node.daemon.exposure().map(({ check, level }) => [check, level]), [
      ["local-listener", "warning"],
      ["mesh-listener", "ok"],
    ]);

    const byName = (host: string) =>
      rawHttp(
        port,
        `GET /v1/models HTTP/1.1\r\nHost: ${host}\r\nAuthorization: Bearer ${text}\r\nConnection: close\r\n\r\n`,
        {
          hostname: address,
        },
      );
    for (
      const host of [address, `${address}:${port}`, Deno.hostname(), `${Deno.hostname()}.local:${port}`, "ark.example"]
    ) {
      assert.match(await byName(host), /^HTTP\/1\.1 200 /, host);
    }
    for (const host of ["evil.test", `${address}.evil.test`, "0.0.0.0", "192.0.2.77", `${Deno.hostname()}.evil.test`]) {
      assert.match(await byName(host), /^HTTP\/1\.1 403 /, host);
    }
  });
}
