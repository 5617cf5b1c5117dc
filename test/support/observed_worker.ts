/**
 * A worker with the real engine that writes down what it was asked and what it took from the request before: a line of
 * JSON per request, `{ prompt, reuse, reused }`, in the file that `FAKE_WORKER_LOG` names.
 */
import {
  type Engine,
  type EngineGenerateOptions,
  type EngineRequest,
  type EngineResult,
  runWorker,
} from "@ark/node/inference";
import { AddonEngine } from "../../src/inference/worker/addon_engine.ts";

class ObservedEngine implements Engine {
  readonly #engine = new AddonEngine();

  load(options: Parameters<Engine["load"]>[0]) {
    return this.#engine.load(options);
  }

  async generate(request: EngineRequest, options: EngineGenerateOptions): Promise<EngineResult> {
    const result = await this.#engine.generate(request, options);
    const { input, reuse } = request;
    const prompt = input.kind === "chat" ? input.messages.map(({ content }) => content).join("\n") : input.prompt;
    const line = JSON.stringify({ prompt, reuse, reused: result.reused_tokens });
    Deno.writeTextFileSync(Deno.env.get("FAKE_WORKER_LOG") ?? "", line + "\n", { append: true });
    return result;
  }
}

await runWorker({ engine: new ObservedEngine() });
