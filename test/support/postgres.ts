/** A PostgreSQL of a test's own: Debian's program, in a folder that vanishes, on a socket that nobody else has. */

/** Where the programs are, and how they are run. */
export interface PostgresPrograms {
  /** Folder of `initdb` and `postgres`. */
  readonly folder: string;
  /** Words before each command: PostgreSQL does not run as root. */
  readonly prefix: readonly string[];
}

/** The programs, or a sentence that says why they cannot be used. */
export async function findPostgres(): Promise<PostgresPrograms | string> {
  if (Deno.build.os !== "linux") return "it is started on Linux only";
  const versions: string[] = [];
  try {
    for await (const { name } of Deno.readDir("/usr/lib/postgresql")) versions.push(name);
  } catch {
    return "there is no PostgreSQL (package postgresql)";
  }
  for (const version of versions.sort().reverse()) {
    const folder = `/usr/lib/postgresql/${version}/bin`;
    if (!await Deno.stat(`${folder}/initdb`).then(({ isFile }) => isFile, () => false)) continue;
    return {
      folder,
      prefix: Deno.uid() === 0 ? ["setpriv", "--reuid=postgres", "--regid=postgres", "--clear-groups"] : [],
    };
  }
  return "there is no initdb (package postgresql)";
}

/** A running server. */
export class Postgres implements AsyncDisposable {
  readonly #root: string;
  readonly #programs: PostgresPrograms;
  readonly #child: Deno.ChildProcess;
  #made = 0;

  private constructor(parts: { root: string; programs: PostgresPrograms; child: Deno.ChildProcess }) {
    this.#root = parts.root;
    this.#programs = parts.programs;
    this.#child = parts.child;
  }

  /** Makes an empty one and starts it. */
  static async start(programs: PostgresPrograms): Promise<Postgres> {
    const root = await Deno.makeTempDir({ prefix: "ark-pg-" });
    await Deno.chmod(root, 0o755);
    const data = `${root}/data`;
    await Deno.mkdir(data, { mode: 0o700 });
    if (programs.prefix.length > 0) {
      await run(["chown", "postgres:postgres", root, data]);
    }
    const { folder, prefix } = programs;
    await run([
      ...prefix,
      `${folder}/initdb`,
      "--pgdata",
      data,
      "--username",
      "ark",
      "--auth",
      "trust",
      "--no-sync",
      "--encoding",
      "UTF8",
    ]);
    const words = [
      ...prefix,
      `${folder}/postgres`,
      "-D",
      data,
      "-k",
      root,
      "-c",
      "listen_addresses=",
      "-c",
      "fsync=off",
    ];
    const [program = "", ...args] = words;
    const child = new Deno.Command(program, { args, stdout: "null", stderr: "null", cwd: root }).spawn();
    const server = new Postgres({ root, programs, child });
    for (let i = 0; i < 200; i++) {
      if (await server.#createdb("ready").then(() => true, () => false)) return server;
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
    await server[Symbol.asyncDispose]();
    throw new Error("PostgreSQL did not start within 10 seconds");
  }

  /** The URL of a new, empty database. */
  async database(): Promise<string> {
    const name = `d${++this.#made}`;
    await this.#createdb(name);
    return `postgres://ark@localhost/${name}?host=${encodeURIComponent(this.#root)}`;
  }

  async #createdb(name: string): Promise<void> {
    await run([...this.#programs.prefix, `${this.#programs.folder}/createdb`, "-h", this.#root, "-U", "ark", name]);
  }

  /** Stops it and removes everything. */
  async [Symbol.asyncDispose](): Promise<void> {
    // SIGINT ends sessions and stops.
    this.#child.kill("SIGINT");
    await this.#child.status;
    await Deno.remove(this.#root, { recursive: true });
  }
}

async function run([program = "", ...args]: string[]): Promise<void> {
  const { success, stderr } = await new Deno.Command(program, { args, stdout: "null", stderr: "piped", cwd: "/" })
    .output();
  if (!success) throw new Error(`${program} failed: ${new TextDecoder().decode(stderr)}`);
}
