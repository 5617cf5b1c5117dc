import { readJson } from "../api/request_json.ts";

/** Longest body, in bytes: 16 MiB. */
const BODY_BYTES = 16 << 20;

/**
 * Reads a body as JSON. Ollama's own command line and everybody's `curl -d` send another type than JSON's, so any type is
 * read, but from a web page.
 *
 * That is safe because the type is only there to make a browser ask first (CORS) before it lets a page of another site
 * send something here. A browser puts `Origin` into every POST and DELETE of a page, `Sec-Fetch-Site` into every request,
 * and mostly `Referer`, and no page can leave them out. So a request without all three comes from a program, which could
 * send any type anyway; where one is there, the type must be JSON's as everywhere else. Pages whose origin the owner did
 * not name were turned away by the local guard before.
 *
 * @throws {ArkError} as {@linkcode readJson}.
 */
export function sentJson(request: Request): Promise<unknown> {
  return readJson(request, BODY_BYTES, { anyType: !isOfPage(request.headers) });
}

/** Whether a browser says that a page sent a request. */
export function isOfPage(headers: Headers): boolean {
  return headers.has("origin") || headers.has("referer") || (headers.get("sec-fetch-site") ?? "none") !== "none";
}
