// deno-lint-ignore-file no-console
/**
 * A million inputs for each parser: `deno task fuzz:long [TARGET…] [--inputs=N] [--seed=N]`.
 *
 * Each target runs in a process of its own, as many at once as there are cores. A line for each says how many inputs it
 * took, how many of them were accepted, how many the mutations began with in the end, how fast it was, and how long the
 * slowest took. Fails where a promise is broken; the message has the seed and a small form of the input.
 */
import { fuzz, type FuzzReport } from "./fuzz.ts";
import { TARGETS } from "./targets/mod.ts";

/** An input that takes longer than this is worth a look. */
const LONG_MS = 1_000;
/** Inputs whose choice is guided by coverage. */
const GUIDED = 20_000;

function option(name: string, otherwise: number): number {
  const given = Deno.args.find((arg) => arg.startsWith(`--${name}=`))?.slice(name.length + 3);
  return given === undefined ? otherwise : Number(given);
}

const inputs = option("inputs", 1_000_000);
const seed = option("seed", Math.floor(Date.now() / 1_000) & 0x7fffffff);
const asked = Deno.args.filter((arg) => !arg.startsWith("--"));

async function child(name: string): Promise<number> {
  const target = TARGETS.find((one) => one.name === name);
  if (target === undefined) throw new RangeError(`There is no target ${name}`);
  // Most inputs end in an error, and its stack is the dearest part of it.
  Error.stackTraceLimit = 0;
  const count = Math.ceil(inputs / (target.cost ?? 1));
  const report = await fuzz(target, { inputs: count, seed, guided: Math.min(GUIDED, Math.ceil(count / 10)) });
  console.log(JSON.stringify(report));
  return 0;
}

/** Runs a target in a process of its own; whether its promise held. */
async function run(name: string): Promise<boolean> {
  const { code, stdout, stderr } = await new Deno.Command(Deno.execPath(), {
    args: [
      "run",
      "-A",
      "--no-check",
      import.meta.filename ?? "",
      name,
      "--child",
      `--inputs=${inputs}`,
      `--seed=${seed}`,
    ],
    stdout: "piped",
    stderr: "piped",
    env: { NO_COLOR: "1" },
  }).output();
  if (code !== 0) {
    console.log(`${name.padEnd(18)} FAIL\n${new TextDecoder().decode(stderr)}`);
    return false;
  }
  const report: FuzzReport = JSON.parse(new TextDecoder().decode(stdout));
  const rate = Math.round(report.inputs / report.seconds);
  const slow = report.slowestMs > LONG_MS ? ` (longer than ${LONG_MS} ms)` : "";
  console.log(
    `${name.padEnd(18)} pass  ${String(report.inputs).padStart(9)} inputs  ${
      String(report.accepted).padStart(9)
    } accepted  ` +
      `${String(report.corpus).padStart(5)} in the corpus  ${String(rate).padStart(8)}/s  ${
        report.seconds.toFixed(0).padStart(5)
      } s  slowest ${report.slowestMs.toFixed(1)} ms${slow}`,
  );
  return true;
}

if (Deno.args.includes("--child")) Deno.exit(await child(asked[0] ?? ""));
const stranger = asked.find((name) => !TARGETS.some((one) => one.name === name));
if (stranger !== undefined) {
  console.error(`There is no target ${stranger}: there are ${TARGETS.map(({ name }) => name).join(", ")}`);
  Deno.exit(2);
}
console.log(`Seed ${seed}`);
const names = TARGETS.map(({ name }) => name).filter((name) => asked.length === 0 || asked.includes(name));
let failed = 0;
const lane = async () => {
  for (let name = names.shift(); name !== undefined; name = names.shift()) if (!await run(name)) failed++;
};
await Promise.all(Array.from({ length: navigator.hardwareConcurrency }, lane));
console.log(failed === 0 ? "Every promise held" : `${failed} targets failed`);
Deno.exit(failed === 0 ? 0 : 1);
