import assert from "node:assert/strict";
import type { Backend, InferOptions } from "@ark/node/inference";
import type { LocalModel } from "@ark/node/models";
import { ArkError, ERROR_CODES, type ErrorCode, type InferenceEvent, type InferenceRequest } from "@ark/node/protocol";
import { type LocalEngine, type Route, type RouteOptions, Router } from "@ark/node/routing";
import { Logger } from "@ark/node/telemetry";
import { asking, backendContract, question } from "../inference/backend_contract.ts";
import { answerEvents, DIGEST, read, ScriptedPeer, tableOf } from "./scripted_peer.ts";

/** A backend that yields events and then throws, or ends. */
interface Script {
  events?: (request: InferenceRequest) => InferenceEvent[];
  error?: unknown;
}

class ScriptedBackend implements Backend {
  readonly name: string;
  readonly models: readonly string[];
  readonly requests: InferenceRequest[] = [];
  readonly options: InferOptions[] = [];
  /** How many readers left, or read to the end. */
  over = 0;
  script: Script = {};
  loadedIds: string[] = [];

  constructor(name: string, models: readonly string[] = ["tiny:1b"]) {
    this.name = name;
    this.models = models;
  }

  handles(model: string): boolean {
    return this.models.includes(model);
  }

  loaded(): { id: string }[] {
    return this.loadedIds.map((id) => ({ id }));
  }

  async *infer(request: InferenceRequest, options: InferOptions): AsyncGenerator<InferenceEvent> {
    this.requests.push(request);
    this.options.push(options);
    const { events = ({ model, parameters }) => answerEvents(model, { words: parameters.max_tokens ?? 3 }), error } =
      this.script;
    try {
      if (options.signal.aborted) throw new ArkError("cancelled", "The request was cancelled");
      if (!this.handles(request.model)) throw new ArkError("model_not_found", `There is no model ${request.model}`);
      for (const event of events(request)) {
        yield event;
        if (options.signal.aborted) throw new ArkError("cancelled", "The request was cancelled");
      }
      if (error !== undefined) throw error;
    } finally {
      this.over++;
    }
  }
}

function model(id: string): LocalModel {
  const [name = id] = id.split(":");
  return {
    id,
    name,
    path: `/models/${name}.gguf`,
    size: 11,
    mtimeMs: 0,
    modifiedAt: 1_700_000_000_000,
    files: [`/models/${name}.gguf`],
    source: "folder",
    family: "llama",
    capabilities: ["chat", "completion"],
    template: null,
    system: null,
    defaults: {},
    aliases: [],
    architecture: "llama",
    contextLength: 128,
    blockCount: 1,
    parameterCount: 1,
    parameters: "2b",
    quantization: null,
    digest: null,
  };
}

function engineOf(backend: ScriptedBackend): LocalEngine {
  const models = backend.models.map(model);
  return { backend, catalogue: { list: () => models, find: (ref) => models.find(({ id }) => id === ref) } };
}

interface Scene {
  router: Router;
  /** This node, then the peers in their order. */
  backends: ScriptedBackend[];
  peers: ScriptedPeer[];
  log: string[];
  routes: Route[];
  infer(options?: Partial<RouteOptions>): AsyncGenerator<InferenceEvent>;
}

/** A router over this node, which has `here`, and peers which have what is said. */
async function open({ here, there = [] }: { here?: string[]; there?: string[][] }): Promise<Scene> {
  const peers = there.map((models, index) => new ScriptedPeer(`peer${index}`, models));
  const own = new ScriptedBackend("engine", here ?? []);
  const remotes = peers.map(({ peer, offer }) => new ScriptedBackend(peer.name, offer.models.map(({ id }) => id)));
  const log: string[] = [];
  const router = new Router({
    name: "attic",
    local: here === undefined ? null : engineOf(own),
    table: await tableOf(peers),
    remote: (id) => remotes[peers.findIndex((peer) => peer.id === id)] ?? null,
    logger: new Logger({ write: (line) => log.push(line) }),
  });
  const routes: Route[] = [];
  const request = question("tiny:1b", "Hello there", { max_tokens: 3 });
  return {
    router,
    backends: [own, ...remotes],
    peers,
    log,
    routes,
    infer: (options = {}) => router.infer(request, { ...asking(options), chosen: (route) => routes.push(route) }),
  };
}

