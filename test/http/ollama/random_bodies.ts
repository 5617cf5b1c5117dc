/** Requests to Ollama's API with random bodies, right and wrong ones, the same for the same seed. */
import { Random } from "../../fuzz/random.ts";

/** One request. */
export interface RandomRequest {
  method: string;
  path: string;
  /** JSON, or nearly. */
  body: string;
  /** Whether it is an honest question, which a node that has the model answers with 200. */
  valid: boolean;
}

const TEXTS = ["", "Hello", "one two three", "ä€😀", "\u0000\u2028", "<|im_start|>", "x".repeat(3_000), "__proto__"];
const SCHEMA = { type: "object", properties: { a: { type: "string" }, b: { type: "integer" } }, required: ["a"] };
const TOOL = { type: "function", function: { name: "weather", description: "tells it", parameters: SCHEMA } };
const ODD: readonly unknown[] = [
  null,
  true,
  -1,
  1.5,
  1e308,
  "",
  "text",
  [],
  {},
  [[]],
  [null],
  { __proto__: null },
  "x".repeat(10_000),
  { constructor: { prototype: { polluted: true } } },
  Array.from({ length: 50 }, () => ({ role: "user" })),
];

/** Fields and the values that are right for them. */
const OPTIONS: Readonly<Record<string, readonly unknown[]>> = {
  num_predict: [1, 2, 5],
  temperature: [0, 0.7, 2],
  top_k: [0, -1, 40],
  top_p: [0, 0.9, 1],
  min_p: [0, 0.05],
  typical_p: [1, 0.7],
  seed: [-1, 0, 7, 2 ** 40],
  stop: [["w3"], ["a", "b"], "w2"],
  repeat_penalty: [1, 1.1],
  repeat_last_n: [-1, 0, 64],
  presence_penalty: [0, 1.5],
  frequency_penalty: [-1, 0],
  num_ctx: [512, 131_072],
  num_gpu: [99],
  mirostat: [0],
  made_up: [{ a: 1 }],
};
const SHARED: Readonly<Record<string, readonly unknown[]>> = {
  stream: [true, false, null],
  keep_alive: ["5m", 300, "1h30m", -1, "-1"],
  format: ["json", "", SCHEMA],
  think: [true, false, "low"],
  logprobs: [true, false],
  top_logprobs: [0, 3, 20],
  user: ["me"],
};
const CHAT: Readonly<Record<string, readonly unknown[]>> = {
  ...SHARED,
  tools: [[], [TOOL]],
};
const GENERATE: Readonly<Record<string, readonly unknown[]>> = {
  ...SHARED,
  system: ["", "Be brief"],
  images: [[]],
  template: [""],
  context: [[]],
};
const EMBED: Readonly<Record<string, readonly unknown[]>> = {
  input: ["one", ["one", "two three"], []],
  truncate: [true, false],
  dimensions: [2, 4],
  keep_alive: ["5m"],
};

/** Random requests without an end; `model` is one that can be asked. Nothing of them changes what models there are. */
export function* randomRequests(seed: number, { model }: { model: string }): Generator<RandomRequest> {
  const random = new Random(seed);
  const some = (fields: Readonly<Record<string, readonly unknown[]>>): Record<string, unknown> => {
    const chosen = Object.entries(fields).filter(() => random.once(3));
    return Object.fromEntries(chosen.map(([name, values]) => [name, random.pick(values)]));
  };
  const options = () => ({ options: { num_predict: 3, ...some(OPTIONS) } });
  const message = () => ({ role: random.pick(["system", "user", "assistant"]), content: random.pick(TEXTS.slice(1)) });
  const messages = () => Array.from({ length: 1 + random.below(4) }, message);
  const makes: (() => { path: string; body: Record<string, unknown> })[] = [
    () => ({ path: "/api/chat", body: { model, messages: messages(), ...options(), ...some(CHAT) } }),
    () => ({
      path: "/api/generate",
      body: { model, prompt: random.pick(TEXTS.slice(1)), ...options(), ...some(GENERATE) },
    }),
    () => ({ path: "/api/embed", body: { model, input: "one two", ...some(EMBED) } }),
    () => ({ path: "/api/embeddings", body: { model, prompt: random.pick(TEXTS) } }),
    () => ({ path: "/api/show", body: { model, ...some({ verbose: [true, false] }) } }),
  ];
  for (;;) {
    const { path, body } = random.pick(makes)();
    const valid = random.once(2);
    if (!valid) spoil(body, random);
    const text = JSON.stringify(body);
    yield { method: "POST", path, body: valid || !random.once(8) ? text : broken(text, random), valid };
  }
}

/** Puts something odd into a body, at any depth. */
function spoil(body: Record<string, unknown>, random: Random): void {
  let at = body;
  for (let depth = 0; depth < 3; depth++) {
    const key = random.pick(Object.keys(at));
    const inner = at[key];
    if (typeof inner !== "object" || inner === null || Object.keys(inner).length === 0 || random.once(2)) {
      if (random.once(4)) delete at[key];
      else {at[random.once(6) ? random.pick(["messages", "options", "tools", "images", "model", "raw"]) : key] = random
          .pick(ODD);}
      return;
    }
    at = structuredClone(inner) as Record<string, unknown>;
    Object.assign(body, depth === 0 ? { [key]: at } : {});
  }
}

/** A text that is cut, or has a character too many. */
function broken(text: string, random: Random): string {
  const at = random.below(text.length);
  return random.once(2)
    ? text.slice(0, at)
    : `${text.slice(0, at)}${random.pick(['"', "}", "\\", "\u0000"])}${text.slice(at)}`;
}
