/** A machine as its owner sees it: a home folder, a network card, and terminals to type commands into. */
import { fileURLToPath } from "node:url";
import { stripVTControlCharacters } from "node:util";
import { canUseNamespaces, type NetworkHost } from "../support/netns.ts";

/** Who uses the machines: users without a name and without any right. */
const USER = 64_001;
const WAIT_MS = 120_000;

/** Why there can be no such machines here, or null. */
export async function noMachines(): Promise<string | null> {
  const namespaces = await canUseNamespaces();
  if (namespaces !== null) return namespaces;
  for (const program of ["script", "setpriv", "unshare", "hostname"]) {
    const { success } = await new Deno.Command("sh", { args: ["-c", `command -v ${program}`], stdout: "null" })
      .output();
    if (!success) return `there is no ${program} command (packages bsdutils, util-linux, hostname)`;
  }
  return null;
}

/** A machine in a network namespace, with a name, a home folder and a user of its own. */
export class Machine {
  /** Its name. */
  readonly name: string;
  /** Folder of its user. */
  readonly home: string;
  readonly #host: NetworkHost;
  readonly #user: number;

  private constructor(host: NetworkHost, { name, home, user }: { name: string; home: string; user: number }) {
    this.#host = host;
    this.name = name;
    this.home = home;
    this.#user = user;
  }

  /** Makes it with an empty home under a folder that everybody may enter. */
  static async create(host: NetworkHost, options: { name: string; root: string; number: number }): Promise<Machine> {
    const { name, root, number } = options;
    const home = `${root}/home of ${name}`;
    const user = USER + number;
    await Deno.mkdir(home, { mode: 0o700 });
    await Deno.chown(home, user, user);
    return new Machine(host, { name, home, user });
  }

  /** Puts a file into the home folder. */
  async put(source: URL, path: string): Promise<void> {
    const folder = `${this.home}/${path.slice(0, path.lastIndexOf("/"))}`;
    await Deno.mkdir(folder, { recursive: true });
    await Deno.copyFile(fileURLToPath(source), `${this.home}/${path}`);
    for (const made of [folder, `${this.home}/${path}`]) await Deno.chown(made, this.#user, this.#user);
  }

  /** Types a command into a new terminal. */
  terminal(command: string): Terminal {
    return new Terminal(this.#host.spawn([...this.#asUser(), "script", "-qec", `exec ${command}`, "/dev/null"], {
      stdin: "piped",
      stdout: "piped",
      stderr: "null",
    }));
  }

  /** Runs a command without a terminal, and returns what it printed. */
  async run(command: string): Promise<string> {
    return (await this.#host.run([...this.#asUser(), "sh", "-c", command])).stdout;
  }

  #asUser(): string[] {
    const ids = [`--reuid=${this.#user}`, `--regid=${this.#user}`, "--clear-groups"];
    const env = [`HOME=${this.home}`, "PATH=/usr/bin:/bin", "SHELL=/bin/sh", "TERM=xterm"];
    const script = 'hostname "$1"; cd "$2"; shift 2; exec "$@"';
    return ["unshare", "--uts", "sh", "-c", script, "sh", this.name, this.home, "setpriv", ...ids, "env", "-i", ...env];
  }
}

/** A terminal with one command in it. */
export class Terminal {
  /** What stands on the screen. */
  screen = "";
  /** The exit status of the command, once it ended and all of it was shown. */
  readonly ended: Promise<number>;
  readonly #writer: WritableStreamDefaultWriter<Uint8Array>;
  #read = 0;
  #over = false;

  /** Reads along with a process that has a terminal. */
  constructor(child: Deno.ChildProcess) {
    this.#writer = child.stdin.getWriter();
    this.ended = this.#follow(child);
  }

  /** Waits until something new stands on the screen. */
  async shows(text: RegExp): Promise<void> {
    const deadline = performance.now() + WAIT_MS;
    while (!text.test(this.screen.slice(this.#read))) {
      if (this.#over || performance.now() > deadline) throw new Error(`Nothing showed ${text}: ${this.screen}`);
      await new Promise((resolve) => setTimeout(resolve, 5));
    }
  }

  /** Waits for a question, and types a line. */
  async answer(question: RegExp, line: string): Promise<void> {
    await this.shows(question);
    this.#read = this.screen.length;
    await this.type(`${line}\n`);
  }

  /** Types. */
  async type(text: string): Promise<void> {
    await this.#writer.write(new TextEncoder().encode(text));
  }

  async #follow(child: Deno.ChildProcess): Promise<number> {
    for await (const text of child.stdout.pipeThrough(new TextDecoderStream())) {
      this.screen += stripVTControlCharacters(text).replaceAll("\r", "");
    }
    const { code } = await child.status;
    this.#over = true;
    await this.#writer.close().catch(() => {});
    return code;
  }
}