const ANSWER = answerEvents("tiny:1b");
const START = ANSWER.slice(0, 1);

backendContract("of a router, own model", async () => {
  const { router } = await open({ here: ["tiny:1b"] });
  return { backend: router, model: "tiny:1b", [Symbol.asyncDispose]: () => Promise.resolve() };
});

backendContract("of a router, a peer's model", async () => {
  const { router } = await open({ here: [], there: [["tiny:1b"]] });
  return { backend: router, model: "tiny:1b", [Symbol.asyncDispose]: () => Promise.resolve() };
});

Deno.test("Router.infer() asks this node first, whoever else has the model", async () => {
  const { infer, backends, routes } = await open({ here: ["tiny:1b"], there: [["tiny:1b"]] });
  assert.deepEqual(await read(infer({ principal: "owner" })), { events: ANSWER, error: null });
  const reason = "local: best of 2, not measured yet, to be loaded, next 0.3 s";
  assert.deepEqual(routes, [{ name: "attic", peer: null, attempt: 0, reason }]);
  assert.deepEqual(backends.map(({ requests }) => requests.length), [1, 0]);
  const [options] = backends[0]?.options ?? [];
  assert.deepEqual(Object.keys(options ?? {}).sort(), ["principal", "priority", "signal"]);
});

Deno.test("Router.infer() asks a peer for what is not here, and a node without an engine asks peers only", async () => {
  for (const here of [["other:1b"], undefined]) {
    const { infer, routes, peers } = await open({ ...(here ? { here } : {}), there: [["tiny:1b"]] });
    assert.deepEqual(await read(infer()), { events: ANSWER, error: null });
    const reason = "peer: only this one within reach has the model, not measured yet";
    assert.deepEqual(routes, [{ name: "peer0", peer: peers[0]?.id, attempt: 0, reason }]);
  }
});

Deno.test("Router.infer() asks one of the fastest where very many have the model", async () => {
  const { peer, offer } = new ScriptedPeer("many", ["tiny:1b"]);
  const [model = assert.fail()] = offer.models;
  const views = Array.from({ length: 1_000 }, (_, index) => ({
    view: {
      peer: { ...peer, node_id: `node${index}`, name: `peer${index}` },
      state: "ready" as const,
      reason: null,
      since: null,
      address: null,
      roundTripMs: 1 + index,
      offer,
      live: false,
      slots: 1,
      freeSlots: 1,
      queued: 0,
      inFlight: 0,
    },
    model,
  }));
  const table = { list: () => views.map(({ view }) => view), offering: () => views };
  const asked = new Set<string>();
  const router = new Router({
    name: "attic",
    local: null,
    table,
    remote: () => new ScriptedBackend("peer", ["tiny:1b"]),
    logger: new Logger({ write: () => {} }),
  });
  for (let turn = 0; turn < 40; turn++) {
    const chosen = ({ name }: Route) => void asked.add(name);
    // The distance counts where the answer is short.
    const short = { ...question("tiny:1b", "Hello"), parameters: { max_tokens: 1 } };
    assert.equal((await read(router.infer(short, { ...asking(), chosen }))).error, null);
  }
  assert.ok(asked.size > 3 && [...asked].every((name) => Number(name.slice(4)) < 200), [...asked].join());
});

Deno.test("Router.infer() goes on with a conversation where its beginning was read, and only for the same principal", async () => {
  const { router, routes } = await open({ there: [["tiny:1b"], ["tiny:1b"], ["tiny:1b"], ["tiny:1b"]] });
  const long = "The quick brown fox jumps over the lazy dog. ".repeat(40);
  const ask = async (text: string, principal: string) => {
    const options = { ...asking({ principal }), chosen: (route: Route) => void routes.push(route) };
    assert.equal((await read(router.infer(question("tiny:1b", text), options))).error, null);
    return routes.at(-1);
  };
  const first = await ask(`${long} And then?`, "owner");
  for (let turn = 0; turn < 8; turn++) {
    const next = await ask(`${long} And then? ${"More. ".repeat(turn)}`, "owner");
    assert.equal(next?.name, first?.name);
    assert.match(next?.reason ?? "", /[1-9]\d* tokens cached$|[1-9]\d* tokens cached, next/);
  }
  assert.doesNotMatch((await ask(`${long} And then?`, "key 1"))?.reason ?? "", /cached/);
});

