/** The scripts of `ark-node completion` in real shells, and what they ask the program. */
import assert from "node:assert/strict";
import { fileURLToPath } from "node:url";
import { COMMANDS } from "../../src/cli/commands/mod.ts";
import { cleanEnvironment, finished, FROM_SOURCE } from "../support/node_process.ts";
import { noPseudoTerminal, PseudoTerminal } from "../support/pseudo_terminal.ts";
import { withDirectory } from "../support/temporary.ts";
import { runMain } from "./run_main.ts";
import { ScriptedNode } from "./scripted_node.ts";

const QUICK = fileURLToPath(new URL("../../quick.ts", import.meta.url));

const EVIL = ["$(touch pwned)", "`touch pwned`", "a;touch pwned", "x y", "-rf", "\u001b[2J", "q'uote", "*"];
const MODEL = "llama3.1:8b";

function answers() {
  const peers = ["cellar", "attic", ...EVIL].map((name, number) => ({ name, node_id: `abcdefg${number}-rest` }));
  return {
    "/models": { models: [{ id: MODEL, aliases: ["fast"] }, ...EVIL.map((id) => ({ id }))] },
    "/peers/status": { peers },
    "/peers/discovered": { peers: [{ node_id: "qrxskp2m-6z7g76bv" }] },
    "/keys": { keys: [{ name: "webui", revoked_at: null }, { name: "old", revoked_at: "2026-01-01" }] },
    "/invites": { invitations: [{ name: "bob" }] },
    "/api/v1/requests": { requests: [{ id: "req_1" }] },
  };
}

async function has(shell: string): Promise<boolean> {
  try {
    return (await finished(shell, { args: ["--version"], env: cleanEnvironment() })).code === 0;
  } catch {
    return false;
  }
}

/** A folder with the program on its path, the script of a shell, and a node that answers. */
async function withShell(
  shell: "bash" | "zsh" | "fish",
  test: (place: { directory: string; script: string; env: Record<string, string> }) => Promise<void>,
): Promise<void> {
  if (!await has(shell)) {
    // deno-lint-ignore no-console -- a skip says why
    console.log(`Skipped: there is no ${shell} here`);
    return;
  }
  await using node = await ScriptedNode.start(answers());
  await withDirectory(async (directory) => {
    const { code, stdout } = await runMain(["completion", shell]);
    assert.equal(code, 0);
    const script = `${directory}/script`;
    await Deno.writeTextFile(script, stdout);
    const command = [...FROM_SOURCE.slice(0, -1), QUICK].map((word) => `'${word}'`).join(" ");
    await Deno.writeTextFile(`${directory}/ark-node`, `#!/bin/sh\nexec ${command} "$@"\n`, { mode: 0o755 });
    const clean = cleanEnvironment();
    const env = { ...clean, ARK_DATA: node.data, PATH: `${directory}:${clean.PATH}`, HOME: directory };
    await test({ directory, script, env });
    await assert.rejects(Deno.stat(`${directory}/pwned`), Deno.errors.NotFound, "Nothing that a name says is run");
  });
}

/** What stands on the line, and what may come of it. */
const CASES: readonly (readonly [line: string, values: readonly string[]])[] = [
  ["ark-node sta", ["status"]],
  ["ark-node peers pa", ["pair", "pause"]],
  ["ark-node peers pause ", ["attic", "cellar", ...EVIL.map((_, number) => `abcdefg${number + 2}`)]],
  ["ark-node peers pause ce", ["cellar"]],
  ["ark-node ask ", ["fast", MODEL]],
  ["ark-node ask llama3.1:", [MODEL]],
  ["ark-node models pull --fr", ["--from"]],
  ["ark-node models pull --from att", ["attic"]],
  ["ark-node peers why cellar fa", ["fast"]],
  ["ark-node peers approve ", ["qrxskp2m"]],
  ["ark-node keys revoke ", ["webui"]],
  ["ark-node invites revoke ", ["bob"]],
  ["ark-node requests ", ["req_1"]],
  ["ark-node ask --max-tokens 5 fa", ["fast"]],
  ["ark-node audit --cou", ["--count"]],
  ["ark-node --mesh", ["--mesh-listen"]],
  ["ark-node help peers pau", ["pause"]],
  ["ark-node ask --data /nonexistent ", []],
  ["ark-node nonsense ", []],
];

