import { type AnswerPart, ArkError, reasonOf, toArkError, type TokenIds } from "@ark/node/protocol";
import { confineBeforeLoading, confineOnceLoaded } from "./confine.ts";
import type { Engine } from "./engine.ts";
import { engineFor } from "./engine_choice.ts";
import { FrameWriter } from "./frame_writer.ts";
import { FrameReader } from "./frames.ts";
import { consoleToStandardError } from "./log.ts";
import { type NodeMessage, WORKER_PROTOCOL, type WorkerMessage } from "./messages.ts";

/** Options of {@linkcode runWorker}. */
export interface WorkerOptions {
  /** Runs the model; the default is llama.cpp. */
  engine?: Engine;
  /** Sees each message of the node before anything is done with it. */
  observe?: (message: unknown) => void;
}

/**
 * Main of the worker process: reads messages from standard input, answers on standard output, logs on standard error.
 * Never returns: the process ends when its input does, that is when its node wants it to or is gone, however that
 * came about.
 */
export async function runWorker({ engine, observe }: WorkerOptions = {}): Promise<void> {
  consoleToStandardError();
  const barrier = barriers();
  const worker = new Worker(engine);
  const reader = new FrameReader();
  send({ type: "hello", protocol: WORKER_PROTOCOL, barrier });
  for await (const chunk of Deno.stdin.readable) {
    for (const message of reader.push(chunk)) {
      observe?.(message);
      worker.take(message as NodeMessage);
    }
  }
  output.flush();
  exit();
}

/** What the system shuts this process in with, as the script that started it says. */
function barriers(): string[] {
  return Deno.env.get("ARK_BARRIER")?.split(",") ?? [];
}

/** One model, and as many requests at once as it has slots. */
class Worker {
  #engine: Engine | undefined;
  #slots = 0;
  readonly #running = new Map<number, AbortController>();
  readonly #confined: boolean;

  constructor(engine: Engine | undefined) {
    this.#engine = engine;
    this.#confined = engine === undefined;
  }

  /** Does what a message asks for, without waiting for it: a cancel must be read while a request runs. */
  take(message: NodeMessage): void {
    if (message.type === "load") void this.#load(message);
    else if (message.type === "generate") void this.#generate(message);
    else this.#running.get(message.id)?.abort();
  }

  async #load(message: Extract<NodeMessage, { type: "load" }>): Promise<void> {
    try {
      const engine = this.#engine ??= await engineFor(message);
      if (this.#confined && message.binding !== null) await confineBeforeLoading();
      const model = await engine.load(message, (fraction) => send({ type: "progress", fraction }));
      this.#slots = model.slots;
      if (this.#confined) await confineOnceLoaded();
      send({ type: "loaded", ...model });
    } catch (error) {
      send({ type: "failed", message: reasonOf(error) });
    }
  }

  async #generate({ id, ...request }: Extract<NodeMessage, { type: "generate" }>): Promise<void> {
    if (this.#engine === undefined || this.#running.size >= this.#slots) {
      const error = new ArkError("busy", "The engine has no free slot");
      return send({ type: "error", id, code: error.code, message: error.message });
    }
    const controller = new AbortController();
    this.#running.set(id, controller);
    const sink = {
      start: (prompt_tokens: number, prompt_ids?: TokenIds) =>
        send({ type: "start", id, prompt_tokens, ...prompt_ids === undefined ? {} : { prompt_ids } }),
      part: (part: AnswerPart) => send({ type: "part", id, part }),
    };
    let answer: WorkerMessage;
    try {
      answer = { type: "end", id, ...await this.#engine.generate(request, { sink, signal: controller.signal }) };
    } catch (error) {
      const { code, message } = toArkError(error);
      answer = { type: "error", id, code, message };
    }
    // Free before it is told: the next request may be on its way as soon as the node knows.
    this.#running.delete(id);
    send(answer);
  }
}

const output = new FrameWriter(writeOut);

function send(message: WorkerMessage): void {
  output.push(message);
}

/**
 * Waits until the pipe has it all. A node that reads slowly slows the engine down, and a node that is gone ends the
 * process.
 */
function writeOut(bytes: Uint8Array): void {
  try {
    for (let written = 0; written < bytes.length;) written += Deno.stdout.writeSync(bytes.subarray(written));
  } catch {
    exit();
  }
}

/**
 * Ends the process without a farewell: llama.cpp's destructors wait for threads that are still computing, and can
 * hang where a GPU is in use. Memory of both kinds goes back to the system anyway.
 */
function exit(): never {
  try {
    Deno.kill(Deno.pid, "SIGKILL");
  } catch {
    // Without the permission to send signals the ordinary way must do.
  }
  Deno.exit(0);
}
