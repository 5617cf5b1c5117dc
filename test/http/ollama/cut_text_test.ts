import assert from "node:assert/strict";
import fc from "fast-check";
import { cutText } from "../../../src/http/ollama/cut_text.ts";

/** Tokens as most vocabularies have them: words and their spaces, but every sign of its own where it is no letter. */
function tokensOf(text: string): number {
  return text.match(/[a-z]{1,6}| |[^]/gu)?.length ?? 0;
}

Deno.test("cutText() leaves a beginning that has no more tokens than the limit, and hardly fewer", async () => {
  const piece = fc.constantFrom("a", "word ", "longer words ", "ä", "😀", "1234", " ");
  await fc.assert(
    fc.asyncProperty(fc.array(piece, { maxLength: 400 }), fc.integer({ min: 1, max: 100 }), async (pieces, limit) => {
      const text = pieces.join("");
      let counted = 0;
      const count = (part: string) => {
        counted++;
        return Promise.resolve(tokensOf(part));
      };
      const cut = await cutText(text, { limit, count });
      assert.ok(text.startsWith(cut) && cut.isWellFormed() && counted <= 16);
      assert.ok(tokensOf(cut) <= limit);
      if (tokensOf(text) <= limit) assert.equal(cut, text);
      else assert.ok(tokensOf(cut) >= limit - 1, `${tokensOf(cut)} of ${limit}`);
    }),
  );
});

Deno.test("cutText() comes near the limit where what is too long cannot be counted at all", async () => {
  const text = "one two three four ".repeat(20_000);
  for (const limit of [1, 10, 512, 8_192]) {
    const count = (part: string) => {
      const tokens = tokensOf(part);
      return Promise.resolve(tokens <= limit ? tokens : Infinity);
    };
    const cut = await cutText(text, { limit, count });
    assert.ok(tokensOf(cut) <= limit && tokensOf(cut) >= 0.95 * limit - 1, `${tokensOf(cut)} of ${limit}`);
  }
});
