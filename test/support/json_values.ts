/**
 * Sends JSON values through everything that reads requests, with the prototypes frozen, and prints what came of it as one
 * line of JSON. Arguments: how many, and a number from which they follow.
 */
import { decodeApproval } from "@ark/node/peers";
import { ArkError, decodeInferenceEvent, decodeInferenceRequest, decodeOffer } from "@ark/node/protocol";
import { completionQuestion } from "../../src/http/openai/completion_question.ts";
import { embeddingQuestion } from "../../src/http/openai/embeddings.ts";
import { chatQuestion } from "../../src/http/openai/question.ts";
import { rerankQuestion } from "../../src/http/openai/rerank.ts";
import { readJson } from "../../src/http/api/request_json.ts";
import { decodeWorkerMessage } from "../../src/inference/worker/messages.ts";

const [count = 0, seed = 0] = Deno.args.map(Number);

const KEYS = [
  ..."__proto__ constructor prototype toString valueOf hasOwnProperty __defineGetter__ then toJSON length".split(" "),
  ..."model messages role content input kind prompt parameters max_tokens temperature top_p stop seed stream".split(
    " ",
  ),
  ..."tools n stream_options type text tokens models id node_id public_key permissions models_shared usage".split(" "),
  ..."function functions tool_calls tool_choice tool_call_id function_call response_format json_schema schema".split(
    " ",
  ),
  ..."logit_bias logprobs chat_template_kwargs dimensions query documents texts top_n lora echo suffix best_of".split(
    " ",
  ),
];
const TEXTS = [
  '""',
  '"user"',
  '"chat"',
  '"completion"',
  '"text"',
  '"end"',
  '"m"',
  '"\\ud800"',
  '"\\u0000"',
  '"__proto__"',
  '"\u202e"',
  `"${"x".repeat(300)}"`,
];
const NUMBERS = [
  "0",
  "-0",
  "1",
  "-1",
  "1e400",
  "-1e400",
  "1.5",
  "1e-400",
  "9007199254740993",
  "123456789012345678901234567890",
];
const OTHER = [
  "null",
  "true",
  "false",
  "[]",
  "{}",
  '{"__proto__":{"polluted":true}}',
  '{"constructor":{"prototype":{"polluted":true}}}',
];

let state = (seed + 1) * 0x9e3779b1 >>> 0;
function random(below: number): number {
  state ^= state << 13;
  state ^= state >>> 17;
  state ^= state << 5;
  return (state >>> 0) % below;
}

function pick(list: readonly string[]): string {
  return list[random(list.length)] ?? "null";
}

/** One value as text, where keys come twice and things nest. */
function value(depth: number): string {
  const kind = random(depth > 4 ? 5 : 9);
  if (kind < 2) return pick(TEXTS);
  if (kind === 2) return pick(NUMBERS);
  if (kind < 5) return pick(OTHER);
  if (kind === 5) return `[${Array.from({ length: random(4) }, () => value(depth + 1)).join(",")}]`;
  return object(depth);
}

function object(depth: number): string {
  return `{${Array.from({ length: random(6) }, () => `${JSON.stringify(pick(KEYS))}:${value(depth + 1)}`).join(",")}}`;
}

/** A request that is right, in which one part is a random value: it gets past the first checks. */
function nearlyRight(): string {
  const parts: Record<string, string> = {
    model: '"m"',
    messages: '[{"role":"user","content":"a"}]',
    max_tokens: "3",
    stop: '["a"]',
    prompt: '"a"',
    input: '{"kind":"chat","messages":[{"role":"user","content":"a"}]}',
    parameters: '{"max_tokens":3}',
    tools: '[{"type":"function","function":{"name":"a","parameters":{"type":"object"}}}]',
    tool_choice: '"auto"',
    response_format: '{"type":"json_schema","json_schema":{"name":"a","schema":{"type":"object"}}}',
    query: '"a"',
    documents: '["a",{"text":"b"}]',
    top_n: "1",
  };
  const right = [
    ["model", "messages", "max_tokens", "stop"],
    ["model", "prompt", "max_tokens"],
    ["model", "input", "parameters"],
    ["model", "messages", "tools", "tool_choice", "response_format"],
    ["model", "query", "documents", "top_n"],
  ];
  const names = right[random(right.length)] ?? [];
  const odd = pick(names);
  const extra = random(3) === 0 ? `,${JSON.stringify(pick(KEYS))}:${value(2)}` : "";
  return `{${names.map((name) => `"${name}":${name === odd ? value(1) : parts[name]}`).join(",")}${extra}}`;
}

function text(): string {
  const kind = random(40);
  if (kind === 0) return "[".repeat(5_000) + "]".repeat(5_000);
  if (kind === 1) return '{"messages":'.repeat(500) + "1" + "}".repeat(500);
  if (kind === 2) return value(0).slice(0, -1);
  return kind < 15 ? value(0) : kind < 20 ? object(0) : nearlyRight();
}

const READERS: Record<string, (value: unknown) => unknown> = {
  chatQuestion,
  completionQuestion,
  embeddingQuestion,
  rerankQuestion,
  decodeInferenceRequest,
  decodeInferenceEvent,
  decodeOffer,
  decodeApproval: (one) => decodeApproval(one, "2026-01-01T00:00:00.000Z"),
  decodeWorkerMessage,
};

function names(): string {
  return [Object, Array, Function, String, Number, Map].map(({ prototype }) => Reflect.ownKeys(prototype).length)
    .join();
}

const before = names();
for (const { prototype } of [Object, Array, Function, String, Number]) Object.freeze(prototype);
const wrong: string[] = [];
let [taken, refused] = [0, 0];
for (let i = 0; i < count; i++) {
  const body = text();
  let parsed: unknown;
  try {
    parsed = i % 100 === 0
      ? await readJson(
        new Request("http://a/", { method: "POST", headers: { "content-type": "application/json" }, body }),
        1 << 20,
      )
      : JSON.parse(body);
  } catch (error) {
    if (!(error instanceof ArkError && error.code === "bad_request") && !(error instanceof SyntaxError)) {
      wrong.push(`reading: ${error}`);
    }
    refused++;
    continue;
  }
  for (const [name, read] of Object.entries(READERS)) {
    try {
      const result = read(parsed) as Record<string, unknown>;
      if (result.polluted !== undefined || ({} as Record<string, unknown>).polluted !== undefined) {
        wrong.push(`${name}: polluted`);
      }
      taken++;
    } catch (error) {
      // What a worker says and what a peer answers are refused by a SyntaxError; requests by bad_request, that is 400.
      const right = name === "decodeWorkerMessage" ? error instanceof SyntaxError : error instanceof ArkError;
      if (!right || (/Question|Request|Approval/.test(name) && (error as ArkError).code !== "bad_request")) {
        wrong.push(`${name}: ${error} on ${body.slice(0, 200)}`);
      }
      refused++;
    }
  }
}
const unchanged = names() === before;
await Deno.stdout.write(
  new TextEncoder().encode(JSON.stringify({ taken, refused, unchanged, wrong: wrong.slice(0, 10) }) + "\n"),
);
