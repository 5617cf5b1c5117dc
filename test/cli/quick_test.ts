/** `quick.ts` says what main.ts says, sooner, and is main.ts for everything else. */
import assert from "node:assert/strict";
import { fileURLToPath } from "node:url";
import project from "../../deno.json" with { type: "json" };
import index from "../../src/cli/command_index.json" with { type: "json" };
import type { CommandOutline } from "../../src/cli/command.ts";
import { quickAnswer } from "../../src/cli/quick_answer.ts";
import { FIXTURES, MODEL } from "../mesh/test_node.ts";
import { cleanEnvironment, finished, FROM_SOURCE, NodeProcess } from "../support/node_process.ts";
import { commandIndex } from "./command_index.ts";
import { runMain } from "./run_main.ts";

const [DENO = "", ...ARGS] = FROM_SOURCE.slice(0, -1);
const QUICK = fileURLToPath(new URL("../../quick.ts", import.meta.url));

const COMMANDS = index as readonly CommandOutline[];

function answered(...args: string[]): Promise<string | null> {
  return quickAnswer(args, { version: "1.2.3", commands: COMMANDS, ask: () => Promise.reject(new Error("Nobody")) });
}

Deno.test("the index of commands is what the commands are", () => {
  assert.deepEqual(index, commandIndex(), "Run deno task index, and commit what it wrote");
});

Deno.test("quickAnswer() says what main() says", async () => {
  const names = COMMANDS.map(({ name }) => name.split(" "));
  const groups = [...new Set(names.map(([first = ""]) => first))];
  const lines = [
    ["--version"],
    ["version"],
    ["-V"],
    ["--help"],
    ["-h"],
    ["help"],
    ["completion", "bash"],
    ["completion", "zsh"],
    ["completion", "fish"],
    ...names.flatMap((words) => [[...words, "--help"], [...words, "-h"], ["help", ...words]]),
    ...groups.flatMap((group) => [[group, "--help"], [group, "help"], ["help", group]]),
  ];
  for (const line of lines) {
    const { code, stdout } = await runMain(line);
    const quick = await answered(...line);
    if (quick !== null) assert.deepEqual([code, stdout], [0, quick], line.join(" "));
    else assert.equal(line.at(-1), "help", `${line.join(" ")} needs the whole program`);
  }
});

Deno.test("quickAnswer() leaves to main() what is wrong, and what there is to do", async () => {
  for (
    const line of [
      [],
      ["status"],
      ["--models", "x"],
      ["sttus", "--help"],
      ["peers", "approve", "x", "--help"],
      [
        "completion",
        "tcsh",
      ],
      ["completion"],
      ["serve", "help"],
      ["help", "nothing"],
      ["worker", "--help"],
    ]
  ) assert.equal(await answered(...line), null, line.join(" "));
  assert.equal(await answered("__complete", "models"), "");
  assert.equal(await answered("__complete", "nonsense", "x"), "");
});

Deno.test("quick.ts loads a small part of the program", async () => {
  const { code, stdout } = await finished(DENO, { args: ["info", "--json", QUICK], env: cleanEnvironment() });
  assert.equal(code, 0);
  const { modules, roots } = JSON.parse(stdout) as {
    modules: { specifier: string; dependencies?: { code?: { specifier?: string } }[] }[];
    roots: string[];
  };
  const dependencies = new Map(modules.map(({ specifier, dependencies = [] }) => [specifier, dependencies]));
  const loaded = new Set(roots);
  // A set is walked to the end of what is added meanwhile.
  for (const one of loaded) {
    for (const { code } of dependencies.get(one) ?? []) if (code?.specifier !== undefined) loaded.add(code.specifier);
  }
  assert.ok(loaded.size > 10 && loaded.size < 50, `${loaded.size} modules: ${[...loaded].join(" ")}`);
});

Deno.test("quick.ts is the whole program for everything else: it starts a node that answers", async () => {
  const command = [DENO, ...ARGS, QUICK];
  const run = (...args: string[]) => finished(DENO, { args: [...ARGS, QUICK, ...args], env: cleanEnvironment() });
  assert.deepEqual(await run("--version"), { code: 0, stdout: `ark-node ${project.version}\n`, stderr: "" });
  assert.equal((await run("sttus")).code, 2);
  await using node = await NodeProcess.start({
    name: "N",
    command,
    args: ["--no-mdns", "--gpu", "off", "--models", FIXTURES],
  });
  const asked = await node.cli("ask", MODEL, "Hello", "--max-tokens", "2", "--json");
  assert.equal(asked.code, 0, asked.stderr);
  assert.equal(JSON.parse(asked.stdout).usage.completion_tokens, 2);
  assert.equal((await node.cli("__complete", "models")).stdout, `${MODEL}\n`);
  assert.equal((await run("__complete", "models", `--data=${node.ready.data}`)).stdout, `${MODEL}\n`);
});
