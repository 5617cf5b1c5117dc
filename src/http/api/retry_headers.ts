import type { ArkError } from "@ark/node/protocol";

/** Clients wait no longer than this by themselves, in seconds: then they try at once what can only fail again. */
const PATIENCE_SECONDS = 60;

/**
 * Whether and when a client should repeat a request that failed. OpenAI's and Anthropic's clients repeat 408, 409, 429 and
 * 5xx twice by themselves, after `retry-after-ms` or `retry-after`, unless `x-should-retry` is `false`: that is said where
 * an engine had begun already (`ran`), and where the time to wait is longer than such a client waits.
 */
export function retryHeaders({ code, retryAfterSeconds }: ArkError, { ran }: { ran: boolean }): Headers {
  const headers = new Headers();
  const seconds = retryAfterSeconds ?? (code === "busy" ? 1 : undefined);
  if (seconds !== undefined) {
    headers.set("retry-after", String(Math.max(1, Math.ceil(seconds))));
    headers.set("retry-after-ms", String(Math.max(1, Math.ceil(seconds * 1_000))));
  }
  if (ran || (seconds ?? 0) > PATIENCE_SECONDS) headers.set("x-should-retry", "false");
  return headers;
}
