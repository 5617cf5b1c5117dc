/** Ollama's API at a whole node: its port, its guard, its keys. */
import assert from "node:assert/strict";
import { StartError } from "../../../src/daemon/start_error.ts";
import { until } from "../../inference/local_fixture.ts";
import { FIXTURES, MODEL, TestNode } from "../../mesh/test_node.ts";
import { NodeProcess } from "../../support/node_process.ts";
import { assertAnswerLines, assertShape } from "./schemas.ts";

function start(flags: Record<string, string | boolean | string[]> = {}): Promise<TestNode> {
  return TestNode.start({ name: "N", models: [FIXTURES], flags: { "ollama-port": "0", ...flags } });
}

function portOf(node: TestNode): string {
  const { hostname, port } = node.daemon.ollama ?? assert.fail("It does not listen");
  assert.equal(hostname, "127.0.0.1");
  return `http://127.0.0.1:${port}`;
}

function question(fields: Record<string, unknown> = {}): Record<string, unknown> {
  return {
    model: MODEL,
    messages: [{ role: "user", content: "one two three" }],
    options: { num_predict: 4 },
    ...fields,
  };
}

function post(url: string, body: unknown, headers: Record<string, string> = {}): Promise<Response> {
  return fetch(url, { method: "POST", body: JSON.stringify(body), headers });
}

async function refusal(response: Response): Promise<{ status: number; error: string }> {
  const body = await response.json();
  assertShape("error", body);
  return { status: response.status, error: body.error };
}

Deno.test("A node listens where clients of Ollama look, and serves the same there as elsewhere", async () => {
  await using node = await start();
  for (const at of [portOf(node), node.api, `${node.api}/arknet`]) {
    assert.equal(await (await fetch(`${at}/`)).text(), "Ollama is running");
    assertShape("version", await (await fetch(`${at}/api/version`)).json());
    const tags = await (await fetch(`${at}/api/tags`)).json();
    assertShape("tags", tags);
    assert.deepEqual(tags.models.map(({ name }: { name: string }) => name), [MODEL]);
    const text = await (await post(`${at}/api/chat`, question())).text();
    const lines = text.trimEnd().split("\n").map((line) => JSON.parse(line));
    assertAnswerLines("chat", lines);
    assert.equal(lines.map(({ message }) => message.content).join(""), "w0 w1 w2 w3");
    const openai = await post(`${at}/v1/chat/completions`, { ...question(), max_tokens: 4 }, {
      "content-type": "application/json",
    });
    assert.equal((await openai.json()).choices[0].message.content, "w0 w1 w2 w3");
  }
});

Deno.test("A node says with --json where clients of Ollama find it, and lets go of that port when it stops", async () => {
  let found: string;
  {
    await using node = await NodeProcess.start({ name: "N", args: ["--no-mdns", "--ollama-port", "0"] });
    found = node.ready.ollama ?? assert.fail("It does not say it");
    assert.equal(await (await fetch(found)).text(), "Ollama is running");
  }
  await assert.rejects(fetch(found));
  await using silent = await NodeProcess.start({ name: "M", args: ["--no-mdns"] });
  assert.equal(silent.ready.ollama, undefined);
});

Deno.test("What Ollama's API shows of this node's models comes from their files and from memory", async () => {
  await using node = await start();
  const show = await (await post(`${node.api}/api/show`, { model: "arkling" })).json();
  assertShape("show", show);
  assert.equal(show.model_info["general.architecture"], "llama");
  assert.equal(show.model_info["llama.context_length"], 1_024);
  assert.ok(show.model_info["general.parameter_count"] > 5e6);
  assert.deepEqual(show.details.family, "llama");
  assert.match(show.template, /message\['content'\]/);
  const ps = async () => (await (await fetch(`${node.api}/api/ps`)).json());
  assert.deepEqual(await ps(), { models: [] });
  await (await post(`${node.api}/api/chat`, question({ stream: false }))).body?.cancel();
  const running = await ps();
  assertShape("ps", running);
  assert.equal(running.models[0].name, MODEL);
});

Deno.test("Questions without anything to say load and unload, and keep_alive says how long a model stays", async () => {
  await using node = await start();
  const running = async () => {
    const body = await (await fetch(`${node.api}/api/ps`)).json();
    assertShape("ps", body);
    return body.models as { name: string; expires_at: string; context_length: number }[];
  };
  const say = async (path: string, body: Record<string, unknown>) => {
    const answer = await (await post(node.api + path, { model: "arkling", stream: false, ...body })).json();
    return answer.done_reason;
  };
  const minutesLeft = (at: string) => Math.round((Date.parse(at) - Date.now()) / 60_000);
  assert.equal(await say("/api/chat", { messages: [], keep_alive: "30m" }), "load");
  const [loaded] = await running();
  assert.deepEqual([loaded?.name, minutesLeft(loaded?.expires_at ?? "")], [MODEL, 30]);
  assert.equal(node.workerLog().split("\n").filter((line) => line.includes('"type":"generate"')).length, 0);

  assert.equal(await say("/api/chat", question({ keep_alive: 7_200 })), "length");
  await until(async () => minutesLeft((await running())[0]?.expires_at ?? "") === 120);
  assert.equal(await say("/api/generate", { keep_alive: -1 }), "load");
  await until(async () => minutesLeft((await running())[0]?.expires_at ?? "") > 1e6);

  assert.equal(await say("/api/generate", { keep_alive: 0 }), "unload");
  assert.deepEqual(await running(), []);
  // Nothing has to be there to be unloaded.
  assert.equal(await say("/api/generate", { keep_alive: "0s" }), "unload");
  // A question with keep_alive 0 is answered first.
  assert.equal(await say("/api/chat", question({ keep_alive: 0 })), "length");
  await until(async () => (await running()).length === 0);
});

