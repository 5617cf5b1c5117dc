/** What every command has: a help with an example that fits a usual terminal, and a way back from a slip. */
import assert from "node:assert/strict";
import { parseFlags } from "@ark/node/config";
import { displayWidth } from "../../src/cli/display_width.ts";
import { groupsOf, membersOf } from "../../src/cli/command_groups.ts";
import { findCommand } from "../../src/cli/command_tree.ts";
import { COMMANDS } from "../../src/cli/commands/mod.ts";
import { EXAMPLES } from "../../src/cli/examples.ts";
import { COMMON_FLAGS } from "../../src/cli/help.ts";
import { reflow } from "../../src/cli/reflow.ts";
import { runMain } from "./run_main.ts";

function assertFits(text: string): void {
  for (const line of text.split("\n")) assert.ok(displayWidth(line) <= 80, `${displayWidth(line)} columns: ${line}`);
}

Deno.test("the program's help fits 80 columns and names every group", async () => {
  const { stdout } = await runMain(["--help"]);
  assertFits(stdout);
  assert.equal((await runMain(["help"])).stdout, stdout);
  for (const group of groupsOf(COMMANDS)) assert.match(stdout, new RegExp(`\n  ${group} `));
  assert.deepEqual(
    groupsOf(COMMANDS).filter((group) => ["config", "service", "wg", "registry"].includes(group)).length,
    4,
  );
});

for (const command of COMMANDS.filter(({ hidden }) => !hidden)) {
  Deno.test(`the help of '${command.name}' fits 80 columns and has an example that the program understands`, async () => {
    const { code, stdout } = await runMain([...command.name.split(" "), "--help"]);
    assert.equal(code, 0);
    assertFits(stdout);
    assert.equal((await runMain(["help", ...command.name.split(" ")])).stdout, stdout);
    assert.equal((await runMain([...command.name.split(" "), "-h"])).stdout, stdout);
    const example = command.example ?? EXAMPLES[command.name] ?? assert.fail("It has no example");
    assert.ok(stdout.includes(`\nExample: ${example}\n`));
    const line = example.match(/ark-node ?([^|>)]*)/)?.[1] ?? assert.fail(example);
    const words = (line.match(/'[^']*'|"[^"]*"|\S+/g) ?? []).map((word) => word.replaceAll(/^['"]|['"]$/g, ""));
    const found = findCommand(words, COMMANDS);
    assert.ok(found.kind === "command");
    assert.equal(found.command.name, command.name);
    parseFlags(found.rest, { ...command.flags, ...COMMON_FLAGS });
  });
}

for (const group of groupsOf(COMMANDS)) {
  Deno.test(`the group '${group}' has a help, a default or a sentence, and knows slips`, async () => {
    const help = await runMain([group, "--help"]);
    assert.equal(help.code, 0);
    assertFits(help.stdout);
    assert.match(help.stdout, /\nExample: /);
    for (const same of [[group, "-h"], [group, "help"], ["help", group]]) {
      assert.deepEqual(await runMain(same), help, same.join(" "));
    }
    const members = membersOf(COMMANDS, group).map(({ name }) => name);
    for (const name of members) assert.ok(help.stdout.includes(`\n  ${name}`), name);
    const bare = await runMain([group], { ARK_DATA: "/nonexistent/ark" });
    if (bare.code === 2 && !/Name the registry/.test(bare.stderr)) {
      assert.match(
        bare.stderr,
        new RegExp(`^ark-node: Say what to do: ark-node ${group} .*see ark-node ${group} --help\n$`),
      );
    }
    const [first = ""] = members;
    const slip = await runMain([group, `${first.slice(group.length + 1)}x`]);
    assert.equal(slip.code, 2);
    assert.ok(slip.stderr.includes(`did you mean ${group} `), slip.stderr);
    const { stderr } = await runMain([group, "zzzzzzzz"]);
    assert.equal(stderr, `ark-node: There is no command ${group} zzzzzzzz: see ark-node ${group} --help\n`);
  });
}

Deno.test("a slip in a command or a flag gets the nearest one, and the help that says more", async () => {
  const slips: [string[], string][] = [
    [["sttus"], "There is no command sttus, did you mean status: see ark-node --help"],
    [["peer", "list"], "There is no command peer, did you mean peers: see ark-node --help"],
    [["pull", "x"], "There is no command pull, did you mean models pull: see ark-node --help"],
    [["approve"], "There is no command approve, did you mean peers approve or models approve: see ark-node --help"],
    [["zzzzzzzzz"], "There is no command zzzzzzzzz: see ark-node --help"],
    [["help", "sttus"], "There is no command sttus, did you mean status: see ark-node --help"],
    [
      ["peers", "approve", "x", "--moels", "a"],
      "Unknown flag --moels, did you mean --models: see ark-node peers approve --help",
    ],
    [["--lissten", "x"], "Unknown flag --lissten, did you mean --listen: see ark-node serve --help"],
    [["ask", "--file"], "Flag --file needs a value: see ark-node ask --help"],
    [["status", "--json=yes"], "Flag --json takes no value: see ark-node status --help"],
  ];
  for (const [args, sentence] of slips) {
    const { code, stderr } = await runMain(args);
    assert.deepEqual([code, stderr], [2, `ark-node: ${sentence}\n`]);
  }
});

Deno.test("reflow() joins and wraps paragraphs, and keeps lists", () => {
  assert.equal(reflow("one two\nthree four five", 13), "one two three\nfour five");
  assert.equal(
    reflow("Kinds:\n  a       a long text here\n          that goes on\n  b       short", 24),
    "Kinds:\n  a       a long text\n          here that goes\n          on\n  b       short",
  );
});
