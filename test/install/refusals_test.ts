/** install.sh with small releases: what it refuses, and what stays when it does. */
import assert from "node:assert/strict";
import { finished } from "../support/node_process.ts";
import { oneSentence, TARGET, test, TOOLS } from "./place.ts";
import { newReleaseKey } from "./release_folder.ts";

test("It refuses what is not signed, damaged, truncated or incomplete in one sentence, and leaves nothing", async (place) => {
  const release = await place.release("1.0.0");
  const archive = `${release}/ark-node-1.0.0-${TARGET}.tar.gz`;
  const whole = await Deno.readFile(archive);
  const sums = await Deno.readTextFile(`${release}/SHA256SUMS`);
  const stranger = await place.release("1.0.0", { key: newReleaseKey(), name: "stranger" });
  const flipped = whole.with(1_000, 255 - (whole[1_000] ?? 0));
  const attempts: [string, RegExp, () => Promise<unknown>][] = [
    [
      "one bit of the archive",
      /is damaged or incomplete.*nothing was unpacked/,
      () => Deno.writeFile(archive, flipped),
    ],
    ["half of the archive", /is damaged or incomplete/, () => Deno.writeFile(archive, whole.subarray(0, 5_000))],
    ["no archive", /Cannot read ark-node-1\.0\.0-\S+ in .*nothing was unpacked/, () => Deno.remove(archive)],
    [
      "sums of the changed archive",
      /is not signed with the key of this script/,
      () =>
        Deno.writeTextFile(`${release}/SHA256SUMS`, sums.replace(/^[0-9a-f]/m, (digit) => digit === "0" ? "1" : "0")),
    ],
    [
      "another version",
      /VERSION in .* is not the one that was signed/,
      () => Deno.writeTextFile(`${release}/VERSION`, "9.9.9\n"),
    ],
    ["no signature", /There is no SHA256SUMS\.(ssh)?sig/, async () => {
      for (const kind of ["sig", "sshsig"]) await Deno.remove(`${release}/SHA256SUMS.${kind}`);
    }],
    ["the signature of another key", /is not signed with the key of this script/, async () => {
      for (const kind of ["sig", "sshsig"]) {
        await Deno.copyFile(`${stranger}/SHA256SUMS.${kind}`, `${release}/SHA256SUMS.${kind}`);
      }
    }],
    ["no sums", /Cannot read SHA256SUMS|no release beside/, () => Deno.remove(`${release}/SHA256SUMS`)],
  ];
  const kept = new Map<string, Uint8Array>();
  for await (const { name } of Deno.readDir(release)) kept.set(name, await Deno.readFile(`${release}/${name}`));
  for (const [what, sentence, spoil] of attempts) {
    await spoil();
    const refused = await place.install(release, "--from", release);
    oneSentence(refused, sentence);
    assert.deepEqual(await place.files(), [], what);
    for (const [name, bytes] of kept) await Deno.writeFile(`${release}/${name}`, bytes);
  }
  oneSentence(await place.install(null, "--from", stranger, "--key", place.key.public), /is not signed with the key/);
  oneSentence(await place.install(null, "--from", release), /knows no release key/, 2);
  oneSentence(await place.install(null), /no release beside this script|no release key/, 2);
  assert.equal((await place.install(null, "--from", release, "--key", place.key.public)).code, 0);
});

test("A failed upgrade leaves the version that is there", async (place) => {
  assert.equal((await place.install(await place.release("1.0.0"))).code, 0);
  const before = await place.files();
  const broken = await place.release("1.1.0", { script: "echo 'no such machine' >&2; exit 1" });
  oneSentence(await place.install(broken), /does not run on this machine .*: no such machine/);
  assert.deepEqual(await place.files(), before);
  assert.equal(await place.says(), "ark-node 1.0.0 a  b *");

  const stranger = await place.release("1.2.0", { key: newReleaseKey() });
  oneSentence(await place.install(stranger, "--key", place.key.public), /is not signed with the key/);
  const dry = await place.install(await place.release("1.3.0"), "--dry-run");
  assert.equal(dry.code, 0, dry.stderr);
  assert.match(dry.stdout, /before {4}1\.0\.0-\w{8}, which stays[^]*Nothing was changed\.\n$/);
  assert.deepEqual(await place.files(), before);
});

