/** A worker process with the real engine, spoken to in its own protocol: several requests at once, unlike a node's. */
import assert from "node:assert/strict";
import type { EngineBinding, EngineLoad, EngineModel, EngineRequest, EngineResult } from "@ark/node/inference";
import { type AnswerPart, ArkError } from "@ark/node/protocol";
import { encodeFrame, FrameReader } from "../../src/inference/worker/frames.ts";
import { decodeWorkerMessage, type NodeMessage, type WorkerMessage } from "../../src/inference/worker/messages.ts";
import { TINY_LOAD } from "./tiny_load.ts";

/** What came of a request. */
export interface Asked extends EngineResult {
  /** The parts, as they came. */
  parts: AnswerPart[];
  /** The text of them. */
  text: string;
}

/** How a request is asked. */
export interface AskOptions {
  /** Cancels it. */
  signal?: AbortSignal;
  /** Sees each message. */
  seen?: (message: Extract<WorkerMessage, { id: number }>) => void;
}

/** A request to go on with a text, greedily. */
export type Question = Partial<EngineRequest> & { prompt?: string };

let found: Promise<EngineBinding> | undefined;

/** The build that works here, looked for once. */
function binding(): Promise<EngineBinding> {
  return found ??= (async () => {
    const { stdout } = await new Deno.Command(Deno.execPath(), {
      args: ["run", "-A", "main.ts", "worker", "probe", JSON.stringify({ gpu: "off", binding: null })],
      stderr: "null",
    }).output();
    return JSON.parse(new TextDecoder().decode(stdout));
  })();
}

/** A worker with a model. */
export class EngineWorker implements AsyncDisposable {
  /** What loading came to. */
  readonly loaded: EngineModel;
  /** How far loading was, as it was told. */
  readonly progress: number[] = [];
  readonly #child: Deno.ChildProcess;
  readonly #input: WritableStreamDefaultWriter<Uint8Array>;
  readonly #listeners = new Map<number, (message: Extract<WorkerMessage, { id: number }>) => void>();
  readonly #reading: Promise<void>;
  readonly #ready = Promise.withResolvers<EngineModel>();
  #ids = 0;

  private constructor(load: Partial<EngineLoad> & Pick<EngineLoad, "binding">) {
    this.#child = new Deno.Command(Deno.execPath(), {
      args: ["run", "-A", new URL("./worker_main.ts", import.meta.url).pathname],
      stdin: "piped",
      stdout: "piped",
      stderr: Deno.env.has("ENGINE_LOG") ? "inherit" : "null",
    }).spawn();
    this.#input = this.#child.stdin.getWriter();
    this.#input.closed.catch(() => {});
    this.loaded = { context_size: 0, threads: 0, gpu: null, engine: "", slots: 0 };
    this.#reading = this.#read();
    this.#send({
      type: "load",
      ...TINY_LOAD,
      context_size: 1_024,
      engine: "native",
      ...load,
    });
  }

  /** Starts one and loads a model: the fixture, unless told otherwise. */
  static async start(load: Partial<EngineLoad> = {}): Promise<EngineWorker> {
    const worker = new EngineWorker({ binding: await binding(), ...load });
    try {
      Object.assign(worker.loaded, await worker.#ready.promise);
      return worker;
    } catch (error) {
      await worker[Symbol.asyncDispose]();
      throw error;
    }
  }

  /** Process id. */
  get pid(): number {
    return this.#child.pid;
  }

  /** Asks, and waits for the end. */
  ask({ prompt = "The node is ready to answer", ...request }: Question, options: AskOptions = {}): Promise<Asked> {
    const { promise, resolve, reject } = Promise.withResolvers<Asked>();
    const id = ++this.#ids;
    const parts: AnswerPart[] = [];
    this.#listeners.set(id, (message) => {
      options.seen?.(message);
      if (message.type === "part") parts.push(message.part);
      if (message.type !== "end" && message.type !== "error") return;
      this.#listeners.delete(id);
      if (message.type === "error") return reject(new ArkError(message.code, message.message));
      const { type: _type, id: _id, ...result } = message;
      resolve({ ...result, parts, text: parts.map((part) => part.type === "text" ? part.text : "").join("") });
    });
    this.#send({
      type: "generate",
      id,
      input: { kind: "completion", prompt },
      parameters: { max_tokens: 20, temperature: 0 },
      principal: "a",
      ...request,
    });
    options.signal?.addEventListener("abort", () => this.#send({ type: "cancel", id }));
    return promise;
  }

  /** Ends it. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.#input.close().catch(() => {});
    await this.#reading;
    await this.#child.status;
  }

  async #read(): Promise<void> {
    const reader = new FrameReader();
    for await (const chunk of this.#child.stdout) {
      for (const message of reader.push(chunk)) this.#take(decodeWorkerMessage(message));
    }
    const gone = new ArkError("engine_failed", "The worker has ended");
    this.#ready.reject(gone);
    this.#ready.promise.catch(() => {});
    for (const [id, listener] of this.#listeners) {
      listener({ type: "error", id, code: gone.code, message: gone.message });
    }
  }

  #take(message: WorkerMessage): void {
    if (message.type === "progress") this.progress.push(message.fraction);
    else if (message.type === "loaded") this.#ready.resolve(message);
    else if (message.type === "failed") this.#ready.reject(new Error(message.message));
    else if ("id" in message) {
      (this.#listeners.get(message.id) ?? assert.fail(`No request has id ${message.id}`))(message);
    }
  }

  #send(message: NodeMessage): void {
    this.#input.write(encodeFrame(message)).catch(() => {});
  }
}