Deno.test("completion bash completes commands, flags and names in bash, and runs nothing that a name says", () =>
  withShell("bash", async ({ directory, script, env }) => {
    const lines = CASES.filter(([line]) => !line.includes("help peers")).map(([line]) => line);
    const all = [...lines, `ark-node ask --file ${directory}/scr`, "ark-node ask --system"];
    const program = `cd '${directory}'; source '${script}'; declare -F _ark_node >/dev/null || exit 9
for line in "$@"; do
  COMP_LINE=$line COMP_POINT=\${#line} COMPREPLY=()
  read -ra COMP_WORDS <<<"$line"; COMP_CWORD=$((\${#COMP_WORDS[@]} - 1))
  _ark_node; printf '%s\\n' "\${#COMPREPLY[@]}" "\${COMPREPLY[@]}"
done`;
    const { code, stdout, stderr } = await finished("bash", {
      args: ["--norc", "-c", program, "bash", ...all],
      env,
    });
    assert.deepEqual([code, stderr], [0, ""]);
    const words = stdout.split("\n");
    const next = () => {
      const count = Number(words.shift());
      return words.splice(0, count).sort();
    };
    for (const line of lines) {
      const values = CASES.find(([one]) => one === line)?.[1] ?? [];
      // Bash replaces what stands behind the last colon.
      const colon = line.endsWith(":") ? "llama3.1:" : "";
      assert.deepEqual(next(), values.map((value) => value.slice(colon.length)).sort(), line);
    }
    assert.deepEqual(next(), [`${directory}/script`]);
  }));

Deno.test("completion fish completes commands, flags and names in fish, and runs nothing that a name says", () =>
  withShell("fish", async ({ directory, script, env }) => {
    const lines = CASES.filter(([line]) => !line.includes("help peers")).map(([line]) => line);
    const program = `cd '${directory}'; source '${script}'; for line in $argv; echo "= $line"; complete -C $line; end`;
    const { code, stdout, stderr } = await finished("fish", { args: ["--no-config", "-c", program, ...lines], env });
    assert.deepEqual([code, stderr], [0, ""]);
    const sections = stdout.split(/^= /m).slice(1).map((section) => section.split("\n"));
    assert.equal(sections.length, lines.length);
    for (const [line = "", ...found] of sections) {
      const values = CASES.find(([one]) => one === line)?.[1] ?? [];
      const got = found.map((one) => one.split("\t")[0] ?? "").filter(Boolean);
      // Fish also offers what has the text in it somewhere.
      assert.deepEqual(values.filter((value) => !got.includes(value)), [], `${line}: ${got}`);
      assert.ok(got.every((one) => !EVIL.includes(one)), line);
    }
  }));

const noTerminal = await noPseudoTerminal();

Deno.test({
  name: "completion zsh completes commands, flags and names in an interactive zsh",
  ignore: noTerminal !== null,
  fn: () =>
    withShell("zsh", async ({ directory, script, env }) => {
      for (
        const [typed, whole] of [
          ["ark-node peers pau", "ark-node peers pause"],
          ["ark-node peers pause ce", "ark-node peers pause cellar"],
          ["ark-node ask lla", "ark-node ask llama3.1:8b"],
          ["ark-node models pull --from att", "ark-node models pull --from attic"],
          ["ark-node audit --cou", "ark-node audit --count"],
        ] as const
      ) {
        await using terminal = new PseudoTerminal(["zsh", "-f", "-i"], {
          columns: 200,
          rows: 24,
          env: { ...env, TERM: "dumb" },
        });
        await terminal.type(`cd ${directory}; autoload -Uz compinit; compinit -D -u; source ${script}; echo RE''ADY\n`);
        await terminal.shows(/^READY$/m);
        await terminal.type(`${typed}\t`);
        await terminal.shows(new RegExp(`\\S+ ${whole}$`, "m"));
      }
    }),
});

Deno.test("__complete says values that need no quotes, and nothing else, whatever happens", async () => {
  await using node = await ScriptedNode.start(answers());
  const values = async (...args: string[]) => {
    const done = await runMain(["__complete", ...args]);
    assert.deepEqual([done.code, done.stderr], [0, ""], args.join(" "));
    return done.stdout;
  };
  assert.equal(await values("models", "--data", node.data), `${MODEL}\nfast\n`);
  assert.equal(await values("nodes", "--data", node.data), "qrxskp2m\n");
  assert.equal(await values("nonsense", "--data", node.data), "");
  assert.equal(await values("models", "--data", "/nonexistent"), "");
  node.answers["/models"] = { models: "no" };
  assert.equal(await values("models", "--data", node.data), "");
  // A node that says nothing is not waited for.
  node.answers["/models"] = (request: Request) =>
    new Promise<Response>((resolve) =>
      request.signal.addEventListener("abort", () => resolve(new Response(null, { status: 499 })))
    );
  assert.equal(await values("models", "--data", node.data), "");
});

Deno.test("completion knows every command that is shown, and none that is not", async () => {
  for (const shell of ["bash", "zsh", "fish"]) {
    const { stdout } = await runMain(["completion", shell]);
    for (const { name, hidden } of COMMANDS) {
      if (hidden) assert.ok(!stdout.includes(`'${name}'`), name);
      else assert.ok(stdout.includes(name.split(" ").at(-1) ?? ""), name);
    }
    assert.equal(JSON.parse((await runMain(["completion", shell, "--json"])).stdout).script + "\n", stdout);
  }
  for (const args of [[], ["tcsh"], ["bash", "zsh"]]) assert.equal((await runMain(["completion", ...args])).code, 2);
});
