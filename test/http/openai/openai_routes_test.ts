import assert from "node:assert/strict";
import { ArkError, ERROR_CODES, type ErrorCode } from "@ark/node/protocol";
import { ask, chat, END, eventsOf, failing, MODEL, ScriptedAnswers, START, telling } from "../api/scripted_answers.ts";
import { valid } from "../api/validate.ts";
import { failureOf, SCHEMAS } from "./answered.ts";

const NONE = new ScriptedAnswers(failing(new Error("Nobody is asked here")));

Deno.test("openaiRoutes() answers for the owner, and passes on only what it knows", async () => {
  const answers = new ScriptedAnswers(telling("Hi"));
  const response = await ask(answers, {
    body: chat({ temperature: 0.5, user: "canary", metadata: { a: "canary" }, unheard_of: "canary" }),
    headers: { "content-type": "application/json", authorization: "Bearer canary", "x-session": "canary" },
  });
  assert.equal(response.status, 200);
  await response.body?.cancel();
  const [{ request, options } = assert.fail("It was not asked")] = answers.asked;
  assert.deepEqual(request, {
    model: MODEL,
    input: { kind: "chat", messages: [{ role: "user", content: "Hello" }] },
    parameters: { temperature: 0.5 },
  });
  assert.deepEqual(Object.keys(options).sort(), ["chosen", "direct", "principal", "priority", "request", "signal"]);
  // By its id the request is found in the owner's list of requests.
  assert.equal(options.request, response.headers.get("x-request-id"));
  assert.deepEqual([options.priority, options.principal], ["owner", "owner"]);
});

Deno.test("openaiRoutes() says who answered, streamed or whole", async () => {
  const named = (name: string, peer: string | null) => () =>
    new ScriptedAnswers(async function* ({ choose }) {
      await Promise.resolve();
      choose("first try", null);
      choose(name, peer, "peer: it is the nearest\n\u2028");
      yield START;
      yield END;
    });
  for (const stream of [false, true]) {
    for (const [name, peer, route] of [["Küche 100%\ud800", null, "local"], ["attic", "abc", "peer"]] as const) {
      const { headers, body } = await ask(named(name, peer)(), { body: chat({ stream }) });
      assert.equal(decodeURIComponent(headers.get("x-ark-node") ?? ""), name.toWellFormed());
      assert.equal(headers.get("x-ark-route"), route);
      assert.equal(headers.get("x-ark-reason"), "peer: it is the nearest??");
      await body?.cancel();
    }
  }
  const failed = await ask(
    new ScriptedAnswers(async function* ({ choose }) {
      await Promise.resolve();
      choose("attic", "abc");
      yield START;
      throw new ArkError("unavailable", "It broke off");
    }),
    { body: chat() },
  );
  assert.equal(failed.headers.get("x-ark-node"), "attic");
  await failed.body?.cancel();
});

const STATUS: Record<ErrorCode, [number, string, string | null]> = {
  bad_request: [400, "invalid_request_error", null],
  context_exceeded: [400, "invalid_request_error", "context_length_exceeded"],
  unauthenticated: [401, "authentication_error", "unauthenticated"],
  clock: [503, "server_error", "clock"],
  replay: [503, "server_error", "replay"],
  forbidden: [403, "permission_error", "forbidden"],
  model_not_shared: [403, "permission_error", "model_not_shared"],
  revoked: [403, "permission_error", "revoked"],
  too_large: [413, "invalid_request_error", "request_too_large"],
  busy: [429, "rate_limit_error", "rate_limit_exceeded"],
  audit_unavailable: [503, "server_error", "audit_unavailable"],
  model_not_found: [404, "invalid_request_error", "model_not_found"],
  unavailable: [503, "server_error", "unavailable"],
  engine_failed: [500, "server_error", "engine_failed"],
  // The client is still there, so it was the node that gave up.
  cancelled: [503, "server_error", "unavailable"],
  internal: [500, "server_error", "internal"],
};