Deno.test("Router.infer() tries the next candidate when one fails before its first event", async () => {
  const { infer, backends, routes, peers, log } = await open({ here: ["tiny:1b"], there: [["tiny:1b"]] });
  for (const backend of backends.slice(0, 1)) {
    backend.script = { events: () => [], error: new ArkError("engine_failed", "The worker crashed") };
  }
  assert.deepEqual(await read(infer()), { events: ANSWER, error: null });
  const reason = "peer: 1 before it could not answer, not measured yet";
  assert.deepEqual(routes, [{ name: "peer0", peer: peers[0]?.id, attempt: 1, reason }]);
  assert.equal(log.length, 1);
  assert.match(log[0] ?? "", /model=tiny:1b code=engine_failed reason="The worker crashed"/);
});

Deno.test("Router.infer() tries the next candidate after a start without text, and shows one start: the answerer's", async () => {
  const { infer, backends, routes } = await open({ there: [["tiny:1b"], ["tiny:1b"]] });
  const error = new ArkError("unavailable", "It broke off");
  const first = backends.slice(1).find(({ name }) => name === "peer0") ?? assert.fail();
  first.script = { events: () => answerEvents("wrong:1b").slice(0, 1), error };
  const { events } = await read(infer());
  const answered = events.filter(({ type }) => type === "start");
  assert.deepEqual([events, answered.length], [ANSWER, 1]);
  const all = routes.map(({ name, attempt }) => `${name} ${attempt}`);
  assert.ok(all.join() === "peer0 0,peer1 1" || all.join() === "peer1 0", all.join());
});

Deno.test("Router.infer() tells who answers once for each candidate that begins, before any of its events", async () => {
  const { router, backends } = await open({ here: ["tiny:1b"], there: [["tiny:1b"]] });
  const own = backends[0] ?? assert.fail();
  own.script = { events: () => START, error: new ArkError("engine_failed", "The worker crashed") };
  const told: string[] = [];
  const request = question("tiny:1b", "Hello", { max_tokens: 3 });
  const chosen = ({ name, attempt }: Route) => told.push(`${name} ${attempt}`);
  for await (const { type } of router.infer(request, { ...asking(), chosen })) told.push(type);
  assert.deepEqual(told, ["attic 0", "peer0 1", "start", "text", "text", "text", "end"]);
});

Deno.test("Router.infer() passes start on with an answer that has no text", async () => {
  const { infer, backends } = await open({ here: ["tiny:1b"] });
  const empty = answerEvents("tiny:1b", { words: 0 });
  if (backends[0]) backends[0].script = { events: () => empty };
  assert.deepEqual(await read(infer()), { events: empty, error: null });
});

Deno.test("Router.infer() tries nobody else once a text was shown", async () => {
  const { infer, backends } = await open({ here: ["tiny:1b"], there: [["tiny:1b"]] });
  const error = new ArkError("engine_failed", "The worker crashed");
  if (backends[0]) backends[0].script = { events: () => ANSWER.slice(0, 2), error };
  assert.deepEqual(await read(infer()), { events: ANSWER.slice(0, 2), error });
  assert.deepEqual(backends.map(({ requests }) => requests.length), [1, 0]);
});

Deno.test("Router.infer() does not hold an error back until there is text", async () => {
  const { infer, backends } = await open({ here: ["tiny:1b"] });
  const error = new ArkError("context_exceeded", "The prompt is too long");
  if (backends[0]) backends[0].script = { events: () => START, error };
  assert.deepEqual(await read(infer()), { events: [], error });
});

Deno.test("Router.infer() takes an answer that stops without an end for a failure", async () => {
  const { infer, backends } = await open({ here: ["tiny:1b"], there: [["tiny:1b"]] });
  const own = backends[0] ?? assert.fail();
  own.script = { events: () => START };
  assert.equal((await read(infer())).error, null);
  own.script = { events: () => ANSWER.slice(0, 2) };
  const { events, error } = await read(infer());
  assert.deepEqual([events.length, error?.code], [2, "unavailable"]);
});

const QUESTION_IS_WRONG: readonly ErrorCode[] = ["bad_request", "context_exceeded", "too_large", "cancelled"];
const BETWEEN_NODES: readonly ErrorCode[] = [
  "forbidden",
  "model_not_shared",
  "revoked",
  "unauthenticated",
  "clock",
  "replay",
];

