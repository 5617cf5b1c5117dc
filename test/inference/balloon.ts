/** A control group whose memory is too small for what runs in it, for tests: it thrashes, and nothing else does. */

/** Where groups lie: with pressure and, where memory is limited in version 1, the limit elsewhere. */
interface Roots {
  pressure: string;
  limit: string;
  file: "memory.max" | "memory.limit_in_bytes";
}

const ALONE: Roots = { pressure: "/sys/fs/cgroup", limit: "/sys/fs/cgroup", file: "memory.max" };
const BESIDE: Roots = {
  pressure: "/sys/fs/cgroup/unified",
  limit: "/sys/fs/cgroup/memory",
  file: "memory.limit_in_bytes",
};

/** Programs, the memory that they have, and the file that they read again and again. */
const READERS = 4;
const LIMIT_BYTES = 48 << 20;
const FILE_BYTES = 60_000_000;

/** Programs in a group that thrashes until it is let go. */
export class Balloon implements AsyncDisposable {
  /** The group, as `readMemory()` takes it. */
  readonly group = `/ark-test-${crypto.randomUUID()}`;
  readonly #roots: Roots;
  readonly #file = Deno.makeTempFileSync();
  #children: Deno.ChildProcess[] = [];

  private constructor(roots: Roots) {
    this.#roots = roots;
  }

  /** Why this machine has no such group, or null. */
  static missing(): string | null {
    if (Deno.build.os !== "linux" || Deno.uid() !== 0) return "it takes root on Linux";
    const balloon = Balloon.#made();
    if (balloon === null) return "no control group with a memory limit and memory.pressure can be made here";
    balloon.#remove();
    return null;
  }

  /** Makes a group. */
  static make(): Balloon {
    const balloon = Balloon.#made();
    if (balloon === null) throw new Error("No control group can be made any more");
    return balloon;
  }

  static #made(): Balloon | null {
    for (const roots of [ALONE, BESIDE]) {
      const balloon = new Balloon(roots);
      try {
        for (const path of balloon.#paths) Deno.mkdirSync(path);
        Deno.writeTextFileSync(`${roots.limit}${balloon.group}/${roots.file}`, String(LIMIT_BYTES), { create: false });
        Deno.readTextFileSync(`${roots.pressure}${balloon.group}/memory.pressure`);
        return balloon;
      } catch {
        balloon.#remove();
      }
    }
    return null;
  }

  /** Begins to thrash. The file is written by the group itself, so that its pages count there. */
  async inflate(): Promise<void> {
    const write = this.#spawn(`head -c ${FILE_BYTES} /dev/urandom > "$1"; sync "$1"`);
    await write.status;
    this.#children = Array.from({ length: READERS }, () => this.#spawn('while :; do cat "$1"; done >/dev/null'));
  }

  /** Ends all programs of the group. */
  async deflate(): Promise<void> {
    const children = this.#children.splice(0);
    const killed = () => {
      const [path = ""] = this.#paths;
      const pids = Deno.readTextFileSync(`${path}/cgroup.procs`).split("\n").filter(Boolean).map(Number);
      for (const pid of pids) {
        try {
          Deno.kill(pid, "SIGKILL");
        } catch {
          // It has ended since.
        }
      }
      return pids.length;
    };
    while (killed() > 0) await new Promise((resolve) => setTimeout(resolve, 10));
    await Promise.all(children.map(({ status }) => status));
  }

  /** Removes everything. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.deflate();
    this.#remove();
  }

  get #paths(): string[] {
    return [...new Set([this.#roots.pressure, this.#roots.limit])].map((root) => root + this.group);
  }

  #spawn(script: string): Deno.ChildProcess {
    const enter = this.#paths.map((path) => `echo $$ > ${path}/cgroup.procs`).join("; ");
    return new Deno.Command("/bin/sh", { args: ["-c", `${enter}; ${script}`, "sh", this.#file] }).spawn();
  }

  #remove(): void {
    for (const path of [...this.#paths, this.#file]) {
      try {
        Deno.removeSync(path);
      } catch {
        // It was not made.
      }
    }
  }
}
