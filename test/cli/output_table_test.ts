import assert from "node:assert/strict";
import fc from "fast-check";
import { escaped } from "@ark/node/telemetry";
import { cutToWidth, displayWidth } from "../../src/cli/display_width.ts";
import { Output, type OutputOptions } from "../../src/cli/output.ts";

function screen(columns: number | null, options: OutputOptions = {}): { out: Output; text(): string } {
  let written = "";
  const stdout = {
    isTerminal: () => columns !== null,
    writeSync(bytes: Uint8Array): number {
      written += new TextDecoder().decode(bytes);
      return bytes.length;
    },
  };
  return { out: new Output({ stdout, stderr: stdout, columns: () => columns ?? 0 }, options), text: () => written };
}

/** What is to be read of it. */
function plain(text: string): string {
  // deno-lint-ignore no-control-regex -- that is what terminals are sent
  return text.replaceAll(/\u001b\[[0-9;]*m/g, "");
}

const NAMES = ["NODE", "MODELS", "N"];
const ROWS = [["cellar", "x".repeat(60), "1"], ["desk", "short", "2"]];

Deno.test("Output.table() cuts the longest cells where a person's terminal is too narrow, and only there", () => {
  const narrow = screen(40);
  narrow.out.table(NAMES, ROWS, { fit: "cut" });
  const lines = plain(narrow.text()).trimEnd().split("\n");
  assert.ok(lines.every((line) => [...line].length <= 40), narrow.text());
  assert.match(lines[1] ?? "", /^cellar {2}x+… {2}1$/);
  assert.match(lines[2] ?? "", /^desk {4}short +2$/);
  for (const columns of [200, null]) {
    const wide = screen(columns);
    wide.out.table(NAMES, ROWS);
    assert.ok(wide.text().includes("x".repeat(60)), `${columns}`);
  }
});

Deno.test("Output.table() shortens the columns that are to be typed last", () => {
  const { out, text } = screen(40);
  out.table(["NAME", "MODELS"], [["n".repeat(20), "m".repeat(50)]]);
  assert.equal(plain(text()).split("\n")[1], `${"n".repeat(20)}  ${"m".repeat(17)}…`);
});

Deno.test("Output.table() writes rows as lines where nothing may be lost, and only on a terminal that is too narrow", () => {
  const narrow = screen(40);
  narrow.out.table(NAMES, ROWS, { fit: "stack" });
  assert.equal(
    narrow.text(),
    `NODE    cellar\nMODELS  ${"x".repeat(60)}\nN       1\n\nNODE    desk\nMODELS  short\nN       2\n`,
  );
  const wide = screen(100);
  wide.out.table(NAMES, ROWS, { fit: "stack" });
  assert.match(plain(wide.text()), /^NODE {4}MODELS/);
});

Deno.test("Output.table() counts columns of the terminal and not characters", () => {
  const { out, text } = screen(null);
  out.table(["NAME", "N"], [["地下室", "1"], ["abcdef", "2"], ["👍🏽", "3"], ["e\u0301a", "4"]]);
  const [, first = "", second = "", , fourth = ""] = text().split("\n");
  assert.deepEqual([displayWidth(first), displayWidth(second)], [displayWidth(second), displayWidth(fourth)]);
});

Deno.test("Output shows colours on a terminal alone, and not where they are not wanted", () => {
  const looks = { look: () => "good" as const };
  const rows = [["a", "ready"]];
  for (const [columns, colours, coloured] of [[80, true, true], [80, false, false], [null, true, false]] as const) {
    const { out, text } = screen(columns, { colours });
    out.table(["NAME", "STATE"], rows, looks);
    out.strong("strong");
    assert.equal(text().includes("\u001b["), coloured, `${columns} ${colours}`);
    assert.equal(plain(text()), "NAME  STATE\na     ready\nstrong\n");
  }
});

Deno.test("displayWidth() and cutToWidth() go by what a terminal shows", () => {
  const widths: [string, number][] = [
    ["", 0],
    ["abc", 3],
    ["地下室", 6],
    ["ｆｕ", 4],
    ["👍🏽", 2],
    ["🇩🇪", 2],
    ["👩‍👩‍👧‍👦", 2],
    ["e\u0301", 1],
    ["❤️", 2],
    ["한국", 4],
  ];
  for (const [text, width] of widths) assert.equal(displayWidth(text), width, JSON.stringify(text));
  assert.equal(cutToWidth("地下室", 5), "地下…");
  assert.equal(cutToWidth("地下室", 6), "地下室");
  assert.equal(cutToWidth("abc", 0), "");
  assert.ok(cutToWidth(`a${"\u0301".repeat(300)}`, 5).length < 20, "No tower of marks");
  fc.assert(fc.property(fc.string({ unit: "grapheme" }), fc.nat(30), (text, columns) => {
    const safe = escaped(text, 400);
    assert.ok(displayWidth(cutToWidth(safe, columns)) <= columns);
    if (displayWidth(safe) <= columns && safe.length < 8) assert.equal(cutToWidth(safe, columns), safe);
  }));
});

Deno.test("Output.table() leaves every column some characters, however narrow the terminal is", () => {
  const { out, text } = screen(5);
  out.table(NAMES, ROWS, { fit: "cut" });
  assert.match(plain(text()), /^NODE +MODELS {2}N\ncellar {2}xxxxx… {2}1\n/);
});
