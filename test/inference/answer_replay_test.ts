import assert from "node:assert/strict";
import fc from "fast-check";
import type { AnswerPart } from "@ark/node/protocol";
import { AnswerWriter } from "../../src/inference/worker/answer_writer.ts";
import type { Detokenize } from "../../src/inference/worker/detokenizer.ts";
import { asked, lettersBuilder, WEATHER } from "./chat/letters.ts";
import { FAMILIES } from "./chat/templates.ts";

/** Pieces of answers as models write them, and as they do not. */
const PIECES = [
  "So it is. ",
  "é漢😀",
  " ",
  "\n",
  "HAL",
  "HALT",
  "<think>",
  "</think>",
  "Let me see",
  "<tool_call>",
  '{"name": "weather", "arguments": {"city": "Oslo"}}',
  '{"name": "weather"',
  "</tool_call>",
  "<function=weather>",
  '{"city": "Bergen"}',
  "</function>",
  "<|channel|>analysis<|message|>",
  "<|channel|>commentary to=functions.weather <|constrain|>json<|message|>",
  "<|end|>",
  "<|start|>assistant",
  "[TOOL_CALLS]",
  "{",
  "}",
];

/** An answer as bytes, cut anywhere: a token may hold a part of a character, or the end of one call and the next one. */
const answers = fc.tuple(
  fc.array(fc.constantFrom(...PIECES), { maxLength: 12 }),
  fc.array(fc.integer({ min: 1, max: 24 }), { minLength: 1, maxLength: 40 }),
).map(([pieces, lengths]) => {
  const bytes = new TextEncoder().encode(pieces.join(""));
  const tokens: Uint8Array[] = [];
  for (let at = 0; at < bytes.length;) {
    const length = lengths[tokens.length % lengths.length] ?? 1;
    tokens.push(bytes.subarray(at, at + length));
    at += length;
  }
  return tokens;
});

/** Texts of tokens that are numbered from 0. */
function detokenizer(tokens: readonly Uint8Array[]): Detokenize {
  return (ids) => new TextDecoder().decode(Uint8Array.from(ids.flatMap((id) => [...tokens[id] ?? []])));
}

/** A call's id is another one each time. */
function withoutCallIds(parts: readonly AnswerPart[]): AnswerPart[] {
  return parts.map((part) => part.type === "tool_call" ? { ...part, id: "" } : part);
}

Deno.test("AnswerWriter.replay() leads to the same state, wherever an answer was cut, whatever its syntax", () => {
  let cuts = 0;
  for (const [name, { template, control }] of Object.entries(FAMILIES)) {
    const builder = lettersBuilder(template, control);
    for (const parallel_tool_calls of [true, false]) {
      const prepared = builder.prepare(asked({ tools: [WEATHER], parallel_tool_calls }), {});
      fc.assert(
        fc.property(answers, (tokens) => {
          const make = () =>
            new AnswerWriter({
              detokenize: detokenizer(tokens),
              prepared: { ...prepared, preserved: new Map() },
              parameters: { stop: ["HALT"] },
              ids: true,
            });
          /** Writes from a token on, and tells how many parts came before the answer's last words. */
          const write = (writer: AnswerWriter, from: number) => {
            const parts: AnswerPart[] = [];
            for (let token = from; token < tokens.length; token++) {
              const pushed = writer.push(token);
              parts.push(...pushed.parts);
              if (pushed.stopped) break;
            }
            return [...parts, ...writer.flush()];
          };
          const whole = make();
          const parts = write(whole, 0);
          for (const [index, part] of parts.entries()) {
            // Where a part has ids, all that they say was shown with it.
            if (!("ids" in part)) continue;
            cuts++;
            assert.equal(part.ids?.length, part.tokens);
            const shown = parts.slice(0, index + 1);
            const written = shown.flatMap((each) => "ids" in each ? each.ids ?? [] : []);
            assert.deepEqual(written, written.map((_, at) => at), "no id is left out");
            const writer = make();
            const goesOn = written.every((id) => writer.replay(id));
            const rest = goesOn ? write(writer, written.length) : writer.flush();
            assert.deepEqual(withoutCallIds([...shown, ...rest]), withoutCallIds(parts), name);
            assert.equal(written.length + writer.count, whole.count);
            assert.equal(writer.finishReason("stop"), whole.finishReason("stop"));
            assert.equal(writer.stopText, whole.stopText);
            assert.deepEqual(writer.recent, whole.recent);
          }
        }),
        { numRuns: 40 },
      );
    }
  }
  assert.ok(cuts > 500, `${cuts} cuts`);
});

Deno.test("AnswerWriter tells how likely tokens were after a replay, and nothing of those before", () => {
  const prepared = lettersBuilder("", []).prepare({ kind: "completion", prompt: "abc" }, {});
  const detokenize: Detokenize = (ids) => String.fromCodePoint(...ids);
  const parameters = { logprobs: 0, stop: ["bcX"] };
  const writer = new AnswerWriter({ detokenize, prepared, parameters, ids: true });
  const chance = (token: string) => ({ token, bytes: [], logprob: -1, top: [] });
  // The second letter waits: it may begin a stop text.
  for (const letter of "ab") assert.ok(writer.replay(letter.codePointAt(0) ?? 0));
  assert.deepEqual(writer.push("c".codePointAt(0) ?? 0, chance("c")).parts, []);
  const { parts } = writer.push("d".codePointAt(0) ?? 0, chance("d"));
  const [c, d] = [chance("c"), chance("d")];
  assert.deepEqual(parts, [{ type: "text", text: "bcd", tokens: 2, logprobs: [c, d], ids: [99, 100] }]);
});

Deno.test("AnswerWriter leaves out ids where a part would have more than it may", () => {
  const prepared = lettersBuilder("", []).prepare({ kind: "completion", prompt: "abc" }, {});
  const detokenize: Detokenize = (ids) => ids.map((id) => id === 0 ? "" : "x").join("");
  const writer = new AnswerWriter({ detokenize, prepared, parameters: {}, ids: true });
  for (let token = 0; token < 5_000; token++) assert.deepEqual(writer.push(0).parts, []);
  assert.deepEqual(writer.push(1).parts, [{ type: "text", text: "x", tokens: 5_001 }]);
  assert.deepEqual(writer.push(1).parts, [{ type: "text", text: "x", tokens: 1, ids: [1] }]);
});
