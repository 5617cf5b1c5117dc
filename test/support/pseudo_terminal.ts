/** Programs at a real pseudo terminal, by Python's `pty`, and what a person would see of them. */
import { VirtualScreen } from "./virtual_screen.ts";

/** Runs a program with a terminal of its own, and does to it what stands on the lines of standard input. */
const PYTHON = `
import fcntl, json, os, pty, select, signal, struct, sys, termios
columns, rows = int(sys.argv[1]), int(sys.argv[2])
pid, fd = pty.fork()
if pid == 0:
    fcntl.ioctl(0, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))
    os.execvp(sys.argv[3], sys.argv[3:])
inputs, rest = [fd, 0], b""
while True:
    ready, _, _ = select.select(inputs, [], [])
    if fd in ready:
        try:
            data = os.read(fd, 65536)
        except OSError:
            break
        if not data:
            break
        os.write(1, data)
    if 0 in ready:
        data = os.read(0, 65536)
        if not data:
            os.kill(pid, signal.SIGKILL)
            inputs = [fd]
        rest += data
        while b"\\n" in rest:
            line, rest = rest.split(b"\\n", 1)
            order = json.loads(line)
            if "type" in order:
                os.write(fd, order["type"].encode())
            if "size" in order:
                fcntl.ioctl(fd, termios.TIOCSWINSZ, struct.pack("HHHH", order["size"][1], order["size"][0], 0, 0))
            if "signal" in order:
                os.kill(pid, order["signal"])
echo = bool(termios.tcgetattr(fd)[3] & termios.ECHO)
_, status = os.waitpid(pid, 0)
sys.stderr.write(json.dumps({"code": os.waitstatus_to_exitcode(status), "echo": echo}))
`;

/** Why there is no pseudo terminal here, or null. */
export async function noPseudoTerminal(): Promise<string | null> {
  if (Deno.build.os === "windows") return "there are no pseudo terminals of this kind on Windows";
  try {
    const { success } = await new Deno.Command("python3", {
      args: ["-c", "import fcntl, os, pty, termios; os.waitstatus_to_exitcode"],
      stdin: "null",
      stdout: "null",
      stderr: "null",
    }).output();
    return success ? null : "python3 has no pty here";
  } catch {
    return "there is no python3 here";
  }
}

/** How a program left its terminal. */
export interface TerminalEnd {
  /** Exit status; that of a signal is negative. */
  code: number;
  /** Whether what is typed is shown again. */
  echo: boolean;
}

/** A program and its terminal. Disposing it kills the program. */
export class PseudoTerminal implements AsyncDisposable {
  /** What a person sees. */
  readonly screen: VirtualScreen;
  /** Everything that the program wrote. */
  written = "";
  /** How it ended. */
  readonly ended: Promise<TerminalEnd>;
  readonly #child: Deno.ChildProcess;
  readonly #writer: WritableStreamDefaultWriter<Uint8Array>;

  /** Starts a program. */
  constructor(command: readonly string[], options: { columns: number; rows: number; env: Record<string, string> }) {
    const { columns, rows, env } = options;
    this.screen = new VirtualScreen({ columns, rows });
    this.#child = new Deno.Command("python3", {
      args: ["-c", PYTHON, String(columns), String(rows), ...command],
      env: { TERM: "xterm-256color", ...env },
      clearEnv: true,
      stdin: "piped",
      stdout: "piped",
      stderr: "piped",
    }).spawn();
    this.#writer = this.#child.stdin.getWriter();
    this.ended = this.#follow();
  }

  /** Types. */
  type(text: string): Promise<void> {
    return this.#order({ type: text });
  }

  /** Sends the program a signal by its number. */
  signal(number: number): Promise<void> {
    return this.#order({ signal: number });
  }

  /** Makes the terminal another size. */
  resize({ columns, rows }: { columns: number; rows: number }): Promise<void> {
    this.screen.resize({ columns, rows });
    return this.#order({ size: [columns, rows] });
  }

  /** Waits until something is to be seen; a minute at most. */
  async shows(what: RegExp): Promise<void> {
    const deadline = performance.now() + 60_000;
    while (!what.test(this.screen.text)) {
      if (performance.now() > deadline) throw new Error(`${what} was not to be seen in a minute:\n${this.screen.text}`);
      await new Promise((resolve) => setTimeout(resolve, 10));
    }
  }

  /** How it ended, within a minute. */
  async end(): Promise<TerminalEnd> {
    let timer: ReturnType<typeof setTimeout> | undefined;
    const late = new Promise<never>((_, reject) => {
      timer = setTimeout(() => reject(new Error(`It did not end in a minute:\n${this.screen.text}`)), 60_000);
    });
    try {
      return await Promise.race([this.ended, late]);
    } finally {
      clearTimeout(timer);
    }
  }

  /** Kills what still runs. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.#writer.close().catch(() => {});
    await this.ended.catch(() => {});
  }

  async #order(order: unknown): Promise<void> {
    await this.#writer.write(new TextEncoder().encode(JSON.stringify(order) + "\n"));
  }

  async #follow(): Promise<TerminalEnd> {
    const decoder = new TextDecoder();
    const said = new Response(this.#child.stderr).text();
    for await (const bytes of this.#child.stdout) {
      const text = decoder.decode(bytes, { stream: true });
      this.written += text;
      this.screen.feed(text);
    }
    await this.#child.status;
    const text = await said;
    try {
      return JSON.parse(text);
    } catch {
      throw new Error(`The pseudo terminal failed: ${text}`);
    }
  }
}
