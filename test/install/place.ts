/** Places where install.sh installs small releases, whose program is a script. */
import assert from "node:assert/strict";
import { fileURLToPath } from "node:url";
import { makeRelease } from "../../packaging/release/release.ts";
import type { ReleaseKey } from "../../packaging/release/release_key.ts";
import { type Finished, finished } from "../support/node_process.ts";
import { newReleaseKey, scriptArchive } from "./release_folder.ts";

/** The install.sh of the sources, which knows no key. */
export const SCRIPT = fileURLToPath(new URL("../../install.sh", import.meta.url));
const TARGETS = /^(x86_64|aarch64)-(unknown-linux-gnu|apple-darwin)$/;
/** What this kind of machine is called; empty where install.sh is for none such. */
export const TARGET = TARGETS.test(Deno.build.target) ? Deno.build.target : "";
/** What install.sh may count on, and one program for signatures beside it. */
export const TOOLS =
  "sh tar gzip awk sed id uname cat cp mv rm rmdir mkdir ls ln chmod head tail grep sort ps sha256sum"
    .split(" ");

/** Folders with spaces in their names, and releases in them. */
export class Place implements AsyncDisposable {
  /** Folder of all that. */
  readonly root: string;
  /** Signs the releases. */
  readonly key: ReleaseKey = newReleaseKey();

  private constructor(root: string) {
    this.root = root;
  }

  /** Makes one. */
  static async create(): Promise<Place> {
    const root = await Deno.realPath(await Deno.makeTempDir({ prefix: "ark install's " }));
    await Deno.mkdir(`${root}/my home`);
    return new Place(root);
  }

  /** The user's home. */
  get home(): string {
    return `${this.root}/my home`;
  }

  /** Where the program is to be. */
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

  /** The environment of the user. */
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

  /** Removes it. */
  async [Symbol.asyncDispose](): Promise<void> {
    await Deno.remove(this.root, { recursive: true });
  }
}

/** A test with a new place, where install.sh is for this kind of machine. */
export function test(name: string, fn: (place: Place) => Promise<void>): void {
  Deno.test({
    name: TARGET === "" ? `${name} (skipped: install.sh is not for ${Deno.build.target})` : name,
    ignore: TARGET === "",
    async fn() {
      await using place = await Place.create();
      await fn(place);
    },
  });
}

/** Asserts that it failed and said why in one sentence. */
export function oneSentence({ code, stderr }: Finished, sentence: RegExp, status = 1): void {
  assert.match(stderr, sentence);
  assert.match(stderr, /^install\.sh: [^\n]+\n$/);
  assert.equal(code, status, stderr);
}
