/** Whole nodes inside the test's process: real listeners, real TLS, real SQLite, real workers. */
import { loadConfig, OwnSettings } from "@ark/node/config";
import { type Daemon, type DaemonOptions, startDaemon } from "@ark/node/daemon";
import { formatPublicKey, publicKeyOf } from "@ark/node/identity";
import { ROLES } from "@ark/node/roles";
import { Logger } from "@ark/node/telemetry";
import { formatAddress } from "@ark/node/transport";
import { fileURLToPath } from "node:url";
import { until, workerCommand } from "../inference/local_fixture.ts";
import { tellWhenLate } from "../support/late_witnesses.ts";

/** Folder with the small trained model. */
export const FIXTURES = fileURLToPath(new URL("../fixtures", import.meta.url));
/** What the nodes call the model of {@linkcode FIXTURES}. */
export const MODEL = "arkling:9m-q4_0";

/** Options of {@linkcode TestNode.start}. */
export interface TestNodeOptions {
  /** Label. */
  name: string;
  /** Folders with models. */
  models?: string[];
  /** Addresses of neighbours. */
  peers?: string[];
  /** Data directory; without it a new one that vanishes with the node. */
  data?: string;
  /** Roles. @default {"compute,gateway"} */
  role?: string;
  /** `worker_main` for the real engine, `observed_worker` for one that writes down what it reused, `chain_worker` for one whose next token is known. @default {"fake_worker"} */
  worker?: "fake_worker" | "worker_main" | "observed_worker" | "chain_worker";
  /** Variables that its workers see. */
  environment?: Record<string, string>;
  /** How long a use of the machine must last before the node yields to it. */
  yieldTimes?: NonNullable<DaemonOptions["yieldTimes"]>;
  /** More flags of `serve`, or others in place of those that a test node has. */
  flags?: Record<string, string | boolean | string[]>;
}

/** What an admin call answered. */
export interface Answer<T> {
  status: number;
  body: T;
}

/** A node, its owner's token and what its workers saw. */
export class TestNode implements AsyncDisposable {
  /** The node. */
  readonly daemon: Daemon;
  /** Its data directory. */
  readonly data: string;
  /** Its log lines. */
  readonly log: string[];
  readonly #own: boolean;
  readonly #workerLog: string;
  readonly #witness: Disposable;

  private constructor(
    parts: { name: string; daemon: Daemon; data: string; log: string[]; workerLog: string; own: boolean },
  ) {
    this.daemon = parts.daemon;
    this.data = parts.data;
    this.log = parts.log;
    this.#own = parts.own;
    this.#witness = tellWhenLate(() => [`The last that node ${parts.name} said:`, ...this.log.slice(-20)].join("\n"));
    this.#workerLog = parts.workerLog;
  }

  /** Starts a node on free ports of the loopback, without mDNS. */
  static async start(options: TestNodeOptions): Promise<TestNode> {
    const { name, models = [], peers = [], role = "compute,gateway", worker = "fake_worker" } = options;
    const data = options.data ?? await Deno.makeTempDir({ prefix: "ark-test-" });
    const flags = {
      data,
      name,
      models,
      peer: peers,
      role,
      listen: "127.0.0.1:0",
      "mesh-listen": "127.0.0.1:0",
      "no-mdns": true,
      ...options.flags,
      wireguard: "off",
    };
    const given = { flags, env: () => undefined };
    const config = await loadConfig(given);
    const log: string[] = [];
    const logger = new Logger({ level: "debug", write: (line) => void log.push(line) });
    const program = workerCommand(worker);
    const variables = Object.entries(options.environment ?? {}).map(([variable, value]) => `${variable}=${value}`);
    const workerLog = await Deno.makeTempFile({ prefix: "ark-worker-" });
    const command = ["/usr/bin/env", `FAKE_WORKER_LOG=${workerLog}`, ...variables, ...program];
    const daemon = await startDaemon(config, {
      version: "0.0.0",
      roles: ROLES.filter((one) => config.roles.includes(one.name)),
      logger,
      workerCommand: command,
      ...options.yieldTimes === undefined ? {} : { yieldTimes: options.yieldTimes },
      env: () => undefined,
      reload: () => loadConfig(given),
      settings: await OwnSettings.begin(given),
    });
    return new TestNode({ name, daemon, data, log, workerLog, own: options.data === undefined });
  }

  /** Where its API is. */
  get api(): string {
    return `http://${formatAddress(this.daemon.api)}`;
  }

