/** Runs pages of the documentation by hand: `deno run -A test/docs/main.ts [--show] docs/nas.md …`. */
import { relative } from "node:path";
import { parsePage } from "./page.ts";
import { runPage } from "./run_page.ts";

function say(line: string): void {
  Deno.stdout.writeSync(new TextEncoder().encode(`${line}\n`));
}

const show = Deno.args.includes("--show") ? (output: string) => say(output.slice(0, 1_500)) : () => {};

for (const path of Deno.args.filter((word) => word !== "--show")) {
  const began = performance.now();
  const { faults, notRun, checked } = await runPage(
    parsePage(relative(Deno.cwd(), path), await Deno.readTextFile(path)),
    show,
  );
  for (const line of [...notRun.map((line) => `not run  ${line}`), ...faults.map((line) => `FAULT    ${line}`)]) {
    say(line);
  }
  say(`${path}: ${checked} blocks, ${faults.length} faults, ${Math.round(performance.now() - began)} ms`);
}
