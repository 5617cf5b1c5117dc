/** install.sh with small releases: in, up, back and away, in each shell and without root. */
import assert from "node:assert/strict";
import { finished } from "../support/node_process.ts";
import { oneSentence, SCRIPT, test } from "./place.ts";

test("It installs, says what it does, and does nothing the second time", async (place) => {
  const release = await place.release("1.2.0");
  const first = await place.install(release);
  assert.equal(first.code, 0, first.stderr);
  for (const part of [/^ark-node 1\.2\.0 for /, /signed {4}rightly, by ssh-ed25519 AAAA/, /data {6}are not touched/]) {
    assert.match(first.stdout, part);
  }
  assert.equal(await place.says(), "ark-node 1.2.0 a  b *");
  const before = await place.files();
  const second = await place.install(release);
  assert.deepEqual([second.code, second.stderr], [0, ""]);
  assert.match(second.stdout, /This version was installed already\./);
  assert.deepEqual(await place.files(), before);
});

test("It goes up, back, forward again and away, and never touches data", async (place) => {
  const data = `${place.home}/.local/share/ark-node`;
  await Deno.mkdir(data, { recursive: true });
  await Deno.writeTextFile(`${data}/node.key`, "secret");
  for (const version of ["1.9.0", "1.10.0"]) {
    assert.equal((await place.install(await place.release(version))).code, 0);
    assert.equal(await place.says(), `ark-node ${version} a  b *`);
  }
  for (const version of ["1.9.0", "1.10.0"]) {
    const back = await place.install(null, "--rollback");
    assert.equal(back.code, 0, back.stderr);
    assert.equal(await place.says(), `ark-node ${version} a  b *`);
  }
  oneSentence(await place.install(`${place.root}/release 1.9.0`), /Version 1\.9\.0 is older than 1\.10\.0/);
  assert.equal((await place.install(`${place.root}/release 1.9.0`, "--older")).code, 0);
  assert.equal(await place.says(), "ark-node 1.9.0 a  b *");
  assert.equal((await place.install(await place.release("2.0.0"))).code, 0);
  // The version before stays, older ones go.
  const versions = await Array.fromAsync(
    Deno.readDir(`${place.home}/.local/lib/ark-node/versions`),
    ({ name }) => name,
  );
  assert.deepEqual(versions.map((name) => name.split("-")[0]).sort(), ["1.9.0", "2.0.0"]);

  const away = await place.install(null, "--uninstall");
  assert.equal(away.code, 0, away.stderr);
  assert.match(away.stdout, /Data stay where they are/);
  assert.deepEqual((await place.files()).map((path) => path.slice(place.home.length)), [
    "/.local",
    "/.local/bin",
    "/.local/lib",
    "/.local/share",
    "/.local/share/ark-node",
    "/.local/share/ark-node/node.key",
  ]);
  oneSentence(await place.install(null, "--uninstall"), /nothing to remove/);
  oneSentence(await place.install(null, "--rollback"), /nothing to go back from/);
});

test("A version that a node still runs from stays, whatever comes after it", async (place) => {
  const versions = `${place.home}/.local/lib/ark-node/versions`;
  const there = async () =>
    (await Array.fromAsync(Deno.readDir(versions), ({ name }) => name.split("-")[0] ?? "")).sort();
  assert.equal((await place.install(await place.release("1.0.0"))).code, 0);
  const [first = ""] = await Array.fromAsync(Deno.readDir(versions), ({ name }) => name);
  await Deno.writeTextFile(`${versions}/${first}/deno`, "#!/bin/sh\nread -r line\n", { mode: 0o755 });
  const node = new Deno.Command(`${versions}/${first}/deno`, { stdin: "piped" }).spawn();
  for (const version of ["1.1.0", "1.2.0"]) assert.equal((await place.install(await place.release(version))).code, 0);
  assert.deepEqual(await there(), ["1.0.0", "1.1.0", "1.2.0"]);
  await node.stdin.close();
  await node.status;
  assert.equal((await place.install(await place.release("1.3.0"))).code, 0);
  assert.deepEqual(await there(), ["1.2.0", "1.3.0"]);
});

