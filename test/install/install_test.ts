/** install.sh with small releases, whose program is a script: what it refuses, and what stays when it does. */
import assert from "node:assert/strict";
import { fileURLToPath } from "node:url";
import { makeRelease } from "../../packaging/release/release.ts";
import type { ReleaseKey } from "../../packaging/release/release_key.ts";
import { type Finished, finished } from "../support/node_process.ts";
import { newReleaseKey, scriptArchive } from "./release_folder.ts";

const SCRIPT = fileURLToPath(new URL("../../install.sh", import.meta.url));
const TARGETS = /^(x86_64|aarch64)-(unknown-linux-gnu|apple-darwin)$/;
const TARGET = TARGETS.test(Deno.build.target) ? Deno.build.target : "";
/** What install.sh may count on, and one program for signatures beside it. */
const TOOLS = "sh tar gzip awk sed id uname cat cp mv rm rmdir mkdir ls ln chmod head tail grep sort ps sha256sum"
  .split(" ");

/** Folders with spaces in their names, and releases in them. */
class Place implements AsyncDisposable {
  readonly root: string;
  readonly key: ReleaseKey = newReleaseKey();

  private constructor(root: string) {
    this.root = root;
  }

  static async create(): Promise<Place> {
    const root = await Deno.realPath(await Deno.makeTempDir({ prefix: "ark install's " }));
    await Deno.mkdir(`${root}/my home`);
    return new Place(root);
  }

  get home(): string {
    return `${this.root}/my home`;
  }

  get program(): string {
    return `${this.home}/.local/bin/ark-node`;
  }

  /** Makes a release whose program says its version, and returns its folder. */
  async release(version: string, options: { key?: ReleaseKey; script?: string; name?: string } = {}): Promise<string> {
    const { key = this.key, script = `echo "ark-node ${version} $*"`, name = `release ${version}` } = options;
    const folder = `${this.root}/${name}`;
    const archives = { [`ark-node-${version}-${TARGET}.tar.gz`]: await scriptArchive(script) };
    await makeRelease({ folder, version, key, archives });
    return folder;
  }

  /** Runs the install.sh of a release, or of the sources. */
  install(release: string | null, ...args: string[]): Promise<Finished> {
    const script = release === null ? SCRIPT : `${release}/install.sh`;
    return finished("sh", { args: [script, "--prefix", `${this.home}/.local`, ...args], env: this.env() });
  }

  env(path = Deno.env.get("PATH") ?? ""): Record<string, string> {
    return { PATH: path, HOME: this.home };
  }

  /** What the installed program says. */
  async says(): Promise<string> {
    return (await finished(this.program, { args: ["a  b", "*"] })).stdout.trim();
  }

  /** Everything that lies in the home folder. */
  async files(folder = this.home): Promise<string[]> {
    const found: string[] = [];
    for await (const { name, isDirectory } of Deno.readDir(folder)) {
      found.push(`${folder}/${name}`);
      if (isDirectory) found.push(...await this.files(`${folder}/${name}`));
    }
    return found.sort();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Deno.remove(this.root, { recursive: true });
  }
}

function test(name: string, fn: (place: Place) => Promise<void>): void {
  Deno.test({
    name: TARGET === "" ? `${name} (skipped: install.sh is not for ${Deno.build.target})` : name,
    ignore: TARGET === "",
    async fn() {
      await using place = await Place.create();
      await fn(place);
    },
  });
}

function oneSentence({ code, stderr }: Finished, sentence: RegExp, status = 1): void {
  assert.match(stderr, sentence);
  assert.match(stderr, /^install\.sh: [^\n]+\n$/);
  assert.equal(code, status, stderr);
}

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