Deno.test("A second node cannot take the port of the first, and says what most likely has it", async () => {
  await using node = await start();
  const { port } = node.daemon.ollama ?? assert.fail();
  const taken = (error: unknown) => {
    assert.ok(error instanceof StartError);
    assert.match(error.message, new RegExp(`^Cannot take 127\\.0\\.0\\.1:${port} .*leave out --ollama-port$`));
    return true;
  };
  await assert.rejects(start({ "ollama-port": String(port) }), taken);
});

Deno.test("T13: No page may use Ollama's API unasked, and none may change what models there are", async () => {
  const page = "https://ui.example";
  await using node = await start({ "allow-origin": [page] });
  const headers: Record<string, string>[] = [
    { origin: "https://evil.test" },
    { origin: "null" },
    { "sec-fetch-site": "cross-site" },
    { "sec-fetch-mode": "no-cors" },
  ];
  for (const at of [portOf(node), node.api]) {
    for (const header of headers) {
      for (const type of ["text/plain", "application/json"]) {
        const refused = await post(`${at}/api/chat`, question(), { ...header, "content-type": type });
        assert.equal((await refusal(refused)).status, 403, JSON.stringify(header));
      }
    }
    const allowed = { origin: page, "sec-fetch-site": "cross-site" };
    const json = { ...allowed, "content-type": "application/json" };
    const answer = await post(`${at}/api/chat`, question({ stream: false }), json);
    assert.equal(answer.status, 200);
    assert.equal(answer.headers.get("access-control-allow-origin"), page);
    await answer.body?.cancel();
    const typed = await post(`${at}/api/chat`, question(), { ...allowed, "content-type": "text/plain" });
    assert.equal((await refusal(typed)).status, 415);
    assert.equal((await refusal(await post(`${at}/api/pull`, { model: "x" }, json))).status, 403);
  }
  assert.equal(node.workerLog().split("\n").filter((line) => line.includes('"type":"generate"')).length, 2);
});

Deno.test("A key asks for its models alone, and changes nothing about them", async () => {
  await using node = await start({ "require-keys": true });
  const keyed = async (terms: Record<string, unknown>) => {
    const { body } = await node.admin<{ text: string }>("/keys", { name: crypto.randomUUID().slice(0, 8), ...terms });
    return { authorization: `Bearer ${body.text}` };
  };
  const at = portOf(node);
  assert.equal((await refusal(await post(`${at}/api/chat`, question()))).status, 401);
  assert.equal((await refusal(await fetch(`${at}/api/tags`))).status, 401);
  assert.equal(await (await fetch(`${at}/`)).text(), "Ollama is running");
  const all = await keyed({});
  const answer = await post(`${at}/api/chat`, question({ stream: false }), all);
  assert.equal((await answer.json()).message.content, "w0 w1 w2 w3");
  for (
    const [path, body] of [["/api/pull", { model: "x" }], ["/api/copy", { source: MODEL, destination: "y" }]] as const
  ) {
    assert.equal((await refusal(await post(at + path, body, all))).status, 403, path);
  }
  const other = await keyed({ models: ["llama*"] });
  assert.deepEqual(await (await fetch(`${at}/api/tags`, { headers: other })).json(), { models: [] });
  assert.deepEqual(await (await fetch(`${at}/api/ps`, { headers: other })).json(), { models: [] });
  for (const path of ["/api/show", "/api/generate"]) {
    assert.equal((await refusal(await post(at + path, { model: "arkling" }, other))).status, 404, path);
  }
  assert.equal((await refusal(await post(`${at}/api/chat`, question(), other))).status, 403);
});

Deno.test("Every failure under /api has Ollama's shape, the guard's and those of no route among them", async () => {
  await using node = await start();
  const bare = await TestNode.start({ name: "M", role: "compute" });
  await using _ = bare;
  const cases: [Promise<Response>, number][] = [
    [fetch(`${node.api}/api/chat`), 405],
    [fetch(`${node.api}/api/none`), 404],
    [fetch(`${node.api}/arknet/api/none`), 404],
    [fetch(`${node.api}/api/tags`, { headers: { origin: "https://evil.test" } }), 403],
    [fetch(`${node.api}/api/chat`, { method: "POST", body: "x" }), 400],
    [fetch(`${node.api}/api/chat`, { method: "POST", body: new Uint8Array((16 << 20) + 1) }), 413],
    [post(`${node.api}/api/chat`, question({ model: "none" })), 404],
    [post(`${node.api}/api/chat`, question(), { "x-ark-local-only": "perhaps" }), 400],
    [fetch(`${bare.api}/api/tags`), 404],
  ];
  for (const [response, status] of cases) assert.equal((await refusal(await response)).status, status);
  const broken = { ...question(), messages: [{ role: "user", content: "#fail-after=2" }] };
  const text = await (await post(`${node.api}/api/chat`, broken)).text();
  const last = JSON.parse(text.trimEnd().split("\n").at(-1) ?? "");
  assertShape("error", last);
});
