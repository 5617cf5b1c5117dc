/** The portable executable as its tests use it: built once, and run as on a machine that has only what it asks for. */
import assert from "node:assert/strict";
import { fileURLToPath } from "node:url";
import { type Finished, finished } from "../support/node_process.ts";

/** Why there is no portable executable here, or null. */
export const IMPOSSIBLE = ["linux", "darwin"].includes(Deno.build.os) ? null : `none is made for ${Deno.build.os}`;

/** The programs that the executable may count on. Neither deno nor node, nor one for checksums. */
const TOOLS = "sh tail tar gzip ls mkdir chmod rm find id uname".split(" ");

/** A folder that the executable unpacks into. */
export interface Cache extends AsyncDisposable {
  /** The folder. */
  readonly path: string;
}

/** An executable, and around it an empty folder to start it in, a home without anything and a cache of its own. */
export class Portable implements AsyncDisposable {
  /** The file. */
  readonly file: string;
  /** Folder where it is started. */
  readonly here: string;
  /** Folder that it unpacks into. */
  readonly cache: string;
  readonly #root: string;
  #caches = 0;

  private constructor(root: string) {
    this.#root = root;
    this.file = `${root}/ark-node`;
    this.here = `${root}/here`;
    this.cache = `${root}/cache`;
  }

  /** Makes it, by `compile.sh` and the deno that runs this. */
  static async build(): Promise<Portable> {
    const root = await Deno.realPath(await Deno.makeTempDir({ prefix: "ark-portable-" }));
    const portable = new Portable(root);
    const script = fileURLToPath(new URL("../../compile.sh", import.meta.url));
    const env = { ...Deno.env.toObject(), DENO: Deno.execPath() };
    const { code, stderr } = await finished(script, { args: ["--portable", "--output", portable.file], env });
    assert.equal(code, 0, stderr);
    for (const folder of ["here", "home", "tools"]) await Deno.mkdir(`${root}/${folder}`);
    for (const tool of TOOLS) {
      const { stdout } = await finished("/bin/sh", { args: ["-c", `command -v ${tool}`] });
      await Deno.symlink(stdout.trim(), `${root}/tools/${tool}`);
    }
    return portable;
  }

  /** The whole environment of a start. */
  get env(): Record<string, string> {
    return { PATH: `${this.#root}/tools`, HOME: `${this.#root}/home`, ARK_CACHE: this.cache };
  }

  /** Command that starts it in the empty folder. */
  get command(): string[] {
    return ["/bin/sh", "-c", 'cd "$0" && exec "$@"', this.here, this.file];
  }

  /** A folder to unpack into that is not there yet, and vanishes when it is disposed. */
  newCache(): Cache {
    const path = `${this.#root}/cache-${++this.#caches}`;
    return { path, [Symbol.asyncDispose]: () => Deno.remove(path, { recursive: true }) };
  }

  /** Runs it to its end. */
  run(args: string[], env: Record<string, string> = {}): Promise<Finished> {
    const [program = "", ...first] = this.command;
    return finished(program, { args: [...first, ...args], env: { ...this.env, ...env } });
  }

  /** Removes it with everything around. */
  async [Symbol.asyncDispose](): Promise<void> {
    await Deno.remove(this.#root, { recursive: true });
  }
}
