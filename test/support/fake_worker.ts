/**
 * A worker without a model: it speaks the real protocol (it is `runWorker()` with another engine), and answers every
 * question with `w0 w1 w2 …`, as many words as `max_tokens`, 16 without it. A prompt has as many tokens as words.
 *
 * What goes wrong is chosen by the model's file name or by text in the prompt:
 *
 * | file name has | effect |
 * |---|---|
 * | `fail-load` | the model cannot be loaded |
 * | `crash-load` | the process ends while it loads |
 * | `hang-load` | it never finishes loading |
 *
 * | prompt has | effect |
 * |---|---|
 * | `#crash-after=3` | the process ends after three tokens |
 * | `#fail-after=3` | the request fails after three tokens, with `engine_failed` |
 * | `#hang` | no token ever, and a cancel is not heard |
 * | `#slow=5` | five milliseconds for each token |
 * | `#garbage` | bytes that are no frame |
 *
 * With `FAKE_WORKER_LOG` set, every message that arrives is appended there as a line of JSON, and beside them
 * `{"type":"fake:start","pid":…,"environment":[names]}` and, when an answer is over,
 * `{"type":"fake:over","tokens":…,"cancelled":…}`.
 */
import { setImmediate } from "node:timers";
import { type Engine, type EngineGenerateOptions, type EngineRequest, runWorker } from "@ark/node/inference";
import { ArkError, type InferenceInput } from "@ark/node/protocol";

class FakeEngine implements Engine {
  #contextSize = 0;
  #last: { principal: string; words: string[] } = { principal: "", words: [] };

  async load({ path, context_size, threads }: Parameters<Engine["load"]>[0]) {
    const name = path.slice(path.lastIndexOf("/") + 1);
    if (name.includes("fail-load")) throw new Error("the tensors make no sense.");
    if (name.includes("crash-load")) Deno.exit(9);
    if (name.includes("hang-load")) await new Promise(() => {});
    this.#contextSize = context_size;
    return { context_size, threads: threads ?? 1, gpu: null, engine: "fake 1", slots: 1 };
  }

  async generate({ input, parameters, principal }: EngineRequest, { sink, signal }: EngineGenerateOptions) {
    const text = textOf(input);
    const words = text.split(/\s+/).filter(Boolean);
    const cached_tokens = principal === this.#last.principal ? common(words, this.#last.words) : 0;
    this.#last = { principal, words };
    const room = this.#contextSize - words.length;
    if (room < 1) {
      throw new ArkError(
        "context_exceeded",
        `The prompt has ${words.length} tokens and the context ${this.#contextSize}; shorten the prompt`,
      );
    }
    sink.start(words.length);
    if (text.includes("#hang")) await new Promise(() => {});
    const count = Math.min(parameters.max_tokens ?? 16, room);
    const slow = option(text, "slow");
    for (let token = 0; token < count; token++) {
      if (token === option(text, "crash-after")) Deno.exit(9);
      if (token === option(text, "fail-after")) throw new ArkError("engine_failed", "The fake failed as it was told");
      if (text.includes("#garbage")) Deno.stdout.writeSync(Uint8Array.from([255, 255, 255, 255, 0]));
      // A turn of the event loop, so that a cancel is read between any two tokens.
      await new Promise<void>((resolve) => slow === undefined ? setImmediate(resolve) : setTimeout(resolve, slow));
      if (signal.aborted) {
        log({ type: "fake:over", tokens: token, cancelled: true });
        throw new ArkError("cancelled", "The request was cancelled");
      }
      sink.part({ type: "text", text: token === 0 ? "w0" : ` w${token}`, tokens: 1 });
    }
    log({ type: "fake:over", tokens: count, cancelled: false });
    return {
      finish_reason: "length" as const,
      usage: { prompt_tokens: words.length, completion_tokens: count, cached_tokens },
      prompt_ms: 1,
      generation_ms: count,
    };
  }
}

function textOf(input: InferenceInput): string {
  if (input.kind === "chat") return input.messages.map(({ content }) => content).join("\n");
  return input.kind === "completion" ? String(input.prompt) : "";
}

function option(text: string, name: string): number | undefined {
  const found = new RegExp(`#${name}=(\\d+)`).exec(text)?.[1];
  return found === undefined ? undefined : Number(found);
}

function common(a: string[], b: string[]): number {
  const different = a.findIndex((word, index) => word !== b[index]);
  return different < 0 ? Math.min(a.length, b.length) : different;
}

function log(line: unknown): void {
  const path = Deno.env.get("FAKE_WORKER_LOG");
  if (path !== undefined) Deno.writeTextFileSync(path, JSON.stringify(line) + "\n", { append: true });
}

log({ type: "fake:start", pid: Deno.pid, environment: Object.keys(Deno.env.toObject()).sort() });
await runWorker({ engine: new FakeEngine(), observe: log });
