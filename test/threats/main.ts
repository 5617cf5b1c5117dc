// deno-lint-ignore-file no-console
/**
 * The threat table as tests: `deno task threats [T01 T34 …]`, all rows without a name.
 *
 * A test belongs to the rows that its name begins with (`T34 T35: …`). Each file that has such tests runs in a process of
 * its own, so that one that dies takes only its own rows along. Prints a line for each row, and fails where a row fails,
 * where a headline row has no test, or where fewer than 45 rows have one. With `ARK_LONG=1` (`deno task threats:long`) the
 * tests run in their long forms, one file after the other, since those measure.
 */
import { fileURLToPath } from "node:url";
import { faultsOf, resultsOf, rowsIn, type TestResult, type Verdict, verdicts } from "./report.ts";
import { LEAST_COVERED, ROWS } from "./rows.ts";

const ROOT = fileURLToPath(new URL("../..", import.meta.url));
const LONG = Deno.env.get("ARK_LONG") === "1";
/** A file of tests that takes longer hangs; the long forms may take hours. */
const PATIENCE_MS = 10 * 60_000;

/** What running one file came to. */
interface FileRun {
  results: TestResult[];
  /** Everything it printed, where something is wrong; else empty. */
  complaint: string;
}

async function* testFiles(folder: string): AsyncGenerator<string> {
  for (const entry of await Array.fromAsync(Deno.readDir(folder))) {
    const path = `${folder}/${entry.name}`;
    if (entry.isDirectory) yield* testFiles(path);
    else if (entry.name.endsWith("_test.ts")) yield path;
  }
}

/** Runs the tests of one file that are named after these rows. */
async function run(path: string, rows: readonly string[]): Promise<FileRun> {
  const junit = await Deno.makeTempFile({ suffix: ".xml" });
  try {
    const timeout = LONG ? null : AbortSignal.timeout(PATIENCE_MS);
    const { code, stdout, stderr } = await new Deno.Command(Deno.execPath(), {
      cwd: ROOT,
      args: [
        "test",
        "-A",
        "--no-check",
        `--junit-path=${junit}`,
        `--filter=/^(T\\d\\d )*(${rows.join("|")})\\b/`,
        path,
      ],
      env: { NO_COLOR: "1" },
      stdin: "null",
      stdout: "piped",
      stderr: "piped",
      ...(timeout === null ? {} : { signal: timeout }),
    }).output();
    const text = new TextDecoder().decode(stdout);
    const results = resultsOf(await Deno.readTextFile(junit), text);
    const failed = results.some(({ outcome }) => outcome === "failed");
    // A fault outside of all tests is in no report: then nothing that the file should show was shown.
    if (code !== 0 && !failed) {
      const reason = `${path.slice(ROOT.length)} ended with status ${code} outside of its tests`;
      results.push(...rows.map((row) => ({ name: `${row}: …`, outcome: "failed" as const, seconds: 0, reason })));
    }
    return { results, complaint: code === 0 ? "" : `${path}\n${text}${new TextDecoder().decode(stderr)}` };
  } finally {
    await Deno.remove(junit);
  }
}

async function runAll(asked: readonly string[]): Promise<FileRun[]> {
  const files: [string, string[]][] = [];
  for await (const path of testFiles(`${ROOT}test`)) {
    // The tests of this program name rows that are none of theirs.
    if (path.endsWith("threats/report_test.ts")) continue;
    const rows = rowsIn(await Deno.readTextFile(path)).filter((row) => asked.includes(row));
    if (rows.length > 0) files.push([path, rows]);
  }
  const runs: FileRun[] = [];
  const lane = async () => {
    for (let next = files.shift(); next !== undefined; next = files.shift()) runs.push(await run(...next));
  };
  const lanes = LONG ? 1 : navigator.hardwareConcurrency;
  await Promise.all(Array.from({ length: lanes }, lane));
  return runs;
}

function lineOf({ row, verdict, seconds, reason }: Verdict): string {
  const id = `${row.id}${row.star ? "*" : ""}`.padEnd(4);
  const time = verdict === "not covered" ? "" : seconds.toFixed(1);
  const because = reason === "" ? "" : ` [${reason}]`;
  return `${id}  ${verdict.padEnd(11)}  ${time.padStart(7)}  ${row.title}${because}`;
}

const asked = Deno.args.length > 0 ? Deno.args : ROWS.map(({ id }) => id);
const unknown = asked.filter((id) => !ROWS.some((row) => row.id === id));
if (unknown.length > 0) {
  console.error(`There is no row ${unknown.join(", ")}: they are T01 to T66`);
  Deno.exit(2);
}
const began = performance.now();
const runs = await runAll(asked);
const rows = ROWS.filter(({ id }) => asked.includes(id));
const all = verdicts(rows, runs.flatMap(({ results }) => results));
for (const { complaint } of runs) if (complaint !== "") console.log(`${complaint}\n`);
console.log("row   verdict      seconds  title");
for (const verdict of all) console.log(lineOf(verdict));
const count = (wanted: Verdict["verdict"]) => all.filter(({ verdict }) => verdict === wanted).length;
console.log(
  `\n${count("pass")} passed, ${count("FAIL")} failed, ${count("skipped")} skipped, ` +
    `${count("not covered")} not covered, in ${((performance.now() - began) / 1_000).toFixed(0)} s`,
);
const faults = faultsOf(all, Deno.args.length > 0 ? 0 : LEAST_COVERED);
for (const fault of faults) console.log(fault);
Deno.exit(faults.length > 0 ? 1 : 0);
