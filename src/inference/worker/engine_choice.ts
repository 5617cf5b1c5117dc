import { reasonOf } from "@ark/node/protocol";
import type { Engine, EngineLoad } from "./engine.ts";
import { logLine } from "./log.ts";

/**
 * The engine for a model: llama.cpp's libraries directly, where they are those that the native engine was written for,
 * else node-llama-cpp's addon. Vectors and ranks are the addon's.
 *
 * @throws {Error} where the native engine is wanted, and cannot be had.
 */
export async function engineFor(load: EngineLoad): Promise<Engine> {
  const { engine, task } = load;
  if (engine !== "addon" && task === "generate") {
    try {
      return await (await import("./native/native_engine.ts")).NativeEngine.open(load);
    } catch (error) {
      if (engine === "native") {
        throw new Error(`the native engine cannot be used: ${reasonOf(error)}`, { cause: error });
      }
      logLine(`Warning: the native engine cannot be used, and the slower one takes its place: ${reasonOf(error)}`);
    }
  }
  return new (await import("./addon_engine.ts")).AddonEngine();
}
