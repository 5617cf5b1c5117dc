import { ArkError } from "@ark/node/protocol";
import type { ApiModel } from "../api/answers.ts";
import { invalid } from "../api/request_fault.ts";

/** A model in Anthropic's shape. */
interface ModelInfo {
  type: "model";
  id: string;
  display_name: string;
  created_at: string;
  max_input_tokens: number;
  max_tokens: null;
  capabilities: null;
  lifecycle: "active";
  line: null;
  deprecated_at: null;
  retires_at: null;
}

/** The same for all, as in OpenAI's list: a file does not say when its model was made. */
const CREATED_AT = "2026-01-01T00:00:00Z";

const MODELS_PATH = "/v1/models/";
const USUAL_PAGE = 20;
const LARGEST_PAGE = 1_000;

/**
 * Every model within reach once, a page of them.
 *
 * @throws {RequestFault}
 */
export function modelList(models: readonly ApiModel[], url: string): object {
  const all = infosOf(models);
  const query = new URL(url).searchParams;
  const limit = Number(query.get("limit") ?? USUAL_PAGE);
  if (!Number.isInteger(limit) || limit < 1 || limit > LARGEST_PAGE) {
    throw invalid("limit", `must be a whole number from 1 to ${LARGEST_PAGE}`);
  }
  const [after, before] = [query.get("after_id"), query.get("before_id")];
  const from = after === null ? 0 : placeOf(all, after) + 1;
  const to = before === null ? all.length : placeOf(all, before);
  // Pages before an id end at it.
  const begin = before === null ? from : Math.max(from, to - limit);
  const data = all.slice(begin, Math.min(begin + limit, to));
  const has_more = before === null ? from + limit < to : begin > from;
  return { data, has_more, first_id: data[0]?.id ?? null, last_id: data.at(-1)?.id ?? null };
}

/**
 * The one model that a URL names.
 *
 * @throws {ArkError} `model_not_found`
 */
export function oneModel(models: readonly ApiModel[], url: string): ModelInfo {
  const id = modelIdOf(url);
  const info = infosOf(models).find((one) => one.id === id);
  if (info !== undefined) return info;
  throw new ArkError("model_not_found", "The model is not within reach: GET /v1/models lists those that are");
}

function infosOf(models: readonly ApiModel[]): ModelInfo[] {
  const infos = new Map<string, ModelInfo>();
  for (const { id, context_length } of models) {
    if (infos.has(id)) continue;
    const nothing = { max_tokens: null, capabilities: null, line: null, deprecated_at: null, retires_at: null };
    const named = { type: "model", id, display_name: id, created_at: CREATED_AT, lifecycle: "active" } as const;
    infos.set(id, { ...named, max_input_tokens: context_length, ...nothing });
  }
  return [...infos.values()];
}

function placeOf(all: readonly ModelInfo[], id: string): number {
  const at = all.findIndex((one) => one.id === id);
  if (at < 0) throw invalid("after_id", "and before_id must be ids of this list");
  return at;
}

/** The id as it stands in a URL, slashes and colons included, whether or not they are percent-encoded. */
function modelIdOf(url: string): string {
  const { pathname } = new URL(url);
  const raw = pathname.slice(pathname.indexOf(MODELS_PATH) + MODELS_PATH.length);
  try {
    return decodeURIComponent(raw);
  } catch {
    return raw;
  }
}