  /** Where peers find it. */
  get mesh(): string {
    return formatAddress(this.daemon.mesh);
  }

  /** Its key. */
  get publicKey(): string {
    return formatPublicKey(publicKeyOf(this.daemon.id));
  }

  /** Everything that its workers were told, as lines of JSON. */
  workerLog(): string {
    return Deno.readTextFileSync(this.#workerLog);
  }

  /** Makes an admin call. */
  async admin<T = Record<string, unknown>>(path: string, body?: unknown): Promise<Answer<T>> {
    const token = (await Deno.readTextFile(`${this.data}/admin.token`)).trim();
    const response = await fetch(this.api + path, {
      headers: { authorization: `Bearer ${token}`, "content-type": "application/json" },
      ...(body === undefined ? {} : { method: "POST", body: JSON.stringify(body) }),
    });
    return { status: response.status, body: await response.json() };
  }

  /** Lets another node ask this one, and sends it prompts. */
  async approve(other: { publicKey: string; name?: string }, permissions: Record<string, unknown> = {}): Promise<void> {
    const { status, body } = await this.admin("/peers/approve", {
      node_id: other.name ?? "ark-neighbor-001",
      public_key: other.publicKey,
      permissions: {
        can_request_inference: true,
        can_pull_models: false,
        models_shared: ["*"],
        max_concurrent_requests: 2,
        ...permissions,
      },
    });
    if (status !== 200) throw new Error(`The approval failed: ${JSON.stringify(body)}`);
  }

  /** Asks for a chat completion. */
  chat(body: Record<string, unknown>, init: RequestInit = {}): Promise<Response> {
    return fetch(`${this.api}/v1/chat/completions`, {
      method: "POST",
      ...init,
      headers: { "content-type": "application/json", ...init.headers },
      body: JSON.stringify({ messages: [{ role: "user", content: "one two three" }], ...body }),
    });
  }

  /** Waits until a model is within reach. */
  async reaches(model: string): Promise<void> {
    await until(async () => {
      const { data } = await (await fetch(`${this.api}/v1/models`)).json();
      return data.some(({ id }: { id: string }) => id === model);
    });
  }

  /** Stops the node and removes what it wrote. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.log.push("It is told to stop");
    await this.daemon[Symbol.asyncDispose]();
    this.#witness[Symbol.dispose]();
    await Deno.remove(this.#workerLog);
    if (this.#own) await Deno.remove(this.data, { recursive: true });
  }
}

/** Two nodes that approved each other: `a` has no model, `b` has. */
export class Pair implements AsyncDisposable {
  /** Asks. */
  readonly a: TestNode;
  /** Has the model. */
  readonly b: TestNode;

  private constructor(a: TestNode, b: TestNode) {
    this.a = a;
    this.b = b;
  }

  /** Starts both, approves on both sides and waits until `a` knows what `b` offers. */
  static async start(
    options: Partial<TestNodeOptions> & { permissions?: Record<string, unknown> } = {},
  ): Promise<Pair> {
    const { permissions = {}, ...b } = options;
    const second = await TestNode.start({ name: "B", models: [FIXTURES], ...b });
    const first = await TestNode.start({ name: "A", peers: [second.mesh] });
    await second.approve({ publicKey: first.publicKey, name: "A" }, permissions);
    await first.approve({ publicKey: second.publicKey, name: "B" });
    await first.reaches(MODEL);
    return new Pair(first, second);
  }

  /** Stops both. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.a[Symbol.asyncDispose]();
    await this.b[Symbol.asyncDispose]();
  }
}

/** Text, finish reason and error of a streamed answer. */
export async function readStream(response: Response): Promise<{ text: string; done: boolean; error: string | null }> {
  const body = await response.text();
  const data = body.split("\n").filter((line) => line.startsWith("data: ")).map((line) => line.slice("data: ".length));
  const chunks = data.filter((one) => one !== "[DONE]").map((one) => JSON.parse(one));
  return {
    text: chunks.map(({ choices }) => choices?.[0]?.delta.content ?? "").join(""),
    done: data.includes("[DONE]"),
    error: chunks.find(({ error }) => error !== undefined)?.error.message ?? null,
  };
}

/** Entries of a node's `audit.log`. */
export function auditOf(node: { data: string }): Record<string, unknown>[] {
  return Deno.readTextFileSync(`${node.data}/audit.log`).split("\n").filter(Boolean).map((line) => JSON.parse(line));
}
