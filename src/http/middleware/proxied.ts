const FIELDS = ["forwarded", "via", "x-forwarded-for", "x-real-ip"] as const;
const MORE: ReadonlySet<string> = new Set([...FIELDS, "x-client-ip", "true-client-ip", "cf-connecting-ip"]);

/** Whether a reverse proxy passed a request on, by the fields that the usual ones set; cheap. */
export function looksProxied(headers: Headers): boolean {
  return FIELDS.some((name) => headers.has(name));
}

/** Whether anything in a request says that it did not come from its sender directly. */
export function isProxied(headers: Headers): boolean {
  for (const name of headers.keys()) {
    if (MORE.has(name) || name.startsWith("x-forwarded-")) return true;
  }
  return false;
}
