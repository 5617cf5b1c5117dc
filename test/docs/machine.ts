/** A machine of the sandbox: a home, an address of the loopback, `ark-node` in its path, and a node that a page may start. */
import { createHash } from "node:crypto";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { until } from "../inference/local_fixture.ts";
import { cleanEnvironment } from "../support/node_process.ts";
import { FIXTURES } from "../mesh/test_node.ts";

const MAIN = fileURLToPath(new URL("../../main.ts", import.meta.url));
const CONFIG = fileURLToPath(new URL("../../deno.json", import.meta.url));
const MODEL_FILE = `${FIXTURES}/arkling-9m-q4_0.gguf`;
/** Nothing of a page takes longer. */
const LIMIT_S = 120;

/** How a block ended. */
export interface Ran {
  /** Exit status. */
  readonly code: number;
  /** All that it printed, in the order in which it did. */
  readonly output: string;
}

/** Where a machine is. */
export interface Place {
  /** Its address on the loopback, which is its own. */
  readonly address: string;
  /** What its node is called. */
  readonly name: string;
  /** Address of the other machine. */
  readonly other: string;
}

/** A machine. Disposing it stops its node and removes its files. */
export class Machine implements AsyncDisposable {
  /** Where it is. */
  readonly place: Place;
  /** Its folder. */
  readonly root: string;
  /** Home of its user. */
  readonly home: string;
  /** What stands on its screen of what runs now. */
  #screen = "";

  private constructor(root: string, place: Place) {
    this.root = root;
    this.home = join(root, "home");
    this.place = place;
  }

  /** Makes one. Models of Ollama lie in its home where it is to have some. */
  static async make(place: Place, { models }: { models: boolean }): Promise<Machine> {
    const machine = new Machine(await Deno.makeTempDir({ prefix: "ark-docs-" }), place);
    await Deno.mkdir(join(machine.home, "models"), { recursive: true });
    await Deno.mkdir(join(machine.root, "bin"));
    await Deno.writeTextFile(join(machine.root, "bin/ark-node"), launcher(machine.root), { mode: 0o755 });
    await Deno.symlink("ark-node", join(machine.root, "bin/stop-node"));
    await Deno.writeTextFile(join(machine.root, "cwd"), machine.home);
    await Deno.writeTextFile(join(machine.root, "state"), "");
    if (models) {
      await machine.#ollamaModel("llama3.1/8b");
      await Deno.copyFile(MODEL_FILE, join(machine.home, "models/arkling-9m-q4_0.gguf"));
    }
    return machine;
  }

  /** Data directory of its node. */
  get data(): string {
    return join(this.home, ".local/share/ark-node");
  }

  /** Address of its API. */
  get api(): string {
    return `http://${this.place.address}:8910`;
  }