for (const code of ERROR_CODES) {
  Deno.test(`Router.infer() ${QUESTION_IS_WRONG.includes(code) ? "gives up" : "goes on"} after ${code}`, async () => {
    const { infer, backends, log } = await open({ there: [["tiny:1b"], ["tiny:1b"]] });
    for (const backend of backends.slice(1)) {
      backend.script = { events: () => [], error: new ArkError(code, "Its words") };
    }
    const { events, error } = await read(infer());
    const asked = backends.filter(({ requests }) => requests.length > 0).length;
    assert.deepEqual([events, asked], [[], QUESTION_IS_WRONG.includes(code) ? 1 : 2]);
    assert.equal(error?.message, "Its words");
    // A client that reads 401 or 403 would look for a fault in its own key.
    assert.equal(error?.code, BETWEEN_NODES.includes(code) ? "unavailable" : code);
    assert.ok(log.every((line) => !line.includes("Its words")), "A peer's words could repeat the prompt");
  });
}

Deno.test("Router.infer() makes an ArkError of whatever a backend throws", async () => {
  const { infer, backends } = await open({ here: ["tiny:1b"] });
  if (backends[0]) backends[0].script = { events: () => [], error: new TypeError("undefined is not a function") };
  const { error } = await read(infer());
  assert.deepEqual([error?.code, error?.message.includes("undefined")], ["internal", false]);
});

Deno.test("Router.infer() keeps the time to wait that the last candidate named", async () => {
  const { infer, backends } = await open({ there: [["tiny:1b"]] });
  const error = new ArkError("busy", "Later", { retryAfterSeconds: 9 });
  if (backends[1]) backends[1].script = { events: () => [], error };
  assert.equal((await read(infer())).error?.retryAfterSeconds, 9);
});

Deno.test("Router.infer() ends with cancelled when its signal fires, and tries nobody else", async () => {
  for (const at of [null, "text"]) {
    const { infer, backends } = await open({ here: ["tiny:1b"], there: [["tiny:1b"]] });
    const controller = new AbortController();
    if (at === null) controller.abort();
    const events: InferenceEvent[] = [];
    await assert.rejects(async () => {
      for await (const event of infer({ signal: controller.signal })) {
        events.push(event);
        if (event.type === at) controller.abort();
      }
    }, { name: "ArkError", code: "cancelled" });
    assert.equal(events.length, at === null ? 0 : 2);
    assert.equal(backends[1]?.requests.length, 0);
  }
});

Deno.test("Router.infer() tries nobody else when its signal fires while a candidate fails", async () => {
  const { infer, backends } = await open({ here: ["tiny:1b"], there: [["tiny:1b"]] });
  const controller = new AbortController();
  const events = () => {
    controller.abort();
    return START;
  };
  if (backends[0]) backends[0].script = { events, error: new ArkError("unavailable", "It broke off") };
  assert.equal((await read(infer({ signal: controller.signal }))).error?.code, "cancelled");
  assert.equal(backends[1]?.requests.length, 0);
});

Deno.test("Router.infer() lets go of a backend whose reader leaves", async () => {
  const { infer, backends } = await open({ here: ["tiny:1b"] });
  for await (const event of infer()) if (event.type === "text") break;
  for await (const event of infer()) if (event.type === "end") break;
  assert.equal(backends[0]?.over, 2);
});

Deno.test("Router.models() lists this node's models first, then those of ready peers, with all that is known", async () => {
  const { router, backends, peers } = await open({ here: ["tiny:1b", "own:2b"], there: [["tiny:1b"], ["far:9b"]] });
  if (backends[0]) backends[0].loadedIds = ["own:2b"];
  const own = {
    owner: "attic",
    peer: null,
    local: true,
    digest: null,
    size: 11,
    context_length: 128,
    parameters: "2b",
    quantization: null,
    capabilities: ["chat", "completion"],
    family: "llama",
    modified_at: "2023-11-14T22:13:20.000Z",
    source: "folder",
    aliases: [],
  };
  const theirs = {
    local: false,
    loaded: true,
    digest: DIGEST,
    size: 7,
    context_length: 64,
    parameters: "1b",
    quantization: "q4_0",
  };
  assert.deepEqual(router.models(), [
    { ...own, id: "tiny:1b", loaded: false },
    { ...own, id: "own:2b", loaded: true },
    { ...theirs, id: "tiny:1b", owner: "peer0", peer: peers[0]?.id },
    { ...theirs, id: "far:9b", owner: "peer1", peer: peers[1]?.id },
  ]);
  assert.deepEqual(router.available(), ["tiny:1b", "own:2b", "far:9b"]);
  assert.ok(router.handles("far:9b") && router.handles("own:2b") && !router.handles("gone:1b"));
});

