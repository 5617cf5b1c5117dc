import assert from "node:assert/strict";
import { launchdPlist, systemdUnit } from "../../src/cli/service_file.ts";
import { runMain } from "./run_main.ts";

const PLAN = {
  command: ["/opt/ark node/ark-node", "--data", "/var/lib/ark%$x"],
  data: "/var/lib/ark%$x",
  scope: "system",
  reads: ["/home/me/models"],
  user: "ark",
} as const;

async function isThere(program: string): Promise<boolean> {
  return await new Deno.Command(program, { args: ["--version"], stdout: "null", stderr: "null" }).output()
    .then(({ success }) => success, () => false);
}

const verifies = Deno.build.os === "linux" && await isThere("systemd-analyze");
// deno-lint-ignore no-console
if (!verifies) console.log("service_test: one test skipped, there is no systemd-analyze (package systemd)");

Deno.test({
  name: "systemdUnit() makes a unit that systemd accepts, for the machine and for a user",
  ignore: !verifies,
  async fn() {
    const directory = await Deno.makeTempDir({ prefix: "ark-service-" });
    for (const scope of ["system", "user"] as const) {
      const path = `${directory}/ark-${scope}.service`;
      // The program must be there, and the user must exist.
      const command = ["/bin/true", ...PLAN.command.slice(1)];
      await Deno.writeTextFile(path, systemdUnit({ ...PLAN, command, scope, user: "root" }));
      const { code, stderr } = await new Deno.Command("systemd-analyze", {
        args: ["verify", "--man=no", ...scope === "user" ? ["--user"] : [], path],
        env: { XDG_RUNTIME_DIR: directory },
        stdout: "null",
        stderr: "piped",
      }).output();
      const said = new TextDecoder().decode(stderr);
      assert.ok(!said.includes(`ark-${scope}.service`), said);
      // Of other units of the machine it may complain as well.
      assert.ok(code === 0 || said !== "", said);
    }
    await Deno.remove(directory, { recursive: true });
  },
});

Deno.test("systemdUnit() escapes what systemd would read as something else, and lets the node read its models", () => {
  const unit = systemdUnit(PLAN);
  assert.match(unit, /^ExecStart="\/opt\/ark node\/ark-node" --data \/var\/lib\/ark%%\$\$x$/m);
  assert.match(unit, /^ProtectHome=read-only$/m);
  assert.match(unit, /^ReadOnlyPaths=\/home\/me\/models$/m);
  assert.match(systemdUnit({ ...PLAN, reads: [] }), /^ProtectHome=yes$/m);
  // What is hidden could neither be run nor written.
  for (const own of [{ data: "/root/ark" }, { command: ["/home/me/.local/bin/ark-node"] }]) {
    assert.match(systemdUnit({ ...PLAN, reads: [], ...own }), /^ProtectHome=read-only$/m);
  }
  assert.doesNotMatch(unit, /StateDirectory/);
  assert.match(
    systemdUnit({ ...PLAN, data: "/var/lib/ark-node" }),
    /^StateDirectory=ark-node\nStateDirectoryMode=0700\nReadWritePaths=\/var\/lib\/ark-node$/m,
  );
  assert.doesNotMatch(systemdUnit({ ...PLAN, scope: "user" }), /ProtectSystem|^User=/m);
});

Deno.test("launchdPlist() is well-formed whatever paths hold", () => {
  const plist = launchdPlist({ command: ["/a<b>&c", "--data", "/d"], data: "/d" });
  assert.match(plist, /<string>\/a&lt;b&gt;&amp;c<\/string>/);
  assert.equal(
    plist.match(/<(dict|array|plist|string|key|integer)\b/g)?.length,
    plist.match(/<\/(dict|array|plist|string|key|integer)>/g)?.length,
  );
});

Deno.test({
  name: "service install puts its file where it is told, and uninstall takes it away",
  ignore: Deno.build.os === "windows",
  async fn() {
    const directory = await Deno.makeTempDir({ prefix: "ark-service-" });
    const data = `${directory}/data`;
    const installed = await runMain(["service", "install", "--directory", directory, "--data", data, "--json"]);
    assert.equal(installed.code, 0, installed.stderr);
    const { file, started } = JSON.parse(installed.stdout);
    assert.ok(!started);
    assert.ok((await Deno.readTextFile(file)).includes(data));
    const removed = await runMain(["service", "uninstall", "--directory", directory]);
    assert.equal(removed.code, 0, removed.stderr);
    const again = await runMain(["service", "uninstall", "--directory", directory]);
    assert.equal(again.code, 1);
    assert.match(again.stderr, /^ark-node: There is no .*: the system does not start a node by itself\n$/);
    await Deno.remove(directory, { recursive: true });
  },
});

Deno.test({
  name: "service install by sudo gives the service data of its own, and refuses those of root",
  ignore: Deno.build.os !== "linux" || Deno.uid() !== 0,
  async fn() {
    const home = `${Deno.env.get("HOME")}/.ark-service-${crypto.randomUUID()}`;
    const env = { SUDO_USER: "somebody", XDG_DATA_HOME: home, HOME: Deno.env.get("HOME") ?? "" };
    // Where there is the folder of an Ark server, it is that one.
    const printed = await runMain(["service", "install", "--print"], env);
    assert.equal(printed.code, 0, printed.stderr);
    assert.match(printed.stdout, /^ExecStart=.* --data (\/var\/lib\/ark-node|\/opt\/ark\/data\/arknet)$/m);
    assert.match(printed.stdout, /^User=somebody$/m);
    const own = await runMain(["service", "install", "--print", "--data", "/srv/ark"], env);
    assert.match(own.stdout, /^ReadWritePaths=\/srv\/ark$/m);
    try {
      await Deno.mkdir(`${home}/ark-node`, { recursive: true });
      await Deno.writeTextFile(`${home}/ark-node/node.key`, "");
      if (printed.stdout.includes("/opt/ark")) return;
      const refused = await runMain(["service", "install", "--print"], env);
      assert.equal(refused.code, 1);
      assert.match(refused.stderr, /are root's, and the service would run as somebody/);
    } finally {
      await Deno.remove(home, { recursive: true });
    }
  },
});

Deno.test("service install refuses a configuration with which no node would start", async () => {
  const directory = await Deno.makeTempDir({ prefix: "ark-service-" });
  await Deno.writeTextFile(`${directory}/ark.toml`, "slots = 0\n");
  const { code, stderr } = await runMain(["service", "install", "--print", "--data", directory]);
  assert.equal(code, 2);
  assert.match(stderr, /Cannot use --slots 0/);
  await Deno.remove(directory, { recursive: true });
});
