import assert from "node:assert/strict";
import fc from "fast-check";
import { Detokenizer } from "../../src/inference/worker/detokenizer.ts";

/** A vocabulary with one token for each byte, and for each pair of bytes. */
function bytesOf(token: number): number[] {
  return token < 256 ? [token] : [(token >> 8) - 1, token & 255];
}

function detokenize(tokens: readonly number[]): string {
  return new TextDecoder().decode(Uint8Array.from(tokens.flatMap(bytesOf)));
}

function run(tokens: number[]): string[] {
  const detokenizer = new Detokenizer(detokenize);
  return [...tokens.map((token) => detokenizer.push(token)), detokenizer.flush()];
}

/** Cuts bytes into tokens of one or two bytes. */
function tokensOf(bytes: Uint8Array, pairs: boolean[]): number[] {
  const tokens: number[] = [];
  let at = 0;
  for (let i = 0; at < bytes.length; i++) {
    const [a = 0, b] = bytes.subarray(at);
    const pair = b !== undefined && pairs[i % pairs.length] === true;
    tokens.push(pair ? (a + 1) << 8 | b : a);
    at += pair ? 2 : 1;
  }
  return tokens;
}

const PAIRS = fc.array(fc.boolean(), { minLength: 1, maxLength: 9 });

Deno.test("Detokenizer never splits a character, however tokens cut it", () => {
  const character = fc.constantFrom("a", " ", "é", "漢", "😀", "\u0301", "क्");
  fc.assert(fc.property(fc.array(character, { maxLength: 12 }), PAIRS, (characters, pairs) => {
    const text = characters.join("");
    const pieces = run(tokensOf(new TextEncoder().encode(text), pairs));
    assert.equal(pieces.join(""), text);
    for (const piece of pieces) assert.ok(!piece.includes("\uFFFD") && piece.isWellFormed(), piece);
  }));
});

Deno.test("Detokenizer shows a character with the token that completes it", () => {
  assert.deepEqual(run([...new TextEncoder().encode("a漢")]), ["a", "", "", "漢", ""]);
});

Deno.test("Detokenizer holds back bytes that are no character for three tokens at most", () => {
  fc.assert(fc.property(fc.uint8Array({ maxLength: 30 }), PAIRS, (bytes, pairs) => {
    const tokens = tokensOf(bytes, pairs);
    const pieces = run(tokens);
    assert.equal(pieces.join(""), new TextDecoder("utf-8", { ignoreBOM: true }).decode(bytes).replace(/^\uFEFF/, ""));
    for (let at = 0; at + 4 <= tokens.length; at++) {
      assert.ok(pieces.slice(at, at + 4).some((piece) => piece !== ""), JSON.stringify(pieces));
    }
  }));
});

Deno.test("Detokenizer gives the tokens before to a vocabulary where a space depends on them", () => {
  const words = ["", " The", " node"];
  const sentencePiece = (tokens: readonly number[], before: readonly number[]) => {
    const text = tokens.map((token) => words[token] ?? "").join("");
    return before.length === 0 ? text.trimStart() : text;
  };
  const detokenizer = new Detokenizer(sentencePiece);
  assert.deepEqual([detokenizer.push(1), detokenizer.push(2)], ["The", " node"]);
});
