/** From what `deno test` reports to a verdict for each row. Pure. */
import type { Row } from "./rows.ts";

/** One test of a row. */
export interface TestResult {
  /** Name of the test, which begins with its rows: `T34 T35: …`. */
  name: string;
  /** How it ended. */
  outcome: "passed" | "failed" | "skipped";
  /** How long it took. */
  seconds: number;
  /** Why it failed or did not run; of one that passed, what of it did not run. */
  reason: string;
}

/** What came of a row. */
export interface Verdict {
  row: Row;
  /** `skipped` where any of its tests did not run to its end. */
  verdict: "pass" | "FAIL" | "skipped" | "not covered";
  /** All its tests together. */
  seconds: number;
  /** How many tests it has. */
  tests: number;
  /** Why it failed, was skipped or is not covered; for a row that passed, what no test shows yet. */
  reason: string;
}

const ROWS_OF_NAME = /^((?:T\d\d)(?: T\d\d)*)(?=:)/;

/** The rows that a test's name begins with: `["T34", "T35"]` for `T34 T35: …`. */
export function rowsOf(name: string): string[] {
  return ROWS_OF_NAME.exec(name)?.[1]?.split(" ") ?? [];
}

/** The rows that tests of a source file are named after. */
export function rowsIn(source: string): string[] {
  const names = source.matchAll(/["'`]((?:T\d\d)(?: T\d\d)*):/g);
  return [...new Set([...names].flatMap(([, rows = ""]) => rows.split(" ")))].sort();
}

/**
 * Reads the results of one file from its JUnit report and from what it printed. A test says that it did not run by
 * `Skipped: REASON`, or is ignored and its file says `NAME_test: skipped, REASON` or its name has `(skipped: REASON)`. A
 * file that says `NAME_test: skipped in part, REASON` and ignores nothing says so of all its tests.
 * A test that was ignored without a reason counts as failed: nobody would ever miss it.
 */
export function resultsOf(junit: string, output: string): TestResult[] {
  const results: TestResult[] = [];
  const ofFile = /^\w+_test: [^,\n]*\bskipped\b[^,\n]*, (.+)$/m.exec(output)?.[1] ?? "";
  for (const [, attributes = "", inner = ""] of junit.matchAll(/<testcase ([^>]*?)(?:\/>|>([\s\S]*?)<\/testcase>)/g)) {
    const name = unescaped(/\bname="([^"]*)"/.exec(attributes)?.[1] ?? "");
    if (rowsOf(name).length === 0) continue;
    const seconds = Number(/\btime="([\d.]+)"/.exec(attributes)?.[1] ?? 0);
    const failure = /<(?:failure|error)(?: message="([^"]*)")?/.exec(inner);
    const ignored = inner.includes("<skipped");
    const said = ignored ? /\(skipped: (.+)\)$/.exec(name)?.[1] ?? ofFile : saidBy(name, output);
    const forgotten = ignored && said === "";
    results.push({
      name,
      seconds,
      outcome: failure !== null || forgotten ? "failed" : said === "" ? "passed" : "skipped",
      reason: failure !== null
        ? firstLine(unescaped(failure[1] ?? ""))
        : forgotten
        ? "It was ignored without a reason"
        : said,
    });
  }
  if (ofFile === "" || results.some(({ outcome }) => outcome === "skipped")) return results;
  return results.map((result) => result.outcome === "passed" ? { ...result, reason: `in part: ${ofFile}` } : result);
}

/** What a test printed after `Skipped: `, or nothing. */
function saidBy(name: string, output: string): string {
  const [begin, end] = ["------- output -------\n", "----- output end -----\n"];
  for (const block of output.split(begin).slice(1)) {
    const at = block.indexOf(end);
    if (!block.startsWith(`${name} ...`, at + end.length)) continue;
    const reason = /^Skipped: (.+)$/m.exec(block.slice(0, at))?.[1];
    if (reason !== undefined) return reason;
  }
  return "";
}

/** One verdict for each row, in their order. */
export function verdicts(rows: readonly Row[], results: readonly TestResult[]): Verdict[] {
  return rows.map((row) => {
    const own = results.filter(({ name }) => rowsOf(name).includes(row.id));
    const seconds = own.reduce((sum, test) => sum + test.seconds, 0);
    const failed = own.filter(({ outcome }) => outcome === "failed");
    const skipped = own.filter(({ outcome }) => outcome === "skipped");
    const base = { row, seconds, tests: own.length };
    if (own.length === 0) return { ...base, verdict: "not covered", reason: row.missing ?? "" };
    if (failed.length > 0) return { ...base, verdict: "FAIL", reason: reasons(failed) };
    if (skipped.length > 0) {
      const part = skipped.length < own.length ? ` (${skipped.length} of ${own.length} tests)` : "";
      return { ...base, verdict: "skipped", reason: reasons(skipped) + part };
    }
    const parts = own.filter(({ reason }) => reason !== "");
    const notes = [
      ...row.missing === undefined ? [] : [`without ${row.missing}`],
      ...parts.length > 0 ? [reasons(parts)] : [],
    ];
    return { ...base, verdict: "pass", reason: notes.join("; ") };
  });
}

/** What is wrong with a whole run, in sentences; nothing where it is right. */
export function faultsOf(all: readonly Verdict[], leastCovered: number): string[] {
  const faults: string[] = [];
  const failed = all.filter(({ verdict }) => verdict === "FAIL").map(({ row }) => row.id);
  if (failed.length > 0) faults.push(`Failed: ${failed.join(", ")}`);
  const open = all.filter(({ verdict }) => verdict === "not covered");
  const starred = open.filter(({ row }) => row.star).map(({ row }) => row.id);
  if (starred.length > 0) faults.push(`Headline rows without a test: ${starred.join(", ")}`);
  const silent = open.filter(({ reason }) => reason === "").map(({ row }) => row.id);
  if (silent.length > 0) faults.push(`Rows with neither a test nor a reason: ${silent.join(", ")}`);
  const covered = all.length - open.length;
  if (covered < leastCovered) faults.push(`Only ${covered} rows have tests, at least ${leastCovered} must`);
  return faults;
}

function reasons(results: readonly TestResult[]): string {
  return [...new Set(results.map(({ reason }) => reason || "no reason was told"))].join("; ");
}

function firstLine(text: string): string {
  return text.split("\n")[0] ?? "";
}

function unescaped(text: string): string {
  const entities: Record<string, string> = { lt: "<", gt: ">", quot: '"', apos: "'", amp: "&" };
  return text.replaceAll(/&(?:#(\d+)|#x([0-9a-fA-F]+)|(\w+));/g, (whole, decimal, hex, name) => {
    if (name !== undefined) return entities[name] ?? whole;
    return String.fromCodePoint(decimal === undefined ? parseInt(hex, 16) : Number(decimal));
  });
}
