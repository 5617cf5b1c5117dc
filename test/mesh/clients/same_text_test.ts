/** One question, one text: streamed or not, here or from a neighbour, whichever API it is asked in. On the real engine. */
import assert from "node:assert/strict";
import { MODEL, Pair } from "../test_node.ts";

const QUESTION = "How do I install the package?";
const messages = [{ role: "user", content: QUESTION }];
const LENGTH = 40;

/** How one family asks, and where its text stands, streamed and not. */
interface Family {
  path: string;
  body: Record<string, unknown>;
  whole(answer: Record<string, unknown>): string;
  streamed(event: Record<string, unknown>): string;
}

// deno-lint-ignore no-explicit-any
type Loose = any;

const FAMILIES: Record<string, Family> = {
  "OpenAI": {
    path: "/v1/chat/completions",
    body: { messages, max_tokens: LENGTH, temperature: 0, seed: 7 },
    whole: ({ choices }: Loose) => choices[0].message.content,
    streamed: ({ choices }: Loose) => choices[0]?.delta.content ?? "",
  },
  "Responses": {
    path: "/v1/responses",
    body: { input: QUESTION, max_output_tokens: LENGTH, temperature: 0, seed: 7 },
    whole: ({ output }: Loose) =>
      output.flatMap(({ content }: Loose) => content.map(({ text }: Loose) => text)).join(""),
    streamed: ({ type, delta }: Loose) => type === "response.output_text.delta" ? delta : "",
  },
  "Anthropic": {
    path: "/v1/messages",
    body: { messages, max_tokens: LENGTH, temperature: 0 },
    whole: ({ content }: Loose) => content[0].text,
    streamed: ({ delta }: Loose) => delta?.text ?? "",
  },
  "Ollama": {
    path: "/api/chat",
    body: { messages, options: { num_predict: LENGTH, temperature: 0, seed: 7 } },
    whole: ({ message }: Loose) => message.content,
    streamed: ({ message }: Loose) => message?.content ?? "",
  },
};

async function ask(api: string, { path, body, whole, streamed }: Family, stream: boolean): Promise<string> {
  const response = await fetch(api + path, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify({ model: MODEL, ...body, stream }),
  });
  const text = await response.text();
  assert.equal(response.status, 200, text);
  if (!stream) return whole(JSON.parse(text));
  const lines = text.split("\n").map((line) => line.replace(/^data: /, "")).filter((line) => line.startsWith("{"));
  return lines.map((line) => streamed(JSON.parse(line))).join("");
}

Deno.test("The same question at temperature 0 leads to the same text, in every API, streamed or not, here and through a peer", async () => {
  await using pair = await Pair.start({ worker: "worker_main" });
  const texts = new Map<string, string>();
  for (const [name, family] of Object.entries(FAMILIES)) {
    for (const [node, api] of [["B", pair.b.api], ["A", pair.a.api]] as const) {
      for (const stream of [false, true]) {
        texts.set(`${name} of ${node}, stream ${stream}`, await ask(api, family, stream));
      }
    }
  }
  const [first] = texts.values();
  assert.ok((first ?? "").length > 20, `The answer is ${first}`);
  for (const [where, text] of texts) assert.equal(text, first, where);
});