Deno.test.each(ERROR_CODES.map((code) => [code] as const))(
  "openaiRoutes() gives %s before the first event a status, streamed or whole, and lets clients try again",
  async (code) => {
    for (const stream of [false, true]) {
      const answers = new ScriptedAnswers(failing(new ArkError(code, "It did not work")));
      const response = await ask(answers, { body: chat({ stream }) });
      const { type, code: shown } = await failureOf(response);
      assert.deepEqual([response.status, type, shown], STATUS[code]);
      assert.equal(response.headers.get("x-should-retry"), null);
      assert.equal(response.headers.get("retry-after"), code === "busy" ? "1" : null);
    }
  },
);

Deno.test("openaiRoutes() forbids clients to repeat what has run", async () => {
  const broken = [failing(new ArkError("unavailable", "It broke off"), [START]), failing(undefined, [START])];
  for (const script of broken) {
    const response = await ask(new ScriptedAnswers(script), { body: chat() });
    assert.deepEqual([response.status, response.headers.get("x-should-retry")], [503, "false"]);
    assert.equal((await failureOf(response)).code, "unavailable");
  }
});

Deno.test("openaiRoutes() says when to try again", async () => {
  const busy = new ArkError("busy", "All slots are taken", { retryAfterSeconds: 2.1 });
  const response = await ask(new ScriptedAnswers(failing(busy)), { body: chat() });
  assert.equal(response.headers.get("retry-after"), "3");
  await response.body?.cancel();
});

Deno.test("openaiRoutes() names the field that it refuses", async () => {
  for (
    const [path, body, param, code] of [
      ["/v1/chat/completions", chat({ temperature: 9 }), "temperature", "invalid_value"],
      ["/v1/chat/completions", chat({ best_of: 2 }), "best_of", "unsupported_value"],
      ["/v1/completions", { model: MODEL, prompt: [1], echo: true }, "echo", "unsupported_value"],
      ["/v1/chat/completions", chat({ stream_options: {} }), "stream_options", "invalid_value"],
    ] as const
  ) {
    const response = await ask(NONE, { path, body });
    const error = await failureOf(response);
    assert.deepEqual([response.status, error.type, error.param, error.code], [
      400,
      "invalid_request_error",
      param,
      code,
    ]);
  }
  const missing = await ask(new ScriptedAnswers(failing(new ArkError("model_not_found", "Nobody has it"))), {
    body: chat(),
  });
  assert.equal((await failureOf(missing)).param, "model");
  assert.deepEqual(NONE.asked, []);
});

Deno.test("openaiRoutes() refuses bodies that are not JSON, not declared as JSON, or too long", async () => {
  const status = async (body: string, type = "application/json") => {
    const response = await ask(NONE, { body, headers: { "content-type": type } });
    await failureOf(response);
    return response.status;
  };
  assert.equal(await status("{"), 400);
  assert.equal(await status("[]"), 400);
  assert.equal(await status(JSON.stringify(chat()), "text/plain"), 415);
  assert.equal(await status(`"${"x".repeat(16 << 20)}"`), 413);
  assert.equal(await status(`{"model":"m","messages":${"[".repeat(100_000)}${"]".repeat(100_000)}}`), 400);
  assert.deepEqual(NONE.asked, []);
});

Deno.test("openaiRoutes() lists each model once, with the first node that has it", async () => {
  const answers = new ScriptedAnswers(telling(), [
    { id: "a:1", owner: "kitchen", local: true },
    { id: "b:1", owner: "kitchen", local: true },
    { id: "a:1", owner: "attic", local: false },
    { id: "c:1", owner: "attic", local: false },
  ]);
  const [first, second] = await Promise.all(
    [1, 2].map(async () => (await ask(answers, { path: "/v1/models" })).json()),
  );
  const { created } = first.data[0];
  assert.ok(Number.isSafeInteger(created) && created > 0);
  const entry = (id: string, owned_by: string) => ({ id, object: "model", created, owned_by });
  assert.deepEqual(valid(first, SCHEMAS.modelList), {
    object: "list",
    data: [entry("a:1", "kitchen"), entry("b:1", "kitchen"), entry("c:1", "attic")],
  });
  assert.deepEqual(second, first);
});

