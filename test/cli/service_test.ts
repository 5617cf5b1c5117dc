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

Deno.test("service install refuses a configuration with which no node would start", async () => {
  const directory = await Deno.makeTempDir({ prefix: "ark-service-" });
  await Deno.writeTextFile(`${directory}/ark.toml`, "slots = 0\n");
  const { code, stderr } = await runMain(["service", "install", "--print", "--data", directory]);
  assert.equal(code, 2);
  assert.match(stderr, /Cannot use --slots 0/);
  await Deno.remove(directory, { recursive: true });
});
