import type { EngineBinding } from "./engine.ts";
import { consoleToStandardError } from "./log.ts";
import type { GpuChoice } from "./messages.ts";

/**
 * Main of the process that looks which build of the engine works here: prints an {@linkcode EngineBinding} as one line
 * of JSON. Given one that was found before, it looks whether that works in the place where it now is.
 *
 * @throws {Error} where none works.
 */
export async function runProbe({ gpu, binding }: { gpu: GpuChoice; binding: EngineBinding | null }): Promise<void> {
  consoleToStandardError();
  const { findBinding, openBinding } = await import("./binding.ts");
  if (binding !== null) await openBinding(binding);
  const found = binding ?? await findBinding(gpu);
  await Deno.stdout.write(new TextEncoder().encode(JSON.stringify(found) + "\n"));
}
