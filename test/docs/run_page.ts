/** Runs or checks every block of a page. */
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { parse as parseToml } from "smol-toml";
import { askAsClient, isClient } from "./clients.ts";
import { arkCalls, callFault } from "./command_lines.ts";
import { difference } from "./expected.ts";
import type { Machine, Ran } from "./machine.ts";
import type { Block, Page } from "./page.ts";
import { Sandbox } from "./sandbox.ts";
import { parseYaml } from "./yaml.ts";

/** What came of a page. */
export interface PageResult {
  /** What is wrong, as `page:line: sentence`. */
  readonly faults: string[];
  /** What did not run, and why. */
  readonly notRun: string[];
  /** Blocks that ran or were checked. */
  checked: number;
}

/** Configuration of the checkout, which knows where packages are. */
const CONFIG = fileURLToPath(new URL("../../deno.json", import.meta.url));

const CHECKOUT = dirname(CONFIG);

/** Languages that are read, and what reads them. */
const READERS: Readonly<Record<string, (text: string) => unknown>> = {
  json: JSON.parse,
  toml: parseToml,
  yaml: parseYaml,
};

/** Languages that are run. */
const PROGRAMS = ["sh", "js"];

/** Runs a page from its first block to its last, on two machines of its own. What is printed can be shown, too. */
export async function runPage(page: Page, show: (output: string) => void = () => {}): Promise<PageResult> {
  const result: PageResult = { faults: [], notRun: [], checked: 0 };
  const fault = ({ line }: Block, sentence: string) => void result.faults.push(`${page.name}:${line}: ${sentence}`);
  for (const block of page.blocks.filter(({ language }) => language === "sh")) {
    for (const words of arkCalls(block.text)) {
      const why = await callFault(words);
      if (why !== null) fault(block, `'ark-node ${words.join(" ")}': ${why}`);
    }
  }
  for (const block of page.blocks.filter(({ marker }) => marker.notRun !== null)) {
    const { language, text, line, marker: { notRun } } = block;
    if (notRun === "") fault(block, "a block that is not run needs a reason");
    result.notRun.push(`${page.name}:${line}: ${notRun} (${text.split("\n")[0]})`);
    tried(() => READERS[language]?.(text), (sentence) => fault(block, `it cannot be read: ${sentence}`));
  }
  const blocks = page.blocks.filter(({ marker }) => marker.notRun === null);
  if (blocks.length === 0) return result;
  await using sandbox = await Sandbox.make(page);
  let together: Promise<void>[] = [];
  for (const [at, block] of blocks.entries()) {
    const { language, marker: { settings } } = block;
    const machine = settings.get("on") === "there" ? sandbox.there : sandbox.here;
    const one = { block, machine, sandbox, fault, show };
    try {
      await prepare(one);
    } catch (error) {
      fault(block, `what it needs did not come to pass: ${error instanceof Error ? error.message : error}`);
    }
    result.checked++;
    if (PROGRAMS.includes(language)) {
      const next = blocks[at + 1];
      const running = runProgram({ ...one, shown: next?.language === "text" ? next : undefined });
      together.push(running);
      // One that runs together with the next one is waited for with that.
      if (settings.has("together")) continue;
      await Promise.all(together);
      together = [];
    } else if (language === "text") {
      if (!PROGRAMS.includes(blocks[at - 1]?.language ?? "")) {
        fault(block, "what a page shows stands right behind the command that prints it");
      }
    } else if (language in READERS) await checkFile(one);
    else fault(block, `a block of the language "${language}" cannot run here: mark it with <!-- not run: reason -->`);
  }
  await Promise.all(together);
  return result;
}

/** A block, and where it belongs. */
interface Placed {
  block: Block;
  machine: Machine;
  sandbox: Sandbox;
  fault(block: Block, sentence: string): void;
  show(output: string): void;
}

/** Waits for what a block needs, and brings what another machine made. */
async function prepare({ block: { marker: { settings } }, machine, sandbox }: Placed): Promise<void> {
  const [after, carried, model, command] = ["after", "bring", "reaches", "prepare"].map((name) => settings.get(name));
  if (after !== undefined) await sandbox.other(machine).prints(after);
  if (carried !== undefined) await machine.run(`cp -r '${join(sandbox.other(machine).home, carried)}' ~/`);
  if (command !== undefined) await machine.run(command);
  if (model !== undefined) await sandbox.reaches(model);
}

/** Runs a block, and compares what it prints with what the page shows. */
async function runProgram(
  { block, machine, sandbox, fault, show, shown }: Placed & { shown: Block | undefined },
): Promise<void> {
  const { language, marker: { settings } } = block;
  // The sandbox has addresses of the loopback only, where no key is needed unless the owner says so.
  const keys = block.text.includes("0.0.0.0:8910") ? "ARK_REQUIRE_KEYS=1\n" : "";
  const place = settings.has("checkout") ? `cd ${CHECKOUT}\n` : "";
  const text = place + keys + sandbox.actual(block.text, machine);
  let ran: Ran;
  if (language === "sh") {
    const types = settings.get("types");
    ran = await machine.run(text, types === undefined ? {} : { types: types.split("/").map((line) => line.trim()) });
  } else {
    const file = join(machine.root, `block-${block.line}.mjs`);
    await Deno.writeTextFile(file, text);
    ran = await machine.run(`${Deno.execPath()} run -A --config ${CONFIG} ${file}`);
  }
  const { code, output } = ran;
  show(`\n$ ${block.text.trim()}\n${output}`);
  const wanted = Number(settings.get("exit") ?? "0");
  if (code !== wanted) {
    return fault(block, `it ended with ${code} and not with ${wanted}:\n${block.text.trim()}\n${output.trim()}`);
  }
  const wrong = shown === undefined ? null : difference(sandbox.actual(shown.text, machine), output);
  if (wrong !== null && shown !== undefined) fault(shown, wrong);
}

/**
 * Checks a file: one of ark-node's own by `ark-node config check`, one of a client by asking what the client would ask.
 * With `file: PATH` it lies there from then on.
 */
async function checkFile({ block, machine, sandbox, fault }: Placed): Promise<void> {
  const { language, marker: { settings } } = block;
  const text = sandbox.actual(block.text, machine);
  const path = settings.get("file")?.replace(/^~/, machine.home);
  if (path !== undefined) {
    await machine.run(`mkdir -p "$(dirname '${path}')"`);
    await Deno.writeTextFile(path, text);
  }
  const client = settings.get("client");
  try {
    const value = READERS[language]?.(text);
    if (client !== undefined && isClient(client)) return await askAsClient(client, value);
    if (client !== undefined) return fault(block, `there is no client ${client}`);
    if (settings.has("other")) return;
  } catch (error) {
    return fault(block, `${error instanceof Error ? error.message : error}`);
  }
  const name = path ?? join(machine.root, `block-${block.line}.${language}`);
  if (path === undefined) await Deno.writeTextFile(name, text);
  const { code, output } = await machine.run(`ark-node config check ${name}`);
  if (code !== 0) fault(block, output.trim());
}

function tried(act: () => unknown, failed: (sentence: string) => void): void {
  try {
    act();
  } catch (error) {
    failed(error instanceof Error ? error.message : String(error));
  }
}
