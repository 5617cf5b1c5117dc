import assert from "node:assert/strict";
import { type AnswerPart, ArkError } from "@ark/node/protocol";
import { type AnswerPiece, AnswerPieces } from "../../../src/http/api/answer_pieces.ts";
import { chanceOf, EVERYTHING } from "./answer_scripts.ts";

/** What a listener hears, in words. */
function heard(parts: readonly AnswerPart[]): string[] {
  const words: string[] = [];
  const name = ({ kind, index, call }: AnswerPiece) => `${kind}${index}${call === null ? "" : `(${call.name})`}`;
  const pieces = new AnswerPieces({
    opened: (piece) => void words.push(`open ${name(piece)}`),
    grew: (piece, text, logprobs) => void words.push(`${name(piece)} ${text}${logprobs.length === 0 ? "" : " ~"}`),
    closed: (piece) => void words.push(`close ${name(piece)}`),
  });
  for (const part of parts) pieces.take(part);
  pieces.close();
  pieces.close();
  return words;
}

Deno.test("AnswerPieces opens, grows and closes each piece before the next", () => {
  assert.deepEqual(heard(EVERYTHING), [
    "open reasoning0",
    "reasoning0 Let me",
    "reasoning0  see.",
    "close reasoning0",
    "open text1",
    "text1 I look",
    "text1  it up.",
    "close text1",
    "open call2(weather)",
    'call2(weather) {"city":',
    'call2(weather)  "Köln"}',
    "close call2(weather)",
    "open call3(time.now)",
    "call3(time.now) {}",
    "close call3(time.now)",
  ]);
});

Deno.test("AnswerPieces opens nothing for an empty text, and goes on with what is open", () => {
  const text = (text: string): AnswerPart => ({ type: "text", text, tokens: 1 });
  assert.deepEqual(heard([text(""), { type: "reasoning", text: "", tokens: 1 }]), []);
  assert.deepEqual(heard([text("a"), { type: "reasoning", text: "", tokens: 1 }, text("b")]), [
    "open text0",
    "text0 a",
    "text0 b",
    "close text0",
  ]);
  assert.deepEqual(heard([text("a"), { type: "reasoning", text: "b", tokens: 1 }, text("c")]), [
    "open text0",
    "text0 a",
    "close text0",
    "open reasoning1",
    "reasoning1 b",
    "close reasoning1",
    "open text2",
    "text2 c",
    "close text2",
  ]);
});

Deno.test("AnswerPieces keeps the probabilities of tokens that show no text yet", () => {
  const parts: AnswerPart[] = [
    { type: "text", text: "a", tokens: 1, logprobs: [chanceOf("a")] },
    { type: "text", text: "", tokens: 1, logprobs: [chanceOf("")] },
  ];
  assert.deepEqual(heard(parts), ["open text0", "text0 a ~", "text0  ~", "close text0"]);
  assert.deepEqual(heard(parts.toReversed()), ["open text0", "text0 a ~", "close text0"]);
  for (const order of [parts, parts.toReversed()]) {
    const pieces = new AnswerPieces();
    for (const part of order) pieces.take(part);
    assert.equal(pieces.all[0]?.logprobs.length, 2);
  }
});

Deno.test("AnswerPieces counts the tokens of thoughts, shown or not", () => {
  const pieces = new AnswerPieces();
  pieces.take({ type: "reasoning", text: "", tokens: 2 });
  pieces.take({ type: "reasoning", text: "a", tokens: 3 });
  pieces.take({ type: "text", text: "b", tokens: 9 });
  assert.equal(pieces.reasoningTokens, 5);
});

Deno.test("AnswerPieces refuses an answer of too many pieces", () => {
  const pieces = new AnswerPieces();
  assert.throws(
    () => {
      for (let n = 0; n < 5_000; n++) pieces.take({ type: n % 2 === 0 ? "text" : "reasoning", text: "a", tokens: 1 });
    },
    (error) => error instanceof ArkError && error.code === "engine_failed",
  );
});
