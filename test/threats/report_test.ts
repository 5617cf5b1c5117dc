import assert from "node:assert/strict";
import { fileURLToPath } from "node:url";
import { faultsOf, resultsOf, rowsIn, rowsOf, verdicts } from "./report.ts";
import { LEAST_COVERED, type Row, ROWS } from "./rows.ts";

const JUNIT = `<?xml version="1.0" encoding="UTF-8"?>
<testsuites name="deno test" tests="5" failures="1" errors="0" time="0.087">
    <testsuite name="./a_test.ts" tests="5" disabled="1" errors="0" failures="1">
        <testcase name="T01: a &lt;b&gt; &amp; &quot;c&quot;" classname="./a_test.ts" time="0.500" line="1" col="6">
        </testcase>
        <testcase name="T01 T02: two" classname="./a_test.ts" time="0.250" line="2" col="6">
        </testcase>
        <testcase name="T03: three" classname="./a_test.ts" time="0.000" line="2" col="6">
            <skipped/>
        </testcase>
        <testcase name="T04: four" classname="./a_test.ts" time="0.001" line="3" col="6">
            <failure message="Uncaught Error: no &lt;way&gt;&#10;more">Error: no</failure>
        </testcase>
        <testcase name="Anything else" classname="./a_test.ts" line="3" col="6">
            <skipped/>
        </testcase>
    </testsuite>
</testsuites>`;

const OUTPUT = `------- pre-test output -------
a_test: skipped, network namespaces need root
----- pre-test output end -----
T01: a <b> & "c" ... ok (500ms)
T01 T02: two ...
------- output -------
Something else
Skipped: strace is not installed
----- output end -----
T01 T02: two ... ok (250ms)
`;

const TABLE: Row[] = [
  { id: "T01", title: "one", star: true },
  { id: "T02", title: "two" },
  { id: "T03", title: "three", star: true },
  { id: "T04", title: "four" },
  { id: "T05", title: "five", missing: "it comes later" },
  { id: "T06", title: "six", star: true, missing: "it comes later" },
  { id: "T07", title: "seven" },
];

Deno.test("resultsOf() reads names, times, failures, and why a test did not run", () => {
  assert.deepEqual(resultsOf(JUNIT, OUTPUT), [
    { name: 'T01: a <b> & "c"', outcome: "passed", seconds: 0.5, reason: "" },
    { name: "T01 T02: two", outcome: "skipped", seconds: 0.25, reason: "strace is not installed" },
    { name: "T03: three", outcome: "skipped", seconds: 0, reason: "network namespaces need root" },
    { name: "T04: four", outcome: "failed", seconds: 0.001, reason: "Uncaught Error: no <way>" },
  ]);
});

Deno.test("resultsOf() counts a test that was ignored without a reason as failed", () => {
  const [, , three] = resultsOf(JUNIT, "");
  assert.deepEqual([three?.outcome, three?.reason], ["failed", "It was ignored without a reason"]);
});

Deno.test("resultsOf() notes what a file left out where it ignores no test", () => {
  const whole = JUNIT.replace("<skipped/>", "");
  const output = "a_test: the count is skipped in part, network namespaces need root\n";
  const [one, , three] = resultsOf(whole, output);
  for (const result of [one, three]) {
    assert.deepEqual([result?.outcome, result?.reason], ["passed", "in part: network namespaces need root"]);
  }
});

Deno.test("verdicts() adds the tests of a row up, and a row is only as good as its worst test", () => {
  const all = verdicts(TABLE, resultsOf(JUNIT, OUTPUT));
  assert.deepEqual(all.map(({ row, verdict, seconds, reason }) => [row.id, verdict, seconds, reason]), [
    ["T01", "skipped", 0.75, "strace is not installed (1 of 2 tests)"],
    ["T02", "skipped", 0.25, "strace is not installed"],
    ["T03", "skipped", 0, "network namespaces need root"],
    ["T04", "FAIL", 0.001, "Uncaught Error: no <way>"],
    ["T05", "not covered", 0, "it comes later"],
    ["T06", "not covered", 0, "it comes later"],
    ["T07", "not covered", 0, ""],
  ]);
  assert.deepEqual(faultsOf(all, 5), [
    "Failed: T04",
    "Headline rows without a test: T06",
    "Rows with neither a test nor a reason: T07",
    "Only 4 rows have tests, at least 5 must",
  ]);
  assert.deepEqual(faultsOf(all.slice(0, 3), 3), []);
});

Deno.test("rowsOf() takes rows from the beginning of a name only", () => {
  assert.deepEqual(rowsOf("T34 T35: State is not shared"), ["T34", "T35"]);
  assert.deepEqual(rowsOf("T345: no"), []);
  assert.deepEqual(rowsOf("As T34: no"), []);
  assert.deepEqual(rowsOf("T34 no"), []);
});

Deno.test("ROWS has T01 to T66 in order, and can reach its own limit", () => {
  assert.deepEqual(
    ROWS.map(({ id }) => id),
    Array.from({ length: 66 }, (_, i) => `T${String(i + 1).padStart(2, "0")}`),
  );
  assert.ok(ROWS.length >= LEAST_COVERED);
});

Deno.test("Every test that is named after a row names one of the table", async () => {
  const known = new Set(ROWS.map(({ id }) => id));
  const folder = fileURLToPath(new URL("..", import.meta.url));
  let named = 0;
  for await (const path of sources(folder)) {
    for (const id of rowsIn(await Deno.readTextFile(path))) {
      assert.ok(known.has(id), `${path} has a test for ${id}, which is no row`);
      named++;
    }
  }
  assert.ok(named > 0);
});

async function* sources(folder: string): AsyncGenerator<string> {
  for (const { name, isDirectory } of await Array.fromAsync(Deno.readDir(folder))) {
    if (isDirectory) yield* sources(`${folder}/${name}`);
    else if (name.endsWith(".ts")) yield `${folder}/${name}`;
  }
}