test("Each shell that is here reads it, and without root it is the same", async (place) => {
  const release = await place.release("1.0.0");
  await Deno.chmod(place.root, 0o755);
  if (Deno.build.os !== "linux" && Deno.uid() === 0) return;
  const nobody = Deno.build.os === "linux" && Deno.uid() === 0 ? 64_003 : null;
  if (nobody !== null) await Deno.chown(place.home, nobody, nobody);
  for (const shell of [["dash"], ["bash", "--posix"], ["busybox", "sh"]]) {
    const { code } = await finished("sh", { args: ["-c", `command -v ${shell[0]}`] });
    if (code !== 0) continue;
    for (const args of [[], ["--uninstall"]]) {
      const command = new Deno.Command("/usr/bin/env", {
        args: [...shell, `${release}/install.sh`, ...args],
        env: place.env(),
        clearEnv: true,
        cwd: place.home,
        ...nobody === null ? {} : { uid: nobody, gid: nobody },
      });
      const { success, stderr } = await command.output();
      assert.ok(success, `${shell}: ${new TextDecoder().decode(stderr)}`);
      // As root, it would have gone to /usr/local.
      if (args.length === 0 && nobody !== null) assert.equal(await place.says(), "ark-node 1.0.0 a  b *");
    }
  }
});

test("It installs from a web place, and says when that cannot be reached", async (place) => {
  const release = await place.release("1.0.0");
  await using server = Deno.serve({ hostname: "127.0.0.1", port: 0, onListen: () => {} }, async ({ url }) => {
    const name = decodeURIComponent(new URL(url).pathname).replace("/ark/", "");
    return await Deno.readFile(`${release}/${name}`).then(
      (bytes) => new Response(bytes),
      () => new Response(null, { status: 404 }),
    );
  });
  const from = `http://127.0.0.1:${server.addr.port}`;
  const installed = await place.install(release, "--from", `${from}/ark/`);
  assert.equal(installed.code, 0, installed.stderr);
  assert.equal(await place.says(), "ark-node 1.0.0 a  b *");
  assert.equal((await place.install(null, "--uninstall")).code, 0);
  oneSentence(await place.install(release, "--from", `${from}/elsewhere`), /Cannot read SHA256SUMS in http/);
  oneSentence(await place.install(release, "--from", "ftp://x"), /begins with https/, 2);
});

test("With --service it has the program install its service, and --uninstall takes it away first", async (place) => {
  const units = ".config/systemd/user";
  const script = `cd "$HOME"
    echo "$*" >>called
    case $* in
    'service install') mkdir -p ${units} && echo "ExecStart=$0" >${units}/ark-node.service ;;
    'service uninstall') rm ${units}/ark-node.service ;;
    esac`;
  const release = await place.release("1.0.0", { script });
  const installed = await place.install(release, "--service");
  assert.equal(installed.code, 0, installed.stderr);
  assert.match(installed.stdout, /service {3}the system starts it/);
  const unit = await Deno.readTextFile(`${place.home}/${units}/ark-node.service`);
  assert.equal(unit, `ExecStart=${place.home}/.local/lib/ark-node/current/ark-node\n`);
  const upgraded = await place.install(await place.release("1.1.0", { script }));
  assert.match(upgraded.stdout, /until it is started again: systemctl --user restart ark-node\.\n/);
  const away = await place.install(null, "--uninstall");
  assert.equal(away.code, 0, away.stderr);
  assert.equal(
    await Deno.readTextFile(`${place.home}/called`),
    "--version\nservice install\n--version\nservice uninstall\n",
  );
});

const { code: shellcheck } = await finished("sh", { args: ["-c", "command -v shellcheck"] });
// deno-lint-ignore no-console
if (shellcheck !== 0) console.log("install_test: one test skipped, there is no shellcheck (package shellcheck)");
Deno.test({
  name: "shellcheck finds nothing in install.sh, which every POSIX shell reads",
  ignore: shellcheck !== 0,
  async fn() {
    assert.deepEqual(await finished("shellcheck", { args: [SCRIPT] }), { code: 0, stdout: "", stderr: "" });
  },
});
