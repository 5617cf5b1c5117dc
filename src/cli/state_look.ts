import type { Look } from "./paint.ts";

const GOOD: ReadonlySet<string> = new Set(["ready", "busy", "approved", "ok", "yes", "in force"]);
const BAD: ReadonlySet<string> = new Set(["revoked", "not approved", "unreachable", "expired"]);
const WAITING: ReadonlySet<string> = new Set(["pending", "paused", "draining", "thrashing", "unseen", "runs"]);

/** How the state of a peer looks, or of what else has such states. The word says it, too. */
export function stateLook(state: string): Look {
  const words = state.replace("_", " ");
  if (GOOD.has(words)) return "good";
  if (BAD.has(words)) return "bad";
  return WAITING.has(words) ? "warning" : "plain";
}
