import assert from "node:assert/strict";
import { Output } from "../../src/cli/output.ts";

function screen(columns: number | null): { out: Output; text(): string } {
  let written = "";
  const stdout = {
    isTerminal: () => columns !== null,
    writeSync(bytes: Uint8Array): number {
      written += new TextDecoder().decode(bytes);
      return bytes.length;
    },
  };
  return { out: new Output({ stdout, stderr: stdout, columns: () => columns ?? 0 }), text: () => written };
}

const NAMES = ["NODE", "MODELS", "N"];
const ROWS = [["cellar", "x".repeat(60), "1"], ["desk", "short", "2"]];

Deno.test("Output.table() cuts the longest cells where a person's terminal is too narrow, and only there", () => {
  const narrow = screen(40);
  narrow.out.table(NAMES, ROWS, { fit: "cut" });
  const lines = narrow.text().trimEnd().split("\n");
  assert.ok(lines.every((line) => [...line].length <= 40), narrow.text());
  assert.match(lines[1] ?? "", /^cellar {2}x+… {2}1$/);
  assert.match(lines[2] ?? "", /^desk {4}short +2$/);
  for (
    const { columns, fit } of [{ columns: 200, fit: "cut" }, { columns: null, fit: "cut" }, {
      columns: 40,
      fit: "wrap",
    }] as const
  ) {
    const wide = screen(columns);
    wide.out.table(NAMES, ROWS, { fit });
    assert.ok(wide.text().includes("x".repeat(60)), `${columns} ${fit}`);
  }
});

Deno.test("Output.table() leaves every column some characters, however narrow the terminal is", () => {
  const { out, text } = screen(5);
  out.table(NAMES, ROWS, { fit: "cut" });
  assert.match(text(), /^NODE +MODELS {2}N\ncellar {2}xxxxx… {2}1\n/);
});
