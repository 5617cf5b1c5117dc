/** A real nginx of a test's own: on the loopback, in a folder that vanishes, beside any that the system runs. */
import { reasonOf } from "@ark/node/protocol";
import { freePort } from "./server_port.ts";

/** A running nginx. Disposing it stops it. */
export class Nginx implements AsyncDisposable {
  /** Where it listens. */
  readonly port: number;
  readonly #child: Deno.ChildProcess;
  readonly #directory: string;
  readonly #errors: Promise<string>;

  private constructor(parts: { port: number; child: Deno.ChildProcess; directory: string; errors: Promise<string> }) {
    this.port = parts.port;
    this.#child = parts.child;
    this.#directory = parts.directory;
    this.#errors = parts.errors;
  }

  /** Whether there is one, or why not. */
  static async missing(): Promise<string | null> {
    try {
      await new Deno.Command("nginx", { args: ["-v"], stdout: "null", stderr: "null" }).output();
      return null;
    } catch (error) {
      return `there is no nginx (package nginx-light): ${reasonOf(error)}`;
    }
  }

  /** Starts one with these directives inside its only `server` block, and waits until it answers. */
  static async start(server: string): Promise<Nginx> {
    const directory = await Deno.makeTempDir({ prefix: "ark-nginx-" });
    // Workers run as another user, who must reach their folders.
    await Deno.chmod(directory, 0o755);
    const port = freePort();
    const folders = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"].map((name) =>
      `${name}_temp_path ${directory}/${name};`
    );
    await Deno.writeTextFile(
      `${directory}/nginx.conf`,
      `daemon off; master_process off; pid ${directory}/pid; error_log stderr warn;
      events { worker_connections 256; }
      http { access_log off; ${folders.join(" ")}
        server { listen 127.0.0.1:${port}; server_name _; ${server} } }`,
    );
    const child = new Deno.Command("nginx", {
      args: ["-p", directory, "-e", "stderr", "-c", `${directory}/nginx.conf`],
      stdin: "null",
      stdout: "null",
      stderr: "piped",
    }).spawn();
    const errors = new Response(child.stderr).text();
    const nginx = new Nginx({ port, child, directory, errors });
    const deadline = performance.now() + 10_000;
    while (!await answers(port)) {
      if (performance.now() > deadline) {
        await nginx[Symbol.asyncDispose]();
        throw new Error(`nginx does not answer: ${await errors}`);
      }
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
    return nginx;
  }

  /** Stops it. */
  async [Symbol.asyncDispose](): Promise<void> {
    try {
      this.#child.kill("SIGTERM");
    } catch {
      // It has ended already.
    }
    await Promise.all([this.#child.status, this.#errors]);
    await Deno.remove(this.#directory, { recursive: true });
  }
}

async function answers(port: number): Promise<boolean> {
  try {
    using _connection = await Deno.connect({ hostname: "127.0.0.1", port });
    return true;
  } catch {
    return false;
  }
}
