/** Planted on the machine, in its files, its settings and around the process. */
import assert from "node:assert/strict";
import { dataPaths } from "@ark/node/config";
import { examineStopped } from "@ark/node/daemon";
import { until } from "../inference/local_fixture.ts";
import { TestNode } from "../mesh/test_node.ts";
import { runMain } from "../cli/run_main.ts";
import { NodeProcess } from "../support/node_process.ts";
import { withDirectory } from "../support/temporary.ts";
import { fault, fine, look, lookStopped, runDoctor } from "./looking.ts";

const LINUX = Deno.build.os === "linux";
const QUIET = ["--no-mdns", "--wireguard", "off", "--listen", "127.0.0.1:0", "--mesh-listen", "127.0.0.1:0"];

Deno.test("Fault 15: the configuration file has an unknown setting, or one that is unsafe", () =>
  withDirectory(async (data) => {
    const file = `${data}/ark.toml`;
    await Deno.writeTextFile(file, 'modles = ["/srv/models"]\n');
    const typo = fault(await lookStopped(data), "config");
    assert.deepEqual([typo.level, typo.sentence], [
      "danger",
      `Cannot use ${file}: it has an unknown setting modles, did you mean models`,
    ]);
    assert.match(typo.fix, /ark-node config check/);
    await Deno.writeTextFile(file, 'allow-origin = ["*"]\n');
    const open = fault(await lookStopped(data), "config");
    assert.match(open.sentence, /^Cannot use --allow-origin \*: it is a page's origin such as/);
    await Deno.writeTextFile(file, 'name = "nas"\n');
    fine(await lookStopped(data), "config");
    // Under a running node, which would not start again like that.
    await using node = await NodeProcess.start({ name: "A", data, args: ["--no-mdns", "--gpu", "off"] });
    fine((await runDoctor(["env"], ["--data", data])).findings, "config");
    await Deno.writeTextFile(file, 'modles = ["/srv/models"]\n');
    const { code, running, findings } = await runDoctor(["env"], ["--data", data]);
    assert.deepEqual([code, running], [1, true]);
    assert.match(fault(findings, "config").why ?? "", /would not start again/);
    assert.equal(node.ready.name, "A");
  }));

Deno.test("Fault 16: the environment has a variable with which no node starts", () =>
  withDirectory(async (data) => {
    const { level, sentence, fix } = fault(await lookStopped(data, {}, { SSLKEYLOGFILE: "/tmp/keys" }), "environment");
    assert.equal(level, "danger");
    assert.match(sentence, /^The environment variable SSLKEYLOGFILE is set, and it makes the TLS library write/);
    assert.match(fix, /^Unset it/);
    fine(await lookStopped(data), "environment");
  }));

Deno.test("Fault 17: other users can read the key or the admin token", async () => {
  await using node = await TestNode.start({ name: "A" });
  fine(await look(node), "private-files");
  await Deno.chmod(`${node.data}/admin.token`, 0o644);
  const { level, sentence, fix } = fault(await look(node), "private-files");
  assert.equal(level, "danger");
  assert.match(sentence, /^Other users of this machine can open the admin token .* \(mode 0644\)$/);
  assert.equal(fix, `Run: chmod 600 '${node.data}/admin.token'`);
  await Deno.chmod(`${node.data}/admin.token`, 0o600);
});

Deno.test("Fault 18: the API is open to the network, without keys", async () => {
  await using node = await TestNode.start({ name: "A", flags: { listen: "0.0.0.0:0" } });
  const found = await (async () => {
    // Admin calls are for the loopback.
    const { stdout } = await runMain(["doctor", "--json", "--data", node.data]);
    return JSON.parse(stdout).findings;
  })();
  assert.match(fault(found, "local-listener").sentence, /^The API is open to the network \(http:\/\/0\.0\.0\.0:\d+\)/);
  assert.match(fault(found, "local-listener").fix, /^Listen on 127\.0\.0\.1 again/);
  assert.match(fault(found, "api-keys").fix, /ark-node keys create NAME$/);
  await using closed = await TestNode.start({ name: "B" });
  fine(await look(closed), "local-listener");
  fine(await look(closed), "api-keys", { said: false });
});

Deno.test("Fault 19: somebody changed the audit log", async () => {
  await using node = await TestNode.start({ name: "A" });
  await using other = await TestNode.start({ name: "B" });
  await node.approve({ publicKey: other.publicKey, name: "B" });
  fine(await look(node), "audit-log");
  await until(async () => (await Deno.readTextFile(`${node.data}/audit.log`)).includes("approve"));
  const text = await Deno.readTextFile(`${node.data}/audit.log`);
  await Deno.writeTextFile(`${node.data}/audit.log`, text.replace('"approve"', '"revoke"'));
  const { level, fix } = fault(await look(node), "audit-log");
  assert.equal(level, "danger");
  assert.match(fix, /ark-node audit verify/);
});

Deno.test({
  name: "Fault 20: too few files may be open at once",
  ignore: !LINUX,
  fn: () =>
    withDirectory(async (data) => {
      const limited = ["/bin/sh", "-c", 'ulimit -n 400 && exec "$@"', "sh"];
      const { sentence, fix, level } = fault(
        (await runDoctor(limited, ["--data", data, ...QUIET])).findings,
        "open-files",
      );
      assert.deepEqual([level, sentence], ["warning", "Only 400 files and connections may be open at once"]);
      assert.match(fix, /^Run 'ulimit -n 65536' before the start/);
      const enough = ["/bin/sh", "-c", 'ulimit -n 4096 && exec "$@"', "sh"];
      fine((await runDoctor(enough, ["--data", data, ...QUIET])).findings, "open-files");
    }),
});

Deno.test({
  name: "Fault 21: the node hangs: the doctor says which process, and looks at the rest by itself",
  ignore: Deno.build.os === "windows",
  async fn() {
    await using node = await NodeProcess.start({ name: "A", args: ["--no-mdns", "--gpu", "off"] });
    node.kill("SIGSTOP");
    try {
      const { code, running, findings } = await runDoctor(["env"], ["--data", node.ready.data, ...QUIET]);
      assert.deepEqual([code, running], [1, false]);
      const { sentence, fix } = fault(findings, "node");
      assert.ok(sentence.startsWith(`The node (process ${node.ready.pid}, ${node.ready.api}) has the data directory`));
      assert.match(fix, new RegExp(`kill -9 ${node.ready.pid}, and start it again$`));
      fine(findings, "private-files");
    } finally {
      node.kill("SIGCONT");
    }
    fine((await runDoctor(["env"], ["--data", node.ready.data])).findings, "node");
  },
});

Deno.test({
  name: "Fault 22: the service is installed, and not started with the machine or only while its user is logged in",
  ignore: !LINUX,
  fn: () =>
    withDirectory(async (home) => {
      // Nobody is called so: no user of this machine lingers by that name.
      const env = { HOME: home, USER: "ark-doctor-nobody" };
      fine(await lookStopped(`${home}/data`, {}, env), "autostart", { said: false });
      const units = `${home}/.config/systemd/user`;
      const { code } = await runMain(["service", "install", "--directory", units, "--data", `${home}/data`], {});
      assert.equal(code, 0);
      const off = fault(await lookStopped(`${home}/data`, {}, env), "autostart");
      assert.match(off.sentence, /ark-node\.service is there, and is not started with the machine$/);
      assert.equal(off.fix, "Switch it on: systemctl --user enable --now ark-node");
      await Deno.mkdir(`${units}/default.target.wants`);
      await Deno.symlink("../ark-node.service", `${units}/default.target.wants/ark-node.service`);
      const gone = fault(await lookStopped(`${home}/data`, {}, env), "autostart");
      assert.match(gone.sentence, /runs only while ark-doctor-nobody is logged in$/);
      assert.equal(gone.fix, "Let it run on: sudo loginctl enable-linger ark-doctor-nobody");
      fine(await lookStopped(`${home}/data`, {}, { HOME: home }), "autostart");
    }),
});

Deno.test("A check that finds no end is given up, and the others are told all the same", () =>
  withDirectory(async (data) => {
    // A server that takes connections and never says a word.
    using silent = Deno.listen({ hostname: "127.0.0.1", port: 0 });
    const flags = { upstream: [`box=http://127.0.0.1:${silent.addr.port}`], gpu: "off" };
    const began = performance.now();
    const found = await examineStopped({
      paths: dataPaths(data),
      flags: { listen: "127.0.0.1:0", "mesh-listen": "127.0.0.1:0", "no-mdns": true, wireguard: "off", ...flags },
      env: () => undefined,
    });
    assert.match(fault(found, "upstream").fix, /curl/);
    fine(found, "gpu");
    assert.ok(performance.now() - began < 60_000);
  }));
