/** JSON schemas of everything that Ollama's API answers; nothing beside what they name may be in an answer. */
import { Ajv2020, type ValidateFunction } from "ajv/dist/2020.js";
import assert from "node:assert/strict";

type Schema = Record<string, unknown>;

function object(required: Record<string, Schema>, optional: Record<string, Schema> = {}): Schema {
  return {
    type: "object",
    properties: { ...required, ...optional },
    required: Object.keys(required),
    additionalProperties: false,
  };
}

const TEXT = { type: "string" };
const NAME = { type: "string", minLength: 1 };
const COUNT = { type: "integer", minimum: 0 };
const NANOSECONDS = { type: "integer", minimum: 1 };
const TIME = { type: "string", pattern: "^\\d{4}-\\d{2}-\\d{2}T\\d{2}:\\d{2}:\\d{2}(\\.\\d+)?Z$" };
const DIGEST = { type: "string", pattern: "^[0-9a-f]{64}$" };
const TEXTS = { type: "array", items: NAME, uniqueItems: true };
const VECTOR = { type: "array", items: { type: "number" } };

const CHANCE = {
  token: TEXT,
  logprob: { type: "number", maximum: 0 },
  bytes: { type: "array", items: { type: "integer", minimum: 0, maximum: 255 } },
};
const LOGPROBS = {
  type: "array",
  minItems: 1,
  items: object(CHANCE, { top_logprobs: { type: "array", minItems: 1, maxItems: 20, items: object(CHANCE) } }),
};
const CALLS = {
  type: "array",
  minItems: 1,
  items: object({ id: NAME, function: object({ index: COUNT, name: NAME, arguments: { type: "object" } }) }),
};
const DETAILS = object({
  parent_model: TEXT,
  format: { const: "gguf" },
  family: TEXT,
  families: TEXTS,
  parameter_size: TEXT,
  quantization_level: TEXT,
});
const HEAD = { model: NAME, created_at: TIME };
const MESSAGE = object({ role: { const: "assistant" }, content: TEXT }, { thinking: NAME, tool_calls: CALLS });
const METRICS = {
  total_duration: NANOSECONDS,
  load_duration: NANOSECONDS,
  prompt_eval_count: COUNT,
  prompt_eval_duration: NANOSECONDS,
  eval_count: COUNT,
  eval_duration: NANOSECONDS,
};
const DONE = { done: { const: true }, done_reason: { enum: ["stop", "length"] } };
const IDLE = { done: { const: true }, done_reason: { enum: ["load", "unload"] } };
const PART = { done: { const: false } };
const CONTEXT = { type: "array", items: COUNT, minItems: 2 };
const SAID = { thinking: NAME, tool_calls: CALLS, logprobs: LOGPROBS };

const SCHEMAS: Record<string, Schema> = {
  chatPart: object({ ...HEAD, message: MESSAGE, ...PART }, { logprobs: LOGPROBS }),
  chatDone: object({ ...HEAD, message: MESSAGE, ...DONE, ...METRICS }, { logprobs: LOGPROBS }),
  chatIdle: object({ ...HEAD, message: MESSAGE, ...IDLE }),
  generatePart: object({ ...HEAD, response: TEXT, ...PART }, SAID),
  generateDone: object({ ...HEAD, response: TEXT, ...DONE, ...METRICS }, { ...SAID, context: CONTEXT }),
  generateIdle: object({ ...HEAD, response: TEXT, ...IDLE }),
  error: object({ error: NAME }),
  embed: object({
    model: NAME,
    embeddings: { type: "array", items: VECTOR },
    total_duration: NANOSECONDS,
    load_duration: NANOSECONDS,
    prompt_eval_count: COUNT,
  }),
  embeddings: object({ embedding: VECTOR }),
  tags: object({
    models: {
      type: "array",
      items: object({
        name: NAME,
        model: NAME,
        modified_at: TIME,
        size: COUNT,
        digest: DIGEST,
        details: DETAILS,
        capabilities: TEXTS,
      }),
    },
  }),
  ps: object({
    models: {
      type: "array",
      items: object({
        name: NAME,
        model: NAME,
        size: COUNT,
        digest: DIGEST,
        details: DETAILS,
        expires_at: TIME,
        size_vram: COUNT,
        context_length: COUNT,
      }),
    },
  }),
  show: object({
    modelfile: NAME,
    parameters: TEXT,
    template: TEXT,
    details: DETAILS,
    model_info: { type: "object", required: ["general.architecture"] },
    capabilities: TEXTS,
    modified_at: TIME,
  }, { license: NAME, system: NAME }),
  version: object({ version: { type: "string", pattern: "^\\d+\\.\\d+\\.\\d+$" } }),
  progress: object({ status: NAME }, { digest: NAME, total: COUNT, completed: COUNT }),
};

const ajv = new Ajv2020({ allErrors: true });
const VALIDATE = new Map<string, ValidateFunction>(
  Object.entries(SCHEMAS).map(([name, schema]) => [name, ajv.compile(schema)]),
);

/** Checks that a value is what the API may answer, and nothing more. */
export function assertShape(name: string, value: unknown): void {
  const validate = VALIDATE.get(name) ?? assert.fail(`There is no schema ${name}`);
  assert.ok(validate(value), `${name}: ${ajv.errorsText(validate.errors)} in ${JSON.stringify(value).slice(0, 500)}`);
}

/** Checks the lines of an answer: parts, then the one that is done. */
export function assertAnswerLines(kind: "chat" | "generate", lines: readonly unknown[]): void {
  for (const line of lines.slice(0, -1)) assertShape(`${kind}Part`, line);
  assertShape(`${kind}Done`, lines.at(-1));
}
