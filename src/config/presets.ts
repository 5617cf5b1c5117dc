import { ConfigError } from "./config_error.ts";
import type { ParsedArgs } from "./flags.ts";

/** Settings for common machines. Whatever is set otherwise counts instead. */
export const CONFIG_PRESETS: Readonly<
  Record<string, { readonly about: string; readonly values: ParsedArgs["flags"] }>
> = {
  nas: {
    about: "always on, little memory, no GPU: keeps one model, answers slowly and saves its memory",
    values: { gpu: "off", "max-loaded": "1", "keep-alive": "10m", slots: "1", prewarm: "off" },
  },
  "gaming-pc": {
    about:
      "a GPU that its owner plays with: models leave soon, memory of the GPU stays free, and peers make way at once",
    values: { "max-loaded": "1", "keep-alive": "2m", "vram-reserve": "2GiB", prewarm: "off", "on-yield": "move" },
  },
  "rented-gpu": {
    about: "a GPU far away that only works for its owner's other nodes: no app of its own, models stay",
    values: { role: "compute", "no-mdns": true, "keep-alive": "never", drain: "120" },
  },
  "gateway-only": {
    about: "runs no model itself: passes its owner's questions on to the other nodes",
    values: { role: "gateway" },
  },
};

/**
 * What a preset sets.
 *
 * @throws {ConfigError} where there is none of that name.
 */
export function presetValues(name: string): ParsedArgs["flags"] {
  const preset = Object.hasOwn(CONFIG_PRESETS, name) ? CONFIG_PRESETS[name] : undefined;
  if (preset === undefined) {
    throw new ConfigError(`Cannot use --preset ${name}: it is one of ${Object.keys(CONFIG_PRESETS).join(", ")}`);
  }
  return preset.values;
}