Deno.test("Router leaves out peers that are not ready", async () => {
  const { router, peers } = await open({ there: [["tiny:1b"]] });
  assert.equal(router.models().length, 1);
  const [peer] = peers;
  assert.ok(peer);
  const table = await tableOf([peer]);
  table.failed(peer.id, "It broke off");
  const logger = new Logger({ write: () => {} });
  const lonely = new Router({ name: "attic", local: null, table, remote: () => assert.fail(), logger });
  assert.deepEqual([lonely.models(), lonely.available(), lonely.handles("tiny:1b")], [[], [], false]);
});

Deno.test("Router.infer() names what is available when nobody has the model", async () => {
  const ask = async (scene: Scene) => (await read(scene.router.infer(question("gone:1b", "Hi"), asking()))).error;
  const some = await ask(await open({ here: ["tiny:1b"], there: [["tiny:1b", "far:9b"]] }));
  assert.equal(some?.code, "model_not_found");
  assert.equal(
    some.message,
    "The model 'gone:1b' is neither here nor at an approved peer within reach; available: tiny:1b, far:9b",
  );
  const many = await ask(await open({ there: [Array.from({ length: 14 }, (_, index) => `m${index}:1b`)] }));
  assert.match(many?.message ?? "", /available: m0:1b, .*m11:1b and 2 more$/);
  const none = await ask(await open({}));
  assert.match(
    none?.message ?? "",
    /; no model is available: put a GGUF file into a folder of --models, or approve a peer/,
  );
});

Deno.test("Router.infer() passes over a peer that was revoked since it offered the model", async () => {
  const peer = new ScriptedPeer();
  const logger = new Logger({ write: () => {} });
  const router = new Router({ name: "attic", local: null, table: await tableOf([peer]), remote: () => null, logger });
  const { error } = await read(router.infer(question("tiny:1b", "Hi"), asking()));
  assert.equal(error?.code, "model_not_found");
});

Deno.test("T65: Router.infer() asks no peer for a request that must stay here, whoever has the model", async () => {
  const failure = async (scene: Scene) => (await read(scene.infer({ localOnly: true }))).error as ArkError;
  const both = await open({ here: ["tiny:1b"], there: [["tiny:1b"]] });
  const [engine] = both.backends;
  assert.ok(engine);
  engine.script = { events: () => [], error: new ArkError("unavailable", "The engine is gone") };
  assert.equal((await failure(both)).message, "The engine is gone");
  const far = await open({ here: [], there: [["tiny:1b"]] });
  const { code, message } = await failure(far);
  assert.equal(code, "unavailable");
  assert.match(message, /^The model 'tiny:1b' is not on this machine, and this request must not leave it/);
  for (const { backends } of [both, far]) assert.deepEqual(backends[1]?.requests, []);
  assert.equal((await read(far.infer({ localOnly: false }))).error, null);
  assert.equal(far.backends[1]?.requests.length, 1);
});

Deno.test("Router.infer() lets only models answer that the sender may use, by their whole id", async () => {
  const scene = await open({ here: ["tiny:1b"], there: [["tiny:1b"]] });
  const asked: string[] = [];
  const permits = (id: string) => (asked.push(id), false);
  const refused = (await read(scene.infer({ permits }))).error as ArkError;
  assert.equal(refused.code, "model_not_shared");
  assert.match(refused.message, /^This API key may not use the model 'tiny:1b'/);
  assert.deepEqual(asked, ["tiny:1b", "tiny:1b"]);
  for (const { requests } of scene.backends) assert.deepEqual(requests, []);
  const none = await open({ here: ["other:1b"] });
  const { code, message } = (await read(none.infer({ permits: () => false }))).error as ArkError;
  assert.equal(code, "model_not_found");
  assert.ok(!message.includes("other:1b"), "What the sender may not use is not named either");
});
