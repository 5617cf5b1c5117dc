import { createHash } from "node:crypto";
import { ArkError, reasonOf } from "@ark/node/protocol";
import {
  keptText,
  OLLAMA_TEXT_BYTES,
  ollamaDefaults,
  type OllamaLayer,
  parseOllamaManifest,
} from "../ollama_manifest.ts";
import { requestText } from "./http_source.ts";
import { folderOf, type PullRef } from "./pull_ref.ts";
import type { PullPlan } from "./pull_plan.ts";

/** Options of {@linkcode planOllama}. */
export interface OllamaRegistryOptions {
  /** Base URL, without a slash at its end. */
  registry: string;
  /** Ends it. */
  signal: AbortSignal;
}

/**
 * Reads what a name of an Ollama registry stands for: its manifest, and its parameters, template and system message.
 *
 * @throws {ArkError} with a sentence.
 */
export async function planOllama(
  ref: Extract<PullRef, { kind: "ollama" }>,
  { registry, signal }: OllamaRegistryOptions,
): Promise<PullPlan> {
  const { namespace, model, tag, text: name } = ref;
  const base = `${registry}/v2/${namespace}/${model}`;
  const manifest = await requestText(new URL(`${base}/manifests/${tag}`), {
    headers: { accept: "application/vnd.docker.distribution.manifest.v2+json" },
    limit: OLLAMA_TEXT_BYTES,
    what: `the manifest of ${name}`,
    signal,
  });
  const layers = layersOf(manifest, name);
  const weights = layers.find(({ kind }) => kind === "model");
  if (weights === undefined) {
    throw new ArkError("model_not_found", `${name} has no weights: it runs at its maker's only`);
  }
  if (layers.some(({ kind }) => kind === "adapter")) {
    throw new ArkError(
      "unavailable",
      `${name} needs an adapter, which is not supported: it would be another model without`,
    );
  }
  const layerText = (kind: OllamaLayer["kind"]) =>
    textOf(layers.find((layer) => layer.kind === kind), { base, signal, name });
  const params = await layerText("params");
  return {
    files: [{
      url: new URL(`${base}/blobs/sha256:${weights.sha256}`),
      name: `${folderOf(ref)}/${model}-${tag}.gguf`,
      size: weights.size,
      sha256: weights.sha256,
    }],
    record: {
      ref: null,
      name,
      template: keptText(await layerText("template")),
      system: keptText(await layerText("system")),
      defaults: params === null ? {} : ollamaDefaults(params),
    },
  };
}

function layersOf(manifest: string, name: string): OllamaLayer[] {
  try {
    return parseOllamaManifest(manifest);
  } catch (error) {
    throw new ArkError("unavailable", `What was sent as the manifest of ${name} is none: ${reasonOf(error)}`);
  }
}

async function textOf(
  layer: OllamaLayer | undefined,
  { base, signal, name }: { base: string; signal: AbortSignal; name: string },
): Promise<string | null> {
  if (layer === undefined || layer.size > OLLAMA_TEXT_BYTES) return null;
  const what = `the ${layer.kind} of ${name}`;
  const text = await requestText(new URL(`${base}/blobs/sha256:${layer.sha256}`), { limit: layer.size, what, signal });
  if (createHash("sha256").update(text).digest("hex") !== layer.sha256) {
    throw new ArkError("unavailable", `What was sent as ${what} has not the digest that it should have`);
  }
  return text;
}
