/** The way of a new user with the real program; and what the real program does where install.sh put it. */
import assert from "node:assert/strict";
import project from "../../deno.json" with { type: "json" };
import { FIXTURES, MODEL } from "../mesh/test_node.ts";
import { type Finished, finished, NodeProcess } from "../support/node_process.ts";
import { noMachines } from "./machine.ts";
import { newUserPath } from "./new_user.ts";
import { nextRelease, realRelease } from "./release_folder.ts";
import { report } from "./report.ts";

const MOST_COMMANDS = 6;
const possible = ["x86_64-unknown-linux-gnu", "aarch64-unknown-linux-gnu"].includes(Deno.build.target);
const noWay = possible ? await noMachines() : `the program is made for Linux here, this is ${Deno.build.target}`;
// deno-lint-ignore no-console
if (noWay !== null) console.log(`new_user_test: the way of a new user is skipped, ${noWay}`);
let root = "";

Deno.test.beforeAll(async () => {
  if (!possible) return;
  root = await Deno.realPath(await Deno.makeTempDir({ prefix: "ark-new-user-" }));
  await Deno.chmod(root, 0o755);
  await realRelease(`${root}/stick`, { work: root });
});

Deno.test.afterAll(async () => {
  if (possible) await Deno.remove(root, { recursive: true });
});

Deno.test({
  name: "A new user comes from a release to the first answer of the neighbour with six commands on two machines",
  ignore: noWay !== null,
  async fn() {
    const path = await newUserPath(`${root}/stick`, { root });
    // deno-lint-ignore no-console
    console.log(report(path));
    assert.ok(path.steps.length <= MOST_COMMANDS, report(path));
    assert.equal(path.answeredBy, "gaming-pc");
    assert.equal(path.served, 1);
  },
});

Deno.test({
  name: "The installed program is upgraded under a running node, goes back, and its service starts what is current",
  ignore: !possible,
  async fn() {
    const home = `${root}/a home`;
    await Deno.mkdir(home);
    const env = { PATH: "/usr/bin:/bin", HOME: home };
    const prefix = `${home}/ark's`;
    const install = (...args: string[]) =>
      finished("/bin/sh", { args: [`${root}/stick/install.sh`, "--prefix", prefix, ...args], env });
    const program = async (...args: string[]) => {
      const { code, stdout, stderr } = await finished(`${prefix}/bin/ark-node`, { args, env });
      assert.equal(code, 0, stderr);
      return stdout.trim();
    };
    const works = async (done: Promise<Finished>) => assert.equal((await done).code, 0, (await done).stderr);
    await works(install());
    {
      await using node = await NodeProcess.start({
        name: "N",
        args: ["--no-mdns", "--models", FIXTURES, "--threads", "1"],
        command: [`${prefix}/bin/ark-node`],
        env,
      });
      const key = await nextRelease(`${root}/next`, { like: `${root}/stick`, version: "99.0.0" });
      await works(install("--from", `${root}/next`, "--key", key));
      assert.equal(await program("--version"), "ark-node 99.0.0");
      // Its worker is started only now, from the program that the node is.
      const { node: by } = await node.json<{ node: string }>("ask", MODEL, "Hello", "--max-tokens", "2");
      assert.equal(by, "N");
    }
    await works(install("--rollback"));
    assert.equal(await program("--version"), `ark-node ${project.version}`);

    const units = ["--directory", `${home}/units`];
    await program("service", "install", ...units, "--data", `${home}/data`);
    const unit = await Deno.readTextFile(`${home}/units/ark-node.service`);
    assert.ok(unit.includes(`ExecStart="${prefix}/lib/ark-node/current/ark-node" --data "${home}/data"`), unit);
    // What stands there runs, also by the link.
    const byLink = await finished(`${prefix}/lib/ark-node/current/ark-node`, { args: ["--version"], env });
    assert.equal(byLink.stdout, `ark-node ${project.version}\n`);
    await program("service", "uninstall", ...units);
    await works(install("--uninstall"));
    await assert.rejects(Deno.stat(`${prefix}/lib/ark-node`), Deno.errors.NotFound);
  },
});
