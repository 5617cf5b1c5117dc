const FIELDS: ReadonlySet<string> = new Set(["forwarded", "via", "x-real-ip", "x-client-ip", "true-client-ip"]);

/** Whether a reverse proxy passed a request on, as far as it says so. */
export function isProxied(headers: Headers): boolean {
  for (const name of headers.keys()) {
    if (FIELDS.has(name) || name.startsWith("x-forwarded-") || name.startsWith("cf-")) return true;
  }
  return false;
}
