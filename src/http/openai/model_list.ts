import { ArkError } from "@ark/node/protocol";

/** A model in OpenAI's shape. */
interface ModelEntry {
  id: string;
  object: "model";
  created: number;
  owned_by: string;
}

/** A model within reach. */
interface ListedModel {
  readonly id: string;
  readonly owner: string;
}

/**
 * OpenAI asks for a time, and a file does not say when its model was made. The same number for all, on every node and
 * after every start, keeps lists comparable: 2026-01-01.
 */
const CREATED = 1_767_225_600;

const MODELS_PATH = "/v1/models/";

/** Every model within reach once, with the first node that has it. */
export function modelList(models: readonly ListedModel[]): { object: "list"; data: ModelEntry[] } {
  const entries = new Map<string, ModelEntry>();
  for (const { id, owner } of models) {
    if (!entries.has(id)) entries.set(id, { id, object: "model", created: CREATED, owned_by: owner });
  }
  return { object: "list", data: [...entries.values()] };
}

/**
 * The one model that a URL names.
 *
 * @throws {ArkError} `model_not_found`
 */
export function oneModel(models: readonly ListedModel[], url: string): ModelEntry {
  const id = modelIdOf(url);
  const entry = modelList(models).data.find((one) => one.id === id);
  if (entry !== undefined) return entry;
  const shown = id.slice(0, 200).replaceAll(/\p{C}/gu, "?");
  throw new ArkError(
    "model_not_found",
    `The model '${shown}' is not within reach: GET /v1/models lists those that are`,
  );
}

/** The id as it stands in a URL, slashes and colons included, whether or not they are percent-encoded. */
function modelIdOf(url: string): string {
  const raw = url.slice(url.indexOf(MODELS_PATH) + MODELS_PATH.length).replace(/[?#].*$/, "");
  try {
    return decodeURIComponent(raw);
  } catch {
    return raw;
  }
}
