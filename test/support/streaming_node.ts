/** A node in a process of its own that answers one peer on eight streams at once, each without an end. */
import assert from "node:assert/strict";
import { fileURLToPath } from "node:url";
import { until } from "../inference/local_fixture.ts";
import { MeshPeer, question } from "../mesh/mesh_peer.ts";
import { NodeProcess } from "./node_process.ts";

const MAIN = fileURLToPath(new URL("./fake_node.ts", import.meta.url));
const MODEL_FILE = fileURLToPath(new URL("../fixtures/arkling-9m-q4_0.gguf", import.meta.url));

/** Streams at once: one for each model, since a model answers one request at a time. */
export const STREAMS = 8;

/** One answer as it arrives. */
export interface Stream {
  /** Bytes so far. */
  bytes: number;
  /** When the last of them came, by `performance.now()`. */
  lastAt: number;
  /** Whether more may come. */
  open: boolean;
}

/** The node, its owner, and its models. */
export class StreamingNode implements AsyncDisposable {
  readonly node: NodeProcess;
  readonly #data: string;
  readonly #models: string;

  private constructor(parts: { node: NodeProcess; data: string; models: string }) {
    this.node = parts.node;
    this.#data = parts.data;
    this.#models = parts.models;
  }

  /** Starts it; with the directories of one that was killed, goes on where that was. */
  static async start(before?: StreamingNode): Promise<StreamingNode> {
    const data = before === undefined ? await Deno.makeTempDir({ prefix: "ark-streaming-" }) : before.#data;
    const models = before === undefined ? await Deno.makeTempDir({ prefix: "ark-models-" }) : before.#models;
    if (before === undefined) {
      for (let model = 0; model < STREAMS; model++) await Deno.copyFile(MODEL_FILE, `${models}/m${model}.gguf`);
    }
    const node = await NodeProcess.start({
      name: "B",
      data,
      command: [Deno.execPath(), "run", "-A", MAIN],
      args: [
        ...["--no-mdns", "--log-level", "warn", "--models", models],
        ...["--context", "1000000", "--max-loaded", String(STREAMS)],
      ],
    });
    return new StreamingNode({ node, data, models });
  }

  /** A peer that is approved for everything. */
  async peer(before?: MeshPeer): Promise<MeshPeer> {
    const [hostname = "", port] = this.node.ready.mesh.split(":");
    const peer = new MeshPeer(this.node.id, { hostname, port: Number(port) }, before?.identity);
    if (before === undefined) await this.approve(peer);
    return peer;
  }

  /** Approves a peer for everything. */
  async approve(peer: MeshPeer): Promise<void> {
    const response = await this.call("/peers/approve", {
      public_key: peer.publicKey,
      permissions: {
        can_request_inference: true,
        models_shared: ["*"],
        max_concurrent_requests: STREAMS,
        max_tokens_per_request: 1_000_000,
      },
    });
    assert.equal(response.status, 200, await response.text());
  }

  /** Makes a call of the owner; the answer is there when this resolves, its body may be read. */
  async call(path: string, body?: unknown): Promise<Response> {
    const token = (await Deno.readTextFile(`${this.#data}/admin.token`)).trim();
    return fetch(this.node.ready.api + path, {
      headers: { authorization: `Bearer ${token}`, "content-type": "application/json" },
      ...(body === undefined ? {} : { method: "POST", body: JSON.stringify(body) }),
    });
  }

  /** Ids of its models. */
  async models(): Promise<string[]> {
    let ids: string[] = [];
    await until(async () => {
      const { models } = await (await this.call("/models")).json();
      ids = models.map(({ id }: { id: string }) => id);
      return ids.length === STREAMS;
    });
    return ids;
  }

  /** How many requests its engines answer now. */
  async busy(): Promise<number> {
    const { models } = await (await this.call("/status")).json();
    return models.loaded.filter(({ busy }: { busy: boolean }) => busy).length + models.queued;
  }

  /** Opens a stream to each model, and waits until text comes on all of them; a token takes `slowMs`. */
  async streams(peer: MeshPeer, { slowMs }: { slowMs: number }): Promise<Stream[]> {
    const models = await this.models();
    const streams = await Promise.all(models.map(async (model) => {
      const response = await peer.open(question(model, `#slow=${slowMs}`, { max_tokens: 1_000_000 }));
      assert.equal(response.status, 200);
      const stream: Stream = { bytes: 0, lastAt: 0, open: true };
      void follow(response.body, stream);
      return stream;
    }));
    await until(() => streams.every(({ bytes }) => bytes > 1_000));
    return streams;
  }

  /** Kills it as a power cut does; the directories stay. */
  async kill(): Promise<void> {
    this.node.kill("SIGKILL");
    await this.node.ended();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.node[Symbol.asyncDispose]().catch(() => {});
    await Deno.remove(this.#data, { recursive: true }).catch(() => {});
    await Deno.remove(this.#models, { recursive: true }).catch(() => {});
  }
}

async function follow(body: ReadableStream<Uint8Array>, stream: Stream): Promise<void> {
  try {
    for await (const chunk of body) {
      stream.bytes += chunk.length;
      stream.lastAt = performance.now();
    }
  } catch {
    // That it was cut is what this waits for.
  }
  stream.open = false;
}