  /** Runs a shell text as its user would, where the last one left off, and types lines when it is asked. */
  async run(text: string, { types = [] }: { types?: readonly string[] } = {}): Promise<Ran> {
    const { root } = this;
    const script = join(root, "block.sh");
    await Deno.writeTextFile(
      script,
      `trap 'export -p > ${root}/state; pwd > ${root}/cwd' EXIT
. ${root}/state; cd "$(cat ${root}/cwd)"; set -euo pipefail; set -a
${text}`,
    );
    const asked = types.length > 0;
    const words = asked
      ? ["script", "-qfec", `stty cols 120; bash ${script}`, "/dev/null"]
      : ["bash", "-c", `exec bash ${script} 2>&1`];
    const child = new Deno.Command("timeout", {
      args: ["--kill-after=5", String(LIMIT_S), ...words],
      env: this.#environment(),
      clearEnv: true,
      stdin: asked ? "piped" : "null",
      stdout: "piped",
      stderr: "null",
    }).spawn();
    this.#screen = "";
    const output = asked
      ? await typed(child, { types, show: (text) => this.#screen = text })
      : await new Response(child.stdout).text();
    const { code } = await child.status;
    return { code, output: code === 124 ? `${output}\n(stopped after ${LIMIT_S} s)` : output };
  }

  /** Waits until a text stands on its screen. */
  async prints(text: string): Promise<void> {
    await until(() => this.#screen.includes(text));
  }

  /** Makes an admin call. */
  async admin<T>(path: string, body?: unknown): Promise<T> {
    const token = (await Deno.readTextFile(join(this.data, "admin.token"))).trim();
    const response = await fetch(this.api + path, {
      headers: { authorization: `Bearer ${token}`, "content-type": "application/json" },
      ...(body === undefined ? {} : { method: "POST", body: JSON.stringify(body) }),
    });
    const answer = await response.json();
    if (!response.ok) throw new Error(`${path}: ${JSON.stringify(answer)}`);
    return answer;
  }

  /** Stops the node and removes the files. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.run(`stop-node`);
    await Deno.remove(this.root, { recursive: true });
  }

  #environment(): Record<string, string> {
    const { address, name, other } = this.place;
    const { PATH = "", LANG = "C.UTF-8", DENO_DIR } = cleanEnvironment();
    return {
      PATH: `${this.root}/bin:${PATH}`,
      LANG,
      TERM: "dumb",
      HOME: this.home,
      DENO_DIR: DENO_DIR ?? join(Deno.env.get("HOME") ?? "/root", ".cache/deno"),
      DENO_NO_UPDATE_CHECK: "1",
      ARK_DATA: this.data,
      ARK_NAME: name,
      ARK_LISTEN: `${address}:8910`,
      ARK_MESH_LISTEN: `${address}:8911`,
      ARK_REGISTRY_LISTEN: `${address}:8912`,
      // The other machine is found as mDNS would find it; nothing leaves the loopback.
      ARK_PEER: `${other}:8911`,
      ARK_NO_MDNS: "1",
      ARK_WIREGUARD: "off",
      ARK_GPU: "off",
      // Answers end when it is full, whatever the model writes.
      ARK_CONTEXT: "128",
    };
  }

  /** A model as `ollama pull` leaves it, with settings by which its answers are short. */
  async #ollamaModel(path: string): Promise<void> {
    const store = join(this.home, ".ollama/models");
    await Deno.mkdir(join(store, "blobs"), { recursive: true });
    const layers = [
      ["model", await Deno.readFile(MODEL_FILE)],
      ["params", new TextEncoder().encode('{"num_predict":12,"temperature":0}')],
    ] as const;
    const described = [];
    for (const [kind, bytes] of layers) {
      const digest = createHash("sha256").update(bytes).digest("hex");
      await Deno.writeFile(join(store, `blobs/sha256-${digest}`), bytes);
      const mediaType = `application/vnd.ollama.image.${kind}`;
      described.push({ mediaType, digest: `sha256:${digest}`, size: bytes.length });
    }
    const manifest = join(store, "manifests/registry.ollama.ai/library", path);
    await Deno.mkdir(dirname(manifest), { recursive: true });
    await Deno.writeTextFile(manifest, JSON.stringify({ schemaVersion: 2, layers: described }));
  }
}

/**
 * `ark-node` of this checkout. A call that starts a node goes on when the node is ready, in place of a second terminal, and
 * stops the one that ran before; all other calls are as they are.
 */
function launcher(root: string): string {
  const program = `${Deno.execPath()} run -A --config ${CONFIG} ${MAIN}`;
  return `#!/bin/bash
stop() {
  local pid; pid=$(cat ${root}/pid 2>/dev/null) || return 0
  kill "$pid" 2>/dev/null
  for _ in $(seq 300); do kill -0 "$pid" 2>/dev/null || break; sleep 0.05; done
  kill -9 "$pid" 2>/dev/null
  rm -f ${root}/pid
}
if [ "$(basename "$0")" = stop-node ]; then stop; exit 0; fi
case "\${1-}" in
  ""|serve|-*) case " $* " in *" --help "*|*" -h "*|*" --version "*) exec ${program} "$@" ;; esac ;;
  *) exec ${program} "$@" ;;
esac
stop
: > ${root}/node.log
${program} "$@" >> ${root}/node.log 2>&1 < /dev/null &
echo $! > ${root}/pid
for _ in $(seq 600); do
  grep -q '^Ready after\\|"ready_ms"' ${root}/node.log && { cat ${root}/node.log; exit 0; }
  kill -0 $! 2>/dev/null || break
  sleep 0.05
done
cat ${root}/node.log
wait $!
`;
}

/** Reads what a program prints, and types the next line each time that it asks. */
async function typed(
  child: Deno.ChildProcess,
  { types, show }: { types: readonly string[]; show: (output: string) => void },
): Promise<string> {
  const writer = child.stdin.getWriter();
  const left = [...types];
  let output = "";
  let answered = 0;
  for await (const text of child.stdout.pipeThrough(new TextDecoderStream() as TransformStream<Uint8Array, string>)) {
    output += text;
    show(output);
    if (!/[:?\]] $/.test(output) || output.length === answered) continue;
    answered = output.length;
    const line = left.shift();
    if (line !== undefined) await writer.write(new TextEncoder().encode(`${line}\n`)).catch(() => {});
  }
  await writer.close().catch(() => {});
  return left.length === 0 ? output : `${output}\n(it did not ask for: ${left.join(" / ")})`;
}
