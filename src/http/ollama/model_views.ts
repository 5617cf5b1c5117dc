import type { GenerationParameters } from "@ark/node/protocol";
import type { ApiModel } from "../api/answers.ts";
import type { ModelDescription, RunningModel } from "./model_keeper.ts";

/** A model of a list, with what its node tells of it beside that. */
export type ListedModel = ApiModel & {
  /** What it can do, in this node's words. */
  readonly capabilities?: readonly string[];
  /** When its file was changed last (RFC 3339). */
  readonly modified_at?: string;
  /** Family that it belongs to, mostly its architecture. */
  readonly family?: string;
};

/** `details` of a model. */
export interface ModelDetails {
  /** Always empty: no model here was made of another one by this node. */
  parent_model: string;
  /** Always `gguf`. */
  format: string;
  /** Family, or empty where it is not known. */
  family: string;
  /** The family, where it is known. */
  families: string[];
  /** Size label such as `8B`, or empty. */
  parameter_size: string;
  /** Quantisation such as `Q4_0`, or empty. */
  quantization_level: string;
}

/**
 * Where a node does not say when a file was changed. The same for all, so that lists are comparable: 2026-01-01.
 */
const SOME_TIME = "2026-01-01T00:00:00.000Z";

/** Where a file's digest is not known yet: Ollama's own command line shows the first characters and fails without any. */
const NO_DIGEST = "0".repeat(64);

/** When what stays in memory leaves it. Ollama's own command line writes `Forever` for what is that far away. */
const NEVER = "2318-01-01T00:00:00.000Z";

/** What this node calls a capability, in Ollama's words; what Ollama has no word for stays. */
const CAPABILITIES: Readonly<Record<string, string>> = { chat: "completion", embed: "embedding" };

/** The models within reach, each once: this node's own before those of peers. */
export function distinctModels(models: readonly ListedModel[]): ListedModel[] {
  const found = new Map<string, ListedModel>();
  for (const model of models) if (!found.has(model.id)) found.set(model.id, model);
  return [...found.values()];
}

/** The model that a name means: by its id, else by the name alone (also with `:latest`) where it is not ambiguous. */
export function modelNamed(models: readonly ListedModel[], name: string): ListedModel | undefined {
  const wanted = name.toLowerCase();
  const all = distinctModels(models);
  const exact = all.find(({ id }) => id === wanted);
  if (exact !== undefined) return exact;
  const bare = wanted.replace(/:latest$/, "");
  const named = all.filter(({ id }) => id.slice(0, Math.max(0, id.lastIndexOf(":"))) === bare);
  return named.length === 1 ? named[0] : undefined;
}

/** Body of `GET /api/tags`. */
export function tagsBody(models: readonly ListedModel[]): object {
  return {
    models: distinctModels(models).map((model) => ({
      name: model.id,
      model: model.id,
      modified_at: model.modified_at ?? SOME_TIME,
      size: model.size,
      digest: model.digest ?? NO_DIGEST,
      details: detailsOf(model),
      capabilities: capabilitiesOf(model),
    })),
  };
}

/** Body of `GET /api/ps`: what is in memory here, as far as the sender may know of it. */
export function psBody(models: readonly ListedModel[], running: readonly RunningModel[]): object {
  return {
    models: running.flatMap(({ id, bytes, vramBytes, contextSize, expiresAt }) => {
      const model = models.find((one) => one.local && one.id === id);
      if (model === undefined) return [];
      return [{
        name: id,
        model: id,
        size: bytes,
        digest: model.digest ?? NO_DIGEST,
        details: detailsOf(model),
        expires_at: expiresAt === null ? NEVER : new Date(expiresAt).toISOString(),
        size_vram: vramBytes,
        context_length: contextSize,
      }];
    }),
  };
}

