import { ArkError } from "@ark/node/protocol";
import type { Permissions } from "./approved_peer.ts";

/** What an owner chooses from when a node is let in. */
export const PRESETS = ["ask", "full", "none"] as const;

/** One of {@linkcode PRESETS}. */
export type Preset = typeof PRESETS[number];

/** A preset as permissions and an expiry. */
export interface PresetTerms {
  /** What the peer may do. */
  permissions: Permissions;
  /** How long it may, in milliseconds; null for until it is revoked. */
  livesMs: number | null;
}

/** How long `ask` lasts unless the owner says otherwise: 30 days. */
const ASK_MS = 30 * 86_400_000;

/**
 * What a preset means.
 *
 * | preset | may ask | may download | at a time | lasts |
 * |---|---|---|---|---|
 * | `ask` | the models that are named | no | 1 | 30 days |
 * | `full` | every model | every model; it also reads every content pack | 4 | until it is revoked |
 * | `none` | nothing: this node only uses the other one | nothing | | until it is revoked |
 *
 * @throws {ArkError} `bad_request` for `ask` without a model: nothing is shared by accident.
 */
export function presetTerms(preset: Preset, models: readonly string[]): PresetTerms {
  if (preset === "full") {
    return {
      livesMs: null,
      permissions: {
        can_request_inference: true,
        can_pull_models: true,
        models_shared: models.length === 0 ? ["*"] : [...models],
        content_shared: ["*"],
        max_concurrent_requests: 4,
      },
    };
  }
  if (preset === "ask" && models.length === 0) {
    throw new ArkError("bad_request", "The preset ask needs the models that may be asked, in the field models");
  }
  return {
    livesMs: preset === "ask" ? ASK_MS : null,
    permissions: {
      can_request_inference: preset === "ask",
      can_pull_models: false,
      models_shared: preset === "ask" ? [...models] : [],
      max_concurrent_requests: 1,
    },
  };
}

const INSTANT = /^\d{4}-\d\d-\d\dT[\d:.]{5,15}Z$/;

/**
 * The approval that an owner asks for by a preset, or by permissions of his own: the part of `POST /peers/approve` that
 * says what a peer may do. Fields: `preset` or `permissions`, `models`, `expires_at` (RFC 3339, null for never), `name`.
 *
 * @throws {ArkError} `bad_request`, with a sentence that names the field.
 */
export function chosenTerms(body: unknown): { name?: string; expires_at?: string; permissions: unknown } {
  if (typeof body !== "object" || body === null || Array.isArray(body)) throw bad("The choice must be an object");
  const { preset, permissions, models = [], expires_at, name, ...others } = body as Record<string, unknown>;
  const unknown = Object.keys(others)[0];
  if (unknown !== undefined) throw bad("The choice has a field that is not known");
  if ((preset === undefined) === (permissions === undefined)) throw bad("Choose by preset, or by permissions");
  if (name !== undefined && typeof name !== "string") throw bad("Field name must be a text");
  if (!Array.isArray(models) || !models.every((model) => typeof model === "string")) {
    throw bad("Field models must be a list of names");
  }
  const known = PRESETS.find((one) => one === preset);
  if (preset !== undefined && known === undefined) throw bad(`Field preset is one of ${PRESETS.join(", ")}`);
  const terms = known === undefined ? { permissions, livesMs: null } : presetTerms(known, models);
  const until = expires_at === undefined && terms.livesMs !== null
    ? new Date(Date.now() + terms.livesMs).toISOString()
    : expires_at ?? null;
  if (until !== null && (typeof until !== "string" || !INSTANT.test(until) || Number.isNaN(Date.parse(until)))) {
    throw bad("Field expires_at must be a time such as 2026-12-20T00:00:00Z, or null for never");
  }
  return {
    ...(name === undefined || name.trim() === "" ? {} : { name }),
    ...(until === null ? {} : { expires_at: until }),
    permissions: terms.permissions,
  };
}

function bad(message: string): ArkError {
  return new ArkError("bad_request", message);
}
