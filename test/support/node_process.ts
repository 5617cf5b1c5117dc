/** Whole nodes as processes of their own, for tests, benchmarks and the demo. */
import { fileURLToPath } from "node:url";
import { NODE_FLAGS } from "../../src/daemon/worker_command.ts";

/** What a node says with `--json` when it is ready. */
export interface Ready {
  node_id: string;
  public_key: string;
  name: string;
  api: string;
  /** Where clients of Ollama find it; with `--ollama-port` only. */
  ollama?: string;
  mesh: string;
  data: string;
  pid: number;
  ready_ms: number;
}

/** How a process ended, and what it wrote. */
export interface Finished {
  code: number;
  stdout: string;
  stderr: string;
}

/** Options of {@linkcode NodeProcess.start}. */
export interface NodeProcessOptions {
  /** Label. */
  name: string;
  /** Flags beside `--json`, `--name`, `--data`, `--listen` and `--mesh-listen`. */
  args?: readonly string[];
  /** Program and first arguments; the default runs `main.ts` of this tree. */
  command?: readonly string[];
  /** Data directory; without it a new one that vanishes with the node. */
  data?: string;
  /** Where it listens for peers. @default {"127.0.0.1:0"} */
  meshListen?: string;
  /** Environment, in place of {@linkcode cleanEnvironment}. */
  env?: Record<string, string>;
}

/** Variables with which a node refuses to start, since they defeat the pin of its connections. */
const UNSAFE = [
  "SSLKEYLOGFILE",
  "DENO_CERT",
  "NODE_EXTRA_CA_CERTS",
  "DENO_TLS_CA_STORE",
  "NODE_TLS_REJECT_UNAUTHORIZED",
];

/** The environment of this process without what a node refuses, and without settings of other nodes and of whoever runs the tests. */
export function cleanEnvironment(): Record<string, string> {
  const entries = Object.entries(Deno.env.toObject());
  return Object.fromEntries(
    entries.filter(([name]) => ![...UNSAFE, "NO_COLOR"].includes(name) && !name.startsWith("ARK_")),
  );
}

/** How a program is run that is a node, with the flags that nodes run with. */
export function nodeCommand(program: string): readonly string[] {
  return [Deno.execPath(), "run", ...NODE_FLAGS, "-A", program];
}

/** How a node is started from source. */
export const FROM_SOURCE: readonly string[] = nodeCommand(fileURLToPath(new URL("../../main.ts", import.meta.url)));

/** A node in a process of its own. Disposing it stops it by its pid and removes its data directory. */
export class NodeProcess implements AsyncDisposable {
  /** What it said when it was ready. */
  readonly ready: Ready;
  readonly #child: Deno.ChildProcess;
  readonly #command: readonly string[];
  readonly #env: Record<string, string>;
  readonly #directory: string | null;
  readonly #written: { stdout: string; stderr: string };
  readonly #reading: Promise<unknown>;

  private constructor(parts: {
    ready: Ready;
    child: Deno.ChildProcess;
    command: readonly string[];
    env: Record<string, string>;
    directory: string | null;
    written: { stdout: string; stderr: string };
    reading: Promise<unknown>;
  }) {
    this.ready = parts.ready;
    this.#child = parts.child;
    this.#command = parts.command;
    this.#env = parts.env;
    this.#directory = parts.directory;
    this.#written = parts.written;
    this.#reading = parts.reading;
  }

  /** Starts a node and waits until it is ready; rejects with what it wrote when it ends before. */
  static async start(options: NodeProcessOptions): Promise<NodeProcess> {
    const { name, args = [], command = FROM_SOURCE, meshListen = "127.0.0.1:0", env = cleanEnvironment() } = options;
    const directory = options.data === undefined ? await Deno.makeTempDir({ prefix: "ark-node-" }) : null;
    const data = options.data ?? directory ?? "";
    const [program = "", ...first] = command;
    const own = ["--json", "--name", name, "--data", data, "--listen", "127.0.0.1:0", "--mesh-listen", meshListen];
    const child = new Deno.Command(program, {
      args: [...first, "serve", ...own, ...args],
      env,
      clearEnv: true,
      stdin: "null",
      stdout: "piped",
      stderr: "piped",
    }).spawn();
    const written = { stdout: "", stderr: "" };
    const { promise, resolve } = Promise.withResolvers<string | null>();
    const reading = Promise.all([
      follow(child.stderr, (text) => written.stderr += text),
      follow(child.stdout, (text) => {
        written.stdout += text;
        if (written.stdout.includes("\n")) resolve(written.stdout.split("\n")[0] ?? "");
      }).then(() => resolve(null)),
    ]);
    const line = await promise;
    if (line === null) {
      await Promise.all([reading, child.status]);
      if (directory !== null) await Deno.remove(directory, { recursive: true });
      throw new Error(`The node ended before it was ready: ${written.stderr.trim()}`);
    }
    return new NodeProcess({ ready: JSON.parse(line), child, command, env, directory, written, reading });
  }

  /** Id without groups. */
  get id(): string {
    return this.ready.node_id.replaceAll("-", "");
  }

  /** What it wrote to standard error so far. */
  get log(): string {
    return this.#written.stderr;
  }

  /** Runs a command of the same program with this node's data directory. */
  cli(...args: string[]): Promise<Finished> {
    const [program = "", ...first] = this.#command;
    return finished(program, { args: [...first, ...args, "--data", this.ready.data], env: this.#env });
  }

  /** Runs a command with `--json`, which must succeed, and returns what it printed. */
  async json<T>(...args: string[]): Promise<T> {
    const { code, stdout, stderr } = await this.cli(...args, "--json");
    if (code !== 0) throw new Error(`ark-node ${args.join(" ")} failed (${code}): ${stderr}`);
    return JSON.parse(stdout);
  }

  /** Sends a signal. */
  kill(signal: Deno.Signal): void {
    this.#child.kill(signal);
  }

  /** Waits until the process has ended, and returns how. */
  async ended(): Promise<Deno.CommandStatus> {
    const [status] = await Promise.all([this.#child.status, this.#reading]);
    return status;
  }

  /** Stops the node, and kills it when it does not stop within ten seconds. */
  async [Symbol.asyncDispose](): Promise<void> {
    try {
      this.#child.kill("SIGTERM");
    } catch {
      // It has ended already.
    }
    const timer = setTimeout(() => this.#child.kill("SIGKILL"), 10_000);
    await this.ended();
    clearTimeout(timer);
    if (this.#directory !== null) await Deno.remove(this.#directory, { recursive: true });
  }
}

/** Runs a program to its end. */
export async function finished(
  program: string,
  options: { args: string[]; env?: Record<string, string> },
): Promise<Finished> {
  const { args, env = cleanEnvironment() } = options;
  const command = new Deno.Command(program, {
    args,
    env,
    clearEnv: true,
    stdin: "null",
    stdout: "piped",
    stderr: "piped",
  });
  const { code, stdout, stderr } = await command.output();
  const decoder = new TextDecoder();
  return { code, stdout: decoder.decode(stdout), stderr: decoder.decode(stderr) };
}

async function follow(stream: ReadableStream<Uint8Array>, take: (text: string) => void): Promise<void> {
  const decoder = new TextDecoder();
  for await (const chunk of stream) take(decoder.decode(chunk, { stream: true }));
}
