import assert from "node:assert/strict";
import fc from "fast-check";
import type { AnswerPart, InferenceEvent } from "@ark/node/protocol";
import { ChunkPattern } from "../../src/routing/upstream/chunk_pattern.ts";
import { UpstreamStream } from "../../src/routing/upstream/upstream_stream.ts";

const ENCODER = new TextEncoder();

/** The events of a stream that arrives in pieces, those of the short way in their place. */
async function eventsOf(pieces: readonly Uint8Array[], { short }: { short: boolean }): Promise<InferenceEvent[]> {
  const events: InferenceEvent[] = [];
  const left = [...pieces];
  const direct = {
    open: short,
    take: (parts: readonly AnswerPart[]) => {
      events.push(...parts);
      return events.length % 3 === 0 ? Promise.resolve() : null;
    },
  };
  const stream = new UpstreamStream({ name: "s", model: "m", heard: () => {}, direct });
  for await (const event of stream.read({ read: () => Promise.resolve(left.shift() ?? null) })) {
    events.push(
      event.type === "end" ? { ...event, timings: { queue_ms: 0, load_ms: 0, prompt_ms: 0, generation_ms: 0 } } : event,
    );
  }
  return events;
}

function cut(bytes: Uint8Array, at: readonly number[]): Uint8Array[] {
  const edges = [0, ...at.map((place) => place % (bytes.length + 1)).sort((a, b) => a - b), bytes.length];
  return edges.slice(1).map((edge, index) => bytes.slice(edges[index], edge));
}

const TEXT = fc.oneof(
  fc.string({ unit: "binary", minLength: 1, maxLength: 30 }),
  fc.constantFrom(" the", '"', "\\", "\n", "ü", "😀", "assistant", "stop", "m", "a".repeat(65)),
);
/** Chunks as servers spell them: compact, with spaces, with what changes in each of them, and others between. */
const SPELLINGS: ((text: string, index: number) => string)[] = [
  (text) =>
    JSON.stringify({ id: "c", model: "m", choices: [{ index: 0, delta: { content: text }, finish_reason: null }] }),
  (text) =>
    `{"id": "c", "choices": [{"delta": {"content": ${JSON.stringify(text)}}, "finish_reason": null}], "usage": null}`,
  (text, index) => JSON.stringify({ id: `c${index}`, choices: [{ delta: { content: text } }] }),
  (text) => JSON.stringify({ choices: [{ text, logprobs: null }] }),
  (text) => JSON.stringify({ note: text, choices: [{ delta: { content: "same" } }] }),
  (text) => JSON.stringify({ choices: [{ delta: { reasoning_content: text } }] }),
  (text) => JSON.stringify({ choices: [{ delta: { content: text, role: "ü" } }] }),
];

Deno.test("UpstreamStream says the same of chunks that are like each other as of each by itself", async () => {
  const chunks = fc.array(fc.tuple(TEXT, fc.nat(SPELLINGS.length - 1), fc.boolean()), { minLength: 1, maxLength: 25 });
  await fc.assert(
    fc.asyncProperty(
      chunks,
      fc.nat(SPELLINGS.length - 1),
      fc.array(fc.nat(), { maxLength: 12 }),
      async (chunks, usual, at) => {
        const lines = chunks.map(([text, other, odd], index) => SPELLINGS[odd ? other : usual]?.(text, index) ?? "");
        const parts = lines.flatMap((line): InferenceEvent[] => {
          const { choices: [choice] } = JSON.parse(line);
          const { content, reasoning_content } = choice.delta ?? {};
          if (reasoning_content !== undefined) return [{ type: "reasoning", text: reasoning_content, tokens: 1 }];
          return [{ type: "text", text: content ?? choice.text, tokens: 1 }];
        });
        const end = `data: {"choices":[{"delta":{},"finish_reason":"stop"}]}\n\ndata: [DONE]\n\n`;
        const bytes = ENCODER.encode(lines.map((line) => `data: ${line}\n\n`).join("") + end);
        for (const short of [false, true]) {
          const events = await eventsOf(cut(bytes, at), { short });
          assert.deepEqual(events.slice(1, -1), parts);
          assert.equal(events.at(-1)?.type, "end");
        }
      },
    ),
    { numRuns: 300 },
  );
});

Deno.test("UpstreamStream shows what came before a fault in the same piece", async () => {
  const text = `data: {"choices":[{"delta":{"content":"a"}}]}\n\n`;
  for (const short of [false, true]) {
    const shown: InferenceEvent[] = [];
    const direct = { open: short, take: (parts: readonly AnswerPart[]) => (shown.push(...parts), null) };
    const pieces = [ENCODER.encode(`${text}${text}data: {"error":"x"}\n\n`)];
    const stream = new UpstreamStream({ name: "s", model: "m", heard: () => {}, direct });
    await assert.rejects(async () => {
      for await (const event of stream.read({ read: () => Promise.resolve(pieces.shift() ?? null) })) shown.push(event);
    });
    assert.deepEqual(shown.map(({ type }) => type), ["start", "text", "text"]);
  }
});

Deno.test("ChunkPattern learns nothing from a text that stands where it says nothing, or twice", () => {
  const read = (data: string) => JSON.parse(data).said as string;
  for (const data of [`{"x":"a","said":"a"}`, `{"said":"\\u0061","x":"a"}`]) {
    const pattern = new ChunkPattern(read);
    pattern.learn(data, "a");
    assert.equal(pattern.match(data), null);
  }
  const pattern = new ChunkPattern(read);
  pattern.learn(`{"said":"a"}`, "a");
  assert.equal(pattern.match(`{"said":"b\\n"}`), "b\n");
  for (const other of [`{"said":"b","c":"d"}`, `{"said":"b""}`, `{"said":"\\"}`, `{"said":"\\q"}`, `{"said":""}`]) {
    assert.equal(pattern.match(other), null, other);
  }
  assert.deepEqual(pattern.matchBytes(ENCODER.encode(`data: {"said":"xy"}\n\n`), 0), { text: "xy", next: 21 });
  assert.equal(pattern.matchBytes(ENCODER.encode(`data: {"said":"xy"}\n`), 0), null);
});