/** Body of `POST /api/show`; `description` is null for a model that is not here. */
export function showBody(model: ListedModel, description: ModelDescription | null): object {
  const template = description?.template ?? "";
  const license = description?.license ?? "";
  const system = description?.system ?? "";
  const parameters = parameterLines(description?.defaults ?? {});
  const modified = description === null
    ? model.modified_at ?? SOME_TIME
    : new Date(description.modifiedAt).toISOString();
  return {
    ...license === "" ? {} : { license },
    modelfile: modelfileOf({ id: model.id, template, system, parameters, license }),
    parameters: parameters.map(([name, value]) => `${name.padEnd(30)} ${value}`).join("\n"),
    template,
    ...system === "" ? {} : { system },
    details: detailsOf(model, description?.architecture),
    model_info: description === null ? farInfo(model) : infoOf(description),
    capabilities: capabilitiesOf(model),
    modified_at: modified,
  };
}

function detailsOf({ family, parameters, quantization }: ListedModel, architecture = ""): ModelDetails {
  const known = family ?? architecture;
  return {
    parent_model: "",
    format: "gguf",
    family: known,
    families: known === "" ? [] : [known],
    parameter_size: (parameters ?? "").toUpperCase(),
    quantization_level: (quantization ?? "").toUpperCase(),
  };
}

/** A node that does not say what its model can do has it complete prompts, as every model did before nodes said it. */
function capabilitiesOf({ capabilities }: ListedModel): string[] {
  return [...new Set((capabilities ?? ["completion"]).map((name) => CAPABILITIES[name] ?? name))];
}

/** The header's single values. Lists, such as the vocabulary, are not kept and so are not shown. */
function infoOf({ metadata, parameterCount, architecture }: ModelDescription): Record<string, unknown> {
  const info: Record<string, unknown> = {
    "general.architecture": architecture,
    "general.parameter_count": parameterCount,
  };
  for (const [key, value] of metadata) {
    if (key === "tokenizer.chat_template" || key === "general.license") continue;
    info[key] = typeof value === "bigint" ? Number(value) : value;
  }
  return info;
}

/** Of a model that is elsewhere: clients look for the context under the name of the architecture. */
function farInfo({ family, context_length }: ListedModel): Record<string, unknown> {
  const architecture = family ?? "unknown";
  return { "general.architecture": architecture, [`${architecture}.context_length`]: context_length };
}

const PARAMETERS: readonly (readonly [keyof GenerationParameters, string])[] = [
  ["max_tokens", "num_predict"],
  ["temperature", "temperature"],
  ["top_p", "top_p"],
  ["top_k", "top_k"],
  ["min_p", "min_p"],
  ["typical_p", "typical_p"],
  ["seed", "seed"],
  ["repeat_penalty", "repeat_penalty"],
  ["repeat_last_n", "repeat_last_n"],
  ["presence_penalty", "presence_penalty"],
  ["frequency_penalty", "frequency_penalty"],
];

function parameterLines(defaults: GenerationParameters): [name: string, value: string][] {
  const plain = PARAMETERS.flatMap(([ours, theirs]): [string, string][] => {
    const value = defaults[ours];
    return value === undefined ? [] : [[theirs, String(value)]];
  });
  return [...plain, ...(defaults.stop ?? []).map((stop): [string, string] => ["stop", JSON.stringify(stop)])];
}

interface ModelfileParts {
  id: string;
  template: string;
  system: string;
  parameters: readonly [name: string, value: string][];
  license: string;
}

function modelfileOf({ id, template, system, parameters, license }: ModelfileParts): string {
  return [
    '# Modelfile generated by "ark-node"',
    `FROM ${id}`,
    ...template === "" ? [] : [`TEMPLATE """${template}"""`],
    ...system === "" ? [] : [`SYSTEM """${system}"""`],
    ...parameters.map(([name, value]) => `PARAMETER ${name} ${value}`),
    ...license === "" ? [] : [`LICENSE """${license}"""`],
    "",
  ].join("\n");
}
