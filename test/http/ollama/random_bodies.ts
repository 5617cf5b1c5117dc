/** Requests to Ollama's API that are made at random, right and wrong ones, and what their answers must be. */
import assert from "node:assert/strict";
import type { Random } from "../../fuzz/random.ts";
import {
  type Answered,
  anything,
  type BodyFields,
  bodyOf,
  type FieldValue,
  FLAG,
  listOf,
  number,
  oneOf,
  posted,
  type RandomFamily,
  type RandomRequest,
  WHOLE,
} from "../../mesh/random_requests/random_request.ts";
import { assertAnswerLines, assertShape } from "./schemas.ts";

/** The one model that the node has, by some of its names, and models that it has not. */
const MODEL: FieldValue = (random) =>
  random.once(30)
    ? random.pick(["nobody-has-it", "", "a/b:c", 5, "\n"])
    : random.pick(["arkling:9m-q4_0", "arkling", "arkling:latest", "Arkling"]);

/** What a prompt says; the engine of the node does what some of it tells. */
const TEXT: FieldValue = (random) => {
  if (random.once(400)) return random.pick(["#crash-after=1", "#garbage"]);
  return random.pick([
    "one two three",
    "Grüße 😀",
    "#call=weather #call=time",
    "#think",
    "#stop=2",
    "",
    "#fail-after=1",
    "\u2028\ud800",
    "x ".repeat(1_100),
  ]);
};

const SCHEMA: FieldValue = (random) =>
  random.once(10) ? anything(random) : {
    type: "object",
    properties: { a: { type: random.pick(["string", "integer", "array", "boolean"]) } },
    required: random.pick([[], ["a"]]),
  };

const TOOL: FieldValue = (random) => ({
  type: "function",
  function: { name: random.pick(["weather", "time", "a b", "x.y-z_1"]), parameters: SCHEMA(random) },
});

const CALL: FieldValue = (random) => ({
  function: { name: "weather", arguments: random.pick([{}, { a: "b" }, '{"a":1}', [], 5]) },
});

const MESSAGE: FieldValue = (random) => {
  if (random.once(60)) return anything(random);
  const content = TEXT(random);
  switch (random.below(8)) {
    case 0:
      return { role: "assistant", content, thinking: "hm", tool_calls: listOf(CALL, 2)(random) };
    case 1:
      return { role: "tool", content, tool_name: random.pick(["weather", "time", ""]) };
    case 2:
      return { role: random.pick(["system", "developer"]), content };
    case 3:
      return { role: "user", content, images: random.pick([[], ["aGk="]]) };
    default:
      return { role: "user", content };
  }
};

const OPTIONS: BodyFields = {
  needed: { num_predict: number(1, 12, WHOLE) },
  optional: {
    temperature: number(0, 2),
    top_k: number(-1, 100, WHOLE),
    top_p: number(0, 1),
    min_p: number(0, 1),
    typical_p: number(0, 1),
    seed: oneOf(-1, 0, 7, 2 ** 40, 1.5),
    stop: oneOf("w3", ["w1", "w2"], [], [""], Array(17).fill("x")),
    repeat_penalty: number(1, 2),
    repeat_last_n: number(-1, 64, WHOLE),
    presence_penalty: number(-2, 2),
    frequency_penalty: number(-2, 2),
    num_ctx: oneOf(512, 131_072, "8k"),
    num_gpu: oneOf(99),
    mirostat: oneOf(0, 2),
  },
};

const SHARED: Readonly<Record<string, FieldValue>> = {
  options: (random) => bodyOf(random, OPTIONS),
  stream: FLAG,
  keep_alive: oneOf("5m", 300, "1h30m", -1, "-1", "soon"),
  format: (random) => random.once(2) ? "json" : SCHEMA(random),
  think: (random) => random.once(2) ? FLAG(random) : random.pick(["low", "much"]),
  logprobs: FLAG,
  top_logprobs: number(0, 20, WHOLE),
  user: oneOf("someone"),
};

const CHAT: BodyFields = {
  needed: { model: MODEL, messages: listOf(MESSAGE, 4) },
  optional: { ...SHARED, tools: listOf(TOOL, 3) },
};

const GENERATE: BodyFields = {
  needed: { model: MODEL, prompt: TEXT },
  optional: {
    ...SHARED,
    system: oneOf("", "Be brief"),
    raw: FLAG,
    suffix: oneOf("", "return"),
    images: oneOf([], ["aGk="]),
    template: oneOf("", "{{ .Prompt }}"),
    context: oneOf([], [1, 2, 3]),
  },
};

const EMBED: BodyFields = {
  needed: { model: MODEL, input: (random) => random.once(2) ? TEXT(random) : listOf(TEXT, 3)(random) },
  optional: { truncate: FLAG, dimensions: number(0, 9, WHOLE), keep_alive: oneOf("5m"), options: oneOf({}) },
};

const MAKES: readonly ((random: Random) => { path: string; body: unknown })[] = [
  (random) => ({ path: "/api/chat", body: bodyOf(random, CHAT) }),
  (random) => ({ path: "/api/chat", body: bodyOf(random, CHAT) }),
  (random) => ({ path: "/api/generate", body: bodyOf(random, GENERATE) }),
  (random) => ({ path: "/api/generate", body: bodyOf(random, GENERATE) }),
  (random) => ({ path: "/api/embed", body: bodyOf(random, EMBED) }),
  (random) => ({
    path: "/api/embeddings",
    body: bodyOf(random, { needed: { model: MODEL, prompt: TEXT }, optional: {} }),
  }),
  (random) => ({ path: "/api/show", body: bodyOf(random, { needed: { model: MODEL }, optional: { verbose: FLAG } }) }),
  (random) => ({ path: "/api/copy", body: bodyOf(random, { needed: {}, optional: { source: oneOf(5, "") } }) }),
];

/** Statuses of an error that a client, a model or a full node can bring about. */
const STATUSES: readonly number[] = [400, 404, 405, 413, 415, 500, 501, 502, 503];

function make(random: Random): RandomRequest {
  if (random.once(20)) {
    const path = random.pick(["/api/tags", "/api/ps", "/api/version", "/api/nothing", "/", "/api/%00", "/api/blobs/x"]);
    return { method: random.once(10) ? "DELETE" : "GET", path, headers: {}, body: null, leaves: false };
  }
  return posted(random, random.pick(MAKES)(random));
}

function check({ request: { method, path }, status, headers, text }: Answered): void {
  const kind = new URL(path, "http://localhost").pathname.replace(/^\/api\//, "");
  if (status === 200 && kind === "/") return assert.equal(text, "Ollama is running");
  assert.match(headers.get("content-type") ?? "", /^application\/(json|x-ndjson)/, `${method} ${path}: ${status}`);
  const lines = text.trimEnd().split("\n").map((line) => JSON.parse(line));
  if (status !== 200) {
    assert.ok(STATUSES.includes(status), `${method} ${path}: ${status} ${text}`);
    // What is at no path of the API may be answered for everything else on the listener.
    return path.startsWith("/api/") ? assertShape("error", lines[0]) : undefined;
  }
  if (kind !== "chat" && kind !== "generate") return assertShape(kind, lines[0]);
  const last = lines.at(-1);
  if (last.error !== undefined) assertShape("error", last);
  else if (last.done_reason === "load" || last.done_reason === "unload") assertShape(`${kind}Idle`, last);
  else assertAnswerLines(kind, lines);
}

/** Ollama's API. */
export const OLLAMA: RandomFamily = { name: "Ollama", make, check };
