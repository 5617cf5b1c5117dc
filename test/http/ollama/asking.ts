import assert from "node:assert/strict";
import { ArkError } from "@ark/node/protocol";
import type { Answers } from "../../../src/http/api/answers.ts";
import type {
  ModelDescription,
  ModelKeeper,
  PullProgress,
  RunningModel,
} from "../../../src/http/ollama/model_keeper.ts";
import { type OllamaOptions, ollamaRoutes } from "../../../src/http/ollama/ollama_routes.ts";
import { MODEL } from "../api/scripted_answers.ts";

/** Sends a request to Ollama's routes over a script; no port. */
export function askOllama(
  answers: Answers,
  { path = "/api/chat", body, options, ...init }: Omit<RequestInit, "body"> & {
    path?: string;
    body?: unknown;
    options?: Omit<OllamaOptions, "answers">;
  },
): Promise<Response> {
  const app = ollamaRoutes({ answers, ...options });
  const made = body === undefined ? init : {
    method: "POST",
    ...init,
    body: typeof body === "string" || body instanceof ReadableStream ? body : JSON.stringify(body),
  };
  return Promise.resolve(app.request(path, made));
}

/** A chat with one message. */
export function chat(fields: Record<string, unknown> = {}): Record<string, unknown> {
  return { model: MODEL, messages: [{ role: "user", content: "Hello" }], ...fields };
}

/** Lines of a stream, in order; what was sent must be whole lines of JSON, by every client's idea of a line. */
export async function linesOf(response: Response): Promise<Record<string, unknown>[]> {
  assert.equal(response.headers.get("content-type"), "application/x-ndjson");
  const lines = (await response.text()).split(/[\n\r\u0085\u2028\u2029]/);
  assert.equal(lines.pop(), "", "The stream does not end with a line break");
  return lines.map((line) => JSON.parse(line));
}

/** Keeps one model and remembers what it was told. */
export class ScriptedKeeper implements ModelKeeper {
  readonly told: unknown[][] = [];
  readonly #description: ModelDescription = {
    id: MODEL,
    size: 5_000_000,
    digest: null,
    modifiedAt: Date.UTC(2026, 5, 1),
    architecture: "llama",
    parameterCount: 9_000_000,
    template: "{{ messages }}",
    system: "Be kind",
    license: "apache-2.0",
    defaults: { temperature: 0.7, max_tokens: 12, stop: ["<end>", '"'] },
    metadata: new Map<string, string | number | bigint | boolean>([
      ["general.architecture", "llama"],
      ["llama.context_length", 1_024n],
      ["llama.rope.freq_base", 0.5],
      ["tokenizer.ggml.add_bos_token", true],
      ["tokenizer.chat_template", "{{ messages }}"],
    ]),
  };
  inMemory: RunningModel[] = [];

  find(ref: string): string | null {
    return ref === "arkling" || ref === "arkling:latest" || ref.toLowerCase() === MODEL ? MODEL : null;
  }

  describe(): Promise<ModelDescription> {
    return Promise.resolve(this.#description);
  }

  load(...told: unknown[]): Promise<void> {
    this.told.push(["load", ...told]);
    return Promise.resolve();
  }

  unload(...told: unknown[]): Promise<void> {
    this.told.push(["unload", ...told]);
    return Promise.resolve();
  }

  running(): readonly RunningModel[] {
    return this.inMemory;
  }

  async *pull(ref: string, _options: { signal: AbortSignal }): AsyncGenerator<PullProgress> {
    this.told.push(["pull", ref]);
    yield { status: "pulling manifest" };
    await Promise.resolve();
    if (ref === "broken") throw new ArkError("unavailable", "The registry cannot be reached");
    yield { status: "pulling 49fe5a9def0a", digest: "sha256:49fe", total: 10, completed: 5 };
  }

  remove(ref: string): Promise<void> {
    this.told.push(["remove", ref]);
    return ref === "other" ? Promise.reject(new ArkError("model_not_found", "It is not here")) : Promise.resolve();
  }

  copy(...told: unknown[]): Promise<void> {
    this.told.push(["copy", ...told]);
    return Promise.resolve();
  }
}
