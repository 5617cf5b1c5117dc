import { Hono } from "hono";
import type { Library, PackHit, PackPage } from "@ark/node/content";
import { ArkError, toArkError } from "@ark/node/protocol";
import { arkErrorResponse } from "../ark_error.ts";
import { looksProxied } from "../middleware/proxied.ts";
import { encodedPath, hitsPage, listingPage, ownPage } from "./listing.ts";
import type { PageKeys } from "./page_keys.ts";

/** What {@linkcode contentRoutes} needs. */
export interface ContentRoutesOptions {
  /** Every pack within reach. */
  library: Pick<Library, "list" | "page" | "search">;
  /** Keys of the addresses of pages. */
  keys: PageKeys;
  /** Refuses who may not use this node's API, where keys are required. */
  admit(request: Request, from: { remote: string }): void;
}

/** Packs that one search without a name asks. */
const MOST_SEARCHED = 16;

/**
 * Content packs for the owner's browser and programs.
 *
 * | request | answer |
 * |---|---|
 * | `GET /content/` | the packs here and at approved peers, as a page, or as JSON where `Accept` asks for that |
 * | `GET /content/search?q=…&pack=NAME` | pages whose title begins so, of one pack or of all |
 * | `GET /content/PACK/PATH` | something of a pack, from here or from the peer that has it. Browsers are sent on to an address with the key of the pack |
 *
 * Pages of packs are strangers' content: they get an origin of their own (a sandbox), may load from their own pack and from nowhere
 * else, and no call of this node's API answers them.
 */
export function contentRoutes(options: ContentRoutesOptions): Hono<{ Bindings: { remote?: string } }> {
  const { library, keys } = options;
  const app = new Hono<{ Bindings: { remote?: string } }>();
  app.get("/content", ({ req }) => sent(`${prefixOf(req.raw)}/content/`));
  app.get("/content/*", async ({ req, env }) => {
    const request = req.raw;
    try {
      const path = req.path;
      const opened = keys.open(path);
      if (!opened) options.admit(request, { remote: env.remote ?? "" });
      if (path === "/content/") return await list(request, library);
      if (path === "/content/search") return await search(request, library);
      return await page(request, { path, opened, options });
    } catch (error) {
      return failure(request, error);
    }
  });
  return app;
}

async function list(request: Request, library: ContentRoutesOptions["library"]): Promise<Response> {
  const packs = await library.list(request.signal);
  return wantsPage(request) ? listingPage(packs, prefixOf(request)) : Response.json({ packs }, { headers: PLAIN });
}

async function search(request: Request, library: ContentRoutesOptions["library"]): Promise<Response> {
  const { searchParams } = new URL(request.url);
  const [query, wanted] = [searchParams.get("q") ?? "", searchParams.get("pack")];
  const names = wanted === null
    ? [...new Set((await library.list(request.signal)).map(({ name }) => name))].slice(0, MOST_SEARCHED)
    : [wanted];
  const found = await Promise.all(names.map(async (pack) => {
    // Of many packs, one that cannot answer hides none of the others.
    const hits: PackHit[] = await library.search(pack, query, request.signal).catch((error) => {
      if (wanted !== null) throw error;
      return [];
    });
    return { pack, hits };
  }));
  if (!wantsPage(request)) return Response.json({ found }, { headers: PLAIN });
  return hitsPage(found, { query, prefix: prefixOf(request) });
}

async function page(
  request: Request,
  { path, opened, options }: { path: string; opened: boolean; options: ContentRoutesOptions },
): Promise<Response> {
  const { library, keys } = options;
  const [pack = "", ...rest] = path.slice("/content/".length).split("/").slice(opened ? 1 : 0);
  const prefix = prefixOf(request);
  if (rest.length === 0) return sent(`${prefix}/content/${pack}/`);
  const { search } = new URL(request.url);
  const wanted = decoded(rest.join("/"));
  const name = decoded(pack);
  // Only a browser says where it comes from; what it loads next it must be able to ask for without saying so.
  const browser = request.headers.has("sec-fetch-site");
  if (!opened && browser) return sent(`${prefix}/content/~${keys.of(pack)}/${pack}/${rest.join("/")}${search}`);
  const base = `${prefix}/content/${opened ? `~${keys.of(pack)}/` : ""}${pack}/`;
  // Some packs have addresses of the web with their queries as paths.
  const answer = await library.page(name, wanted, request.signal).catch(async (error) => {
    if (search === "" || toArkError(error).code !== "model_not_found") throw error;
    return await library.page(name, wanted + decoded(search), request.signal);
  });
  return answer.kind === "elsewhere" ? sent(base + encodedPath(answer.path)) : pageAnswer(request, { answer, base });
}

function pageAnswer(request: Request, { answer, base }: { answer: PackPage; base: string }): Response {
  const { type, tag, body } = answer;
  const headers: Record<string, string> = {
    "content-type": type,
    "content-security-policy": policy(request, base),
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
    // To an origin of nobody's, as its own pages have; the address has to be known, too.
    "access-control-allow-origin": "null",
    "cache-control": "private, max-age=300",
    ...tag === "" ? {} : { etag: `"${tag}"` },
  };
  if (tag !== "" && request.headers.get("if-none-match") === `"${tag}"`) {
    return new Response(null, { status: 304, headers });
  }
  return new Response(body, { headers });
}

/** What a page of a pack may do: run, and load from its own pack. */
function policy(request: Request, base: string): string {
  const host = request.headers.get("host") ?? "";
  // Behind a proxy the browser knows another host than this node, and only its own.
  const own = looksProxied(request.headers) || !/^[\w.:[\]-]+$/.test(host) ? "'self'" : `${host}${base}`;
  return [
    "sandbox allow-scripts allow-popups allow-popups-to-escape-sandbox",
    "default-src 'none'",
    `script-src ${own} 'unsafe-inline' 'unsafe-eval'`,
    `style-src ${own} 'unsafe-inline'`,
    ...["img-src", "media-src", "font-src"].map((kind) => `${kind} ${own} data: blob:`),
    ...["connect-src", "frame-src"].map((kind) => `${kind} ${own}`),
    "form-action 'none'",
    "base-uri 'none'",
    "frame-ancestors 'none'",
  ].join("; ");
}

const PLAIN = { "x-content-type-options": "nosniff", "cache-control": "no-store" };

function failure(request: Request, error: unknown): Response {
  const told = toArkError(error);
  const plain = arkErrorResponse(told);
  if (!wantsPage(request)) return plain;
  const { status, headers } = plain;
  const answer = ownPage("This page cannot be shown", `<p>${told.message.replaceAll(/[<&]/g, "")}.</p>`, status);
  const wait = headers.get("retry-after");
  if (wait !== null) answer.headers.set("retry-after", wait);
  return answer;
}

function wantsPage(request: Request): boolean {
  return /\btext\/html\b/i.test(request.headers.get("accept") ?? "");
}

function sent(location: string): Response {
  return new Response(null, {
    status: 302,
    headers: { location, "referrer-policy": "no-referrer", "cache-control": "no-store" },
  });
}

function decoded(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    throw new ArkError("bad_request", "The address is malformed");
  }
}

/** What a reverse proxy has before our paths. */
function prefixOf({ url }: Request): string {
  return new URL(url).pathname.startsWith("/arknet/") ? "/arknet" : "";
}
