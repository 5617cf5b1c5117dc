import type { EngineRequest, EngineResult } from "@ark/node/inference";
import { type AnswerPart, ArkError } from "@ark/node/protocol";
import type { EngineLoad, EngineModel } from "../../src/inference/worker/engine.ts";
import { encodeFrame, FrameReader } from "../../src/inference/worker/frames.ts";
import { decodeWorkerMessage, type NodeMessage, type WorkerMessage } from "../../src/inference/worker/messages.ts";
import { TINY_LOAD } from "./tiny_load.ts";

/** What came of a request. */
export interface EngineAnswer extends EngineResult {
  /** The parts as they came. */
  parts: AnswerPart[];
  /** The text in them. */
  text: string;
}

/** A worker process with the real engine, asked directly over its protocol, without the node's part of it. */
export class EngineProcess implements AsyncDisposable {
  /** What the model came to. */
  model: EngineModel | undefined;
  readonly #child: Deno.ChildProcess;
  readonly #input: WritableStreamDefaultWriter<Uint8Array>;
  readonly #messages: AsyncIterator<WorkerMessage>;
  #requests = 0;

  private constructor(child: Deno.ChildProcess) {
    this.#child = child;
    this.#input = child.stdin.getWriter();
    this.#messages = messagesOf(child.stdout);
  }

  /** Starts a process, and loads a model. */
  static async load(path: string, parts: Partial<EngineLoad> = {}): Promise<EngineProcess> {
    const main = new URL("worker_main.ts", import.meta.url).pathname;
    const command = new Deno.Command(Deno.execPath(), {
      args: ["run", "-A", main],
      stdin: "piped",
      stdout: "piped",
      stderr: "null",
    });
    const worker = new EngineProcess(command.spawn());
    await worker.#send({
      type: "load",
      ...TINY_LOAD,
      path,
      ...parts,
    });
    for (;;) {
      const message = await worker.#next();
      if (message.type === "failed") {
        await worker[Symbol.asyncDispose]();
        throw new Error(message.message);
      }
      if (message.type !== "loaded") continue;
      worker.model = message;
      return worker;
    }
  }

  /** Asks; `seen` hears each part as it comes, and may cancel. */
  async ask(
    request: Partial<EngineRequest>,
    seen: (part: AnswerPart, cancel: () => void) => void = () => {},
  ): Promise<EngineAnswer> {
    const id = ++this.#requests;
    const input = { kind: "completion", prompt: "The node is" } as const;
    await this.#send({ type: "generate", id, input, parameters: {}, principal: "a", ...request });
    const parts: AnswerPart[] = [];
    for (;;) {
      const message = await this.#next();
      if (message.type === "error") throw new ArkError(message.code, message.message);
      if (message.type === "part") {
        parts.push(message.part);
        seen(message.part, () => void this.#send({ type: "cancel", id }));
      } else if (message.type === "end") {
        const text = parts.map((part) => part.type === "text" ? part.text : "").join("");
        return { ...message, parts, text };
      }
    }
  }

  /** Ends the process. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.#input.close();
    await this.#child.status;
    await this.#messages.return?.();
  }

  async #send(message: NodeMessage): Promise<void> {
    await this.#input.write(encodeFrame(message));
  }

  async #next(): Promise<WorkerMessage> {
    const { value, done } = await this.#messages.next();
    if (done) throw new Error("The worker ended by itself");
    return value;
  }
}

async function* messagesOf(stream: ReadableStream<Uint8Array>): AsyncGenerator<WorkerMessage> {
  const reader = new FrameReader();
  for await (const chunk of stream) {
    for (const message of reader.push(chunk)) yield decodeWorkerMessage(message);
  }
}