test("One that is killed keeps nobody away, and one that works does", async (place) => {
  const release = await place.release("1.0.0", { script: 'sleep "${SLOW-0}"; echo "ark-node 1.0.0 $*"' });
  const child = new Deno.Command("sh", {
    args: [`${release}/install.sh`, "--prefix", `${place.home}/.local`],
    env: { ...place.env(), SLOW: "60" },
    stdout: "null",
    stderr: "null",
  }).spawn();
  const versions = `${place.home}/.local/lib/ark-node/versions`;
  const deadline = performance.now() + 60_000;
  while (await Deno.stat(versions).then(() => false, () => true)) {
    assert.ok(performance.now() < deadline);
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
  oneSentence(await place.install(release), /another install\.sh \(process \d+\) works there/);
  child.kill("SIGKILL");
  await child.status;
  const next = await place.install(release);
  assert.equal(next.code, 0, next.stderr);
  assert.equal(await place.says(), "ark-node 1.0.0 a  b *");
  assert.deepEqual((await place.files()).filter((path) => /\/\.(lock|part|new)/.test(path)), []);
});

test("Either program for signatures does, and with neither it says what to install", async (place) => {
  const release = await place.release("1.0.0");
  for (const program of ["openssl", "ssh-keygen", null]) {
    const tools = `${place.root}/tools ${program}`;
    await Deno.mkdir(tools);
    for (const tool of [...TOOLS, ...program === null ? [] : [program]]) {
      const { stdout } = await finished("sh", { args: ["-c", `command -v ${tool}`] });
      if (stdout !== "") await Deno.symlink(stdout.trim(), `${tools}/${tool}`);
    }
    const args = [`${release}/install.sh`, "--prefix", `${place.home}/${program}`];
    const { stdout: shell } = await finished("sh", { args: ["-c", "command -v sh"] });
    const result = await finished(shell.trim(), { args, env: place.env(tools) });
    if (program === null) oneSentence(result, /neither openssl 3 nor ssh-keygen 8\.1 .*install one of them/);
    else assert.equal(result.code, 0, `${program}: ${result.stderr}`);
    // A signature of somebody else is refused by each of them.
    if (program === null) continue;
    const stranger = await place.release("1.0.0", { key: newReleaseKey(), name: `stranger ${program}` });
    const wrong = [...args.slice(0, 2), `${place.home}/other`, "--from", stranger];
    oneSentence(await finished(shell.trim(), { args: wrong, env: place.env(tools) }), /is not signed with the key/);
  }
});

test("It overwrites no other program, and refuses a place that it cannot use", async (place) => {
  const release = await place.release("1.0.0");
  await Deno.mkdir(`${place.home}/.local/bin`, { recursive: true });
  await Deno.writeTextFile(place.program, "mine");
  oneSentence(await place.install(release), /is another program: move it away/);
  oneSentence(await place.install(null, "--uninstall"), /is another program.*nothing was removed/);
  assert.equal(await Deno.readTextFile(place.program), "mine");
  oneSentence(await place.install(release, "--prefix", `${place.home}/a,b`), /must have no comma/, 2);
  oneSentence(await place.install(release, "--prefix", "/proc/nothing"), /Cannot make the folder/);
  oneSentence(await place.install(release, "--nosuch"), /There is no flag --nosuch/, 2);
  oneSentence(await place.install(release, "--variant", "fast"), /There is no variant fast/, 2);
  await Deno.remove(place.program);
  oneSentence(
    await place.install(release, "--variant", "cuda"),
    /has nothing for .* \(cuda\): it has .*ark-node-1\.0\.0-/,
  );
});
