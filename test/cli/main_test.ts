import assert from "node:assert/strict";
import { COMMANDS } from "../../src/cli/commands/mod.ts";
import { runMain } from "./run_main.ts";

Deno.test("main() prints its version and its help", async () => {
  assert.deepEqual(await runMain(["--version"]), { code: 0, stdout: "ark-node 1.2.3\n", stderr: "" });
  const { code, stdout } = await runMain(["--help"]);
  assert.equal(code, 0);
  for (const { name, hidden } of COMMANDS) assert.equal(stdout.includes(`\n  ${name}`), hidden !== true, name);
  assert.ok(stdout.split("\n").every((line) => line.length <= 110), "It fits a terminal");
});

for (const command of COMMANDS) {
  Deno.test(`main() has a help for '${command.name}' that names each flag`, async () => {
    const { code, stdout, stderr } = await runMain([...command.name.split(" "), "--help"]);
    assert.deepEqual([code, stderr], [0, ""]);
    assert.match(
      stdout,
      new RegExp(`^${command.summary.replace(/[()]/g, "\\$&")}\\.\n\nUsage: ark-node ${command.name}`),
    );
    for (const flag of [...Object.keys(command.flags), "json", "data", "help"]) {
      assert.ok(stdout.includes(`--${flag}`), flag);
    }
    assert.ok(stdout.split("\n").every((line) => line.length <= 120), "It fits a terminal");
  });
}

Deno.test("main() shows the commands of a group", async () => {
  for (const group of ["peers", "models", "audit"]) {
    const { code, stdout } = await runMain([group, "--help"]);
    assert.equal(code, 0);
    const names = COMMANDS.filter(({ name }) => name.startsWith(`${group} `)).map(({ name }) => name);
    for (const name of names) assert.ok(stdout.includes(name), name);
  }
});

Deno.test("main() says what is wrong with a command line, in one sentence, and exits with 2", async () => {
  const wrong: [string[], RegExp][] = [
    [["statsu"], /There is no command statsu, did you mean status: see ark-node --help/],
    [["peers", "aprove"], /There is no command peers aprove, did you mean peers approve/],
    [["serve", "now"], /There is no command now/],
    [["--rol=compute"], /Unknown flag --rol/],
    [["--role=king"], /Cannot use --role king: the roles are compute, gateway, registry/],
    [["--listen", "0.0.0.0:99999"], /Cannot use --listen 0\.0\.0\.0:99999/],
    [["keys", "create"], /Name one key: ark-node keys create NAME/],
    [["keys", "create", "a", "--rate", "0"], /Flag --rate is a whole number from 1/],
    [["keys", "create", "a", "--expires", "soon"], /Cannot use --expires soon/],
    [["keys", "revoke"], /Name one key: ark-node keys revoke/],
    [["peers", "approve"], /Name one node: ark-node peers approve KEY\|ID/],
    [["peers", "approve", "a", "b"], /Name one node/],
    [["peers", "revoke"], /Name one peer/],
    [["ask"], /Name a model and a question/],
    [["audit", "tail", "--count", "0"], /Flag --count is a whole number from 1/],
  ];
  for (const [args, sentence] of wrong) {
    const { code, stdout, stderr } = await runMain(args, { ARK_DATA: "/nonexistent/ark" });
    assert.equal(code, 2, args.join(" ") + stderr);
    assert.equal(stdout, "");
    assert.match(stderr, sentence);
    assert.match(stderr, /^ark-node: [^\n]+\n$/, "One line");
  }
});

Deno.test("main() exits with 3 where no node runs, also as JSON", async () => {
  const env = { ARK_DATA: "/nonexistent/ark" };
  for (const args of [["status"], ["peers"], ["models"], ["peers", "discovered"], ["ask", "m", "q"]]) {
    const { code, stderr } = await runMain(args, env);
    assert.equal(code, 3, args.join(" "));
    assert.match(stderr, /No node runs with the data directory \/nonexistent\/ark: start one with ark-node/);
  }
  const { code, stdout } = await runMain(["status", "--json"], env);
  assert.equal(code, 3);
  const { error } = JSON.parse(stdout);
  assert.match(error.message, /No node runs/);
  assert.equal(error.exit_code, 3);
});

Deno.test("main() says that there is no key and no audit log yet", async () => {
  const env = { ARK_DATA: "/nonexistent/ark" };
  const id = await runMain(["id"], env);
  assert.deepEqual([id.code, id.stdout], [1, ""]);
  assert.match(id.stderr, /There is no key at \/nonexistent\/ark\/node\.key yet/);
  const audit = await runMain(["audit", "verify"], env);
  assert.equal(audit.code, 1);
  assert.match(audit.stderr, /There is no audit log in \/nonexistent\/ark/);
});