Deno.test("openaiRoutes() finds one model whose id has slashes and colons, encoded or not", async () => {
  const ids = ["hf.co/Org/Model-GGUF:Q4_K_M", "plain", "50%:x", "ünï:1", "v1/models/odd"];
  const answers = new ScriptedAnswers(telling(), ids.map((id) => ({ id, owner: "attic", local: false })));
  for (const id of ids) {
    for (const path of [id, encodeURI(id), encodeURIComponent(id)]) {
      const response = await ask(answers, { path: `/v1/models/${path}?x=1` });
      assert.equal(response.status, 200, path);
      assert.equal(valid(await response.json(), SCHEMAS.model).id, id);
    }
  }
  for (const path of ["plai", "plain/", "", "%ff", "__proto__"]) {
    const response = await ask(answers, { path: `/v1/models/${path}` });
    assert.equal(response.status, 404, path);
    assert.equal((await failureOf(response)).code, "model_not_found");
  }
});

Deno.test("openaiRoutes() answers HEAD as GET without a body", async () => {
  const answers = new ScriptedAnswers(telling(), [{ id: "a:1", owner: "kitchen", local: true }]);
  for (const [path, status] of [["/v1/models", 200], ["/v1/models/a:1", 200], ["/v1/models/b:1", 404]] as const) {
    const response = await ask(answers, { path, method: "HEAD" });
    assert.deepEqual([response.status, await response.text()], [status, ""]);
    assert.ok(response.headers.has("x-request-id"));
  }
});

Deno.test("openaiRoutes() refuses a wrong method with the right ones, and an unknown path", async () => {
  for (
    const [path, method, allow] of [
      ["/v1/chat/completions", "GET", "POST"],
      ["/v1/completions", "PUT", "POST"],
      ["/v1/embeddings", "GET", "POST"],
      ["/v1/rerank", "DELETE", "POST"],
      ["/v1/models", "POST", "GET, HEAD"],
      ["/v1/models/a:1", "DELETE", "GET, HEAD"],
    ] as const
  ) {
    const response = await ask(NONE, { path, method });
    assert.deepEqual([response.status, response.headers.get("allow")], [405, allow]);
    assert.equal((await failureOf(response)).code, "method_not_allowed");
  }
  for (const path of ["/v1/images/generations", "/v1", "/v1/", "/v1/chat/completions/x"]) {
    const response = await ask(NONE, { path, method: "POST" });
    assert.equal(response.status, 404, path);
    assert.equal((await failureOf(response)).code, "unknown_url");
  }
});

Deno.test("openaiRoutes() counts answers and logs their ids, and never what a fault said", async () => {
  const lines: string[] = [];
  const note = (message: string, fields?: object) => void lines.push(JSON.stringify({ message, ...fields }));
  const counted: (string | undefined)[] = [];
  const options = {
    logger: { debug: note, error: note },
    requests: { add: (_n?: number, labels?: { status: string }) => void counted.push(labels?.status) },
  };
  const fault = new Error("canary-fault");
  const ids: (string | null)[] = [];
  for (const script of [telling("canary-answer"), failing(fault)]) {
    const response = await ask(new ScriptedAnswers(script), { body: chat({ user: "canary-user" }), options });
    ids.push(response.headers.get("x-request-id"));
    await response.body?.cancel();
  }
  const late = await ask(new ScriptedAnswers(failing(fault, [START])), { body: chat({ stream: true }), options });
  assert.doesNotMatch(await late.text(), /canary/);
  ids.push(late.headers.get("x-request-id"));
  const unknown = await ask(NONE, { path: "/v1/canary-path", options });
  await unknown.body?.cancel();
  assert.deepEqual(counted, ["200", "500", "200", "404"]);
  for (const id of ids) assert.ok(lines.some((line) => line.includes(String(id))));
  assert.equal(lines.filter((line) => line.includes("met a fault")).length, 2);
  assert.doesNotMatch(lines.join(), /canary/);
});

Deno.test("openaiRoutes() streams a completion without a role", async () => {
  const response = await ask(new ScriptedAnswers(telling("a", "", "b")), {
    path: "/v1/completions",
    body: { model: MODEL, prompt: ["Once"], stream: true },
  });
  const texts = (await eventsOf(response)).slice(0, -1).map((data) => JSON.parse(data).choices[0].text);
  assert.deepEqual(texts, ["a", "b", ""]);
});
