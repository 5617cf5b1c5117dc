import { CONFIG_PRESETS } from "./presets.ts";
import type { FlagSpec } from "./flags.ts";

/** A JSON schema, as far as it is needed here. */
export type JsonSchema = { readonly [key: string]: unknown };

/** The JSON schema of the configuration file, for editors: each flag of `serve` is a setting. */
export function configSchema(specs: Record<string, FlagSpec>): JsonSchema {
  const settings = Object.entries(specs).filter(([name]) => name !== "config");
  return {
    $schema: "https://json-schema.org/draft/2020-12/schema",
    title: "Configuration of ark-node",
    type: "object",
    additionalProperties: false,
    properties: {
      $schema: { type: "string" },
      ...Object.fromEntries(settings.map(([name, spec]) => [name, settingSchema(name, spec)])),
    },
  };
}

function settingSchema(name: string, { value, multiple, help }: FlagSpec): JsonSchema {
  const description = help.replace(/; may be repeated$/, "");
  if (value === undefined) return { type: "boolean", description };
  const one = name === "preset" ? { enum: Object.keys(CONFIG_PRESETS) } : { type: ["string", "number"] };
  return multiple ? { description, anyOf: [one, { type: "array", items: one }] } : { description, ...one };
}
