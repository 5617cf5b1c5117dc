/**
 * `deno task test`: all tests, several files at a time. Whole nodes with their processes, browsers and network namespaces have
 * times that a machine may miss which is busy with the other files. So a file that failed is run once more alone, and what it
 * says then counts. Which ones these were is said at the end; with `ARK_ONCE=1` none is.
 */
const ARGS = ["test", "-A", "--preload", new URL("./support/time_limit.ts", import.meta.url).pathname];

/** Files with failed tests, by a report in JUnit's format. */
function failedFiles(report: string): string[] {
  return [...report.matchAll(/<testsuite name="([^"]+)"[^>]* errors="(\d+)" failures="(\d+)"/g)].flatMap(
    ([, name = "", errors, failures]) => errors === "0" && failures === "0" ? [] : name.replace(/#.*$/, ""),
  );
}

async function run(...args: string[]): Promise<number> {
  const { code } = await new Deno.Command(Deno.execPath(), { args: [...ARGS, ...args] }).spawn().status;
  return code;
}

const report = await Deno.makeTempFile({ suffix: ".xml" });
let code = await run("--doc", "--parallel", `--junit-path=${report}`, ...Deno.args);
const failed = [...new Set(failedFiles(await Deno.readTextFile(report)))];
await Deno.remove(report);
// Many are no matter of a busy machine.
if (code !== 0 && failed.length > 0 && failed.length <= 12 && Deno.env.get("ARK_ONCE") !== "1") {
  // deno-lint-ignore no-console
  console.log(`\nFailed beside others, and run once more alone: ${failed.join(", ")}\n`);
  code = await run("--doc", ...failed);
}
Deno.exit(code);
