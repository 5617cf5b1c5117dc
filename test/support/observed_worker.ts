/**
 * A worker with the real engine that writes down what it was asked and what it took from the request before: a line of
 * JSON per request, `{ prompt, principal, reused }`, in the file that `FAKE_WORKER_LOG` names.
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
    const { input, principal } = request;
    const prompt = input.kind === "chat" ? input.messages.map(({ content }) => content).join("\n") : "";
    const line = JSON.stringify({ prompt, principal, reused: result.usage.cached_tokens });
    Deno.writeTextFileSync(Deno.env.get("FAKE_WORKER_LOG") ?? "", line + "\n", { append: true });
    return result;
  }
}

await runWorker({ engine: new ObservedEngine() });
