import assert from "node:assert/strict";
import fc from "fast-check";
import { StopFilter } from "../../src/inference/worker/stop_filter.ts";

function run(stops: string[], pieces: string[]): { shown: string[]; stopped: boolean } {
  const filter = new StopFilter(stops);
  const shown: string[] = [];
  for (const piece of pieces) {
    const { text, stopped } = filter.push(piece);
    shown.push(text);
    if (stopped) return { shown, stopped };
  }
  return { shown: [...shown, filter.flush()], stopped: false };
}

Deno.test("StopFilter ends before the first stop text, however the text is cut", () => {
  const letters = fc.string({ unit: fc.constantFrom("a", "b", "\n"), maxLength: 4 });
  fc.assert(
    fc.property(fc.array(letters, { maxLength: 4 }), fc.array(letters, { maxLength: 20 }), (stops, pieces) => {
      const { shown, stopped } = run(stops, pieces);
      const text = pieces.join("");
      const expected = plain(text, stops.filter((stop) => stop !== ""));
      assert.equal(stopped, expected !== null);
      assert.equal(shown.join(""), expected ?? text);
    }),
    { numRuns: 2_000 },
  );
});

/** The text before the stop text that is complete first, found letter by letter; null where there is none. */
function plain(text: string, stops: string[]): string | null {
  for (let end = 1; end <= text.length; end++) {
    const found = stops.filter((stop) => text.slice(0, end).endsWith(stop));
    if (found.length > 0) return text.slice(0, end - Math.max(...found.map(({ length }) => length)));
  }
  return null;
}

Deno.test("StopFilter holds back only what could become a stop text", () => {
  assert.deepEqual(run(["\n\n"], ["a", "\n", "b", "\n", "\n", "c"]), {
    shown: ["a", "", "\nb", "", ""],
    stopped: true,
  });
  assert.deepEqual(run(["END"], ["xE", "N"]), { shown: ["x", "", "EN"], stopped: false });
  assert.deepEqual(run([], ["a", "b"]), { shown: ["a", "b", ""], stopped: false });
});
