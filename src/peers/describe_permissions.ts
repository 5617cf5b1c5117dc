import { LIMITS } from "@ark/node/protocol";
import type { Permissions } from "./approved_peer.ts";

const NUMBER_WORDS = ["", "one question", "two questions", "three questions", "four questions"];

/** Says in one or two plain sentences what a peer may do. */
export function describePermissions(name: string, permissions: Permissions, expiresAt: string | null): string {
  return describeModels(name, permissions, expiresAt) + describeContent(permissions);
}

/** Nothing is said of packs where none is shared. */
function describeContent({ content_shared: packs = [] }: Permissions): string {
  if (packs.length === 0) return "";
  return packs.includes("*")
    ? " It may read all of your content packs."
    : ` It may read the content packs ${listed(packs)}.`;
}

function describeModels(name: string, permissions: Permissions, expiresAt: string | null): string {
  const { can_request_inference, can_pull_models, models_shared, max_concurrent_requests: most } = permissions;
  const models = models_shared.includes("*") ? "any of your models" : listed(models_shared);
  const until = expiresAt === null ? "" : `, until ${dayOf(expiresAt)}`;
  if (models_shared.length === 0 || (!can_request_inference && !can_pull_models)) {
    if ((permissions.content_shared ?? []).length > 0) return `${name} may not use any of your models${until}.`;
    return `${name} may not use anything here${until}. You can ask its models, if its owner lets you.`;
  }
  const pull = can_pull_models ? `It may download ${models}.` : "It cannot download models.";
  if (!can_request_inference) return `${name} may not ask your models${until}. ${pull}`;
  const atOnce = `${NUMBER_WORDS[most] ?? `${most} questions`} at a time`;
  return `${name} may ask ${[models, atOnce, ...limits(permissions)].join(", ")}${until}. ${pull}`;
}

function limits(permissions: Permissions): string[] {
  const { max_requests_per_minute: rate, max_tokens_per_day: tokens, max_tokens_per_request: longest } = permissions;
  const most = [
    ...(rate === undefined ? [] : [`${rate} a minute`]),
    ...(tokens === undefined ? [] : [`${grouped(tokens)} tokens a day`]),
  ];
  return [
    ...(most.length === 0 ? [] : [`at most ${listed(most)}`]),
    ...(longest === undefined || longest === LIMITS.peerMaxTokens
      ? []
      : [`answers of at most ${grouped(longest)} tokens`]),
  ];
}

/** A number with its thousands apart: 20000 as `20,000`. */
function grouped(count: number): string {
  return count.toLocaleString("en-US");
}

/** Longer than this ahead, a day is not told by day and month alone. */
const NEAR_MS = 300 * 24 * 3_600_000;

/** The day of an instant, UTC, as people say it: `20 December`, with the year where that would leave a doubt. */
function dayOf(instant: string): string {
  const date = new Date(instant);
  const year = date.getTime() - Date.now() < NEAR_MS && date.getTime() > Date.now() ? {} : { year: "numeric" } as const;
  return date.toLocaleDateString("en-GB", { day: "numeric", month: "long", timeZone: "UTC", ...year });
}

function listed(words: readonly string[]): string {
  if (words.length < 2) return words.join("");
  return `${words.slice(0, -1).join(", ")} and ${words.at(-1)}`;
}
