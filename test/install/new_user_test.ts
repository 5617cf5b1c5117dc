/** The way of a new user with the real program; and what the real program does where install.sh put it. */
import assert from "node:assert/strict";
import { finished } from "../support/node_process.ts";
import { noMachines } from "./machine.ts";
import { newUserPath } from "./new_user.ts";
import { realRelease } from "./release_folder.ts";
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
  name: "A service of the installed program starts what is current, and is known by its link after an upgrade",
  ignore: !possible,
  async fn() {
    const home = `${root}/a home`;
    await Deno.mkdir(home);
    const env = { PATH: "/usr/bin:/bin", HOME: home };
    const prefix = `${home}/ark's`;
    const sh = (...args: string[]) => finished("/bin/sh", { args, env });
    const installed = await sh(`${root}/stick/install.sh`, "--prefix", prefix);
    assert.equal(installed.code, 0, installed.stderr);
    const program = (...args: string[]) => finished(`${prefix}/bin/ark-node`, { args, env });
    const units = ["--directory", `${home}/units`];
    const made = await program("service", "install", ...units, "--data", `${home}/data`);
    assert.equal(made.code, 0, made.stderr);
    const unit = await Deno.readTextFile(`${home}/units/ark-node.service`);
    assert.ok(unit.includes(`ExecStart="${prefix}/lib/ark-node/current/ark-node" --data "${home}/data"`), unit);
    // What stands there runs, also by the link.
    const byLink = await finished(`${prefix}/lib/ark-node/current/ark-node`, { args: ["--version"], env });
    assert.match(byLink.stdout, /^ark-node \d/);
    const gone = await program("service", "uninstall", ...units);
    assert.equal(gone.code, 0, gone.stderr);
    const away = await sh(`${root}/stick/install.sh`, "--prefix", prefix, "--uninstall");
    assert.equal(away.code, 0, away.stderr);
    await assert.rejects(Deno.stat(`${prefix}/lib/ark-node`), Deno.errors.NotFound);
  },
});
