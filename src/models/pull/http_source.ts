import { ArkError } from "@ark/node/protocol";
import { boundedText } from "@ark/node/transport";

/** Answer of a web server, after all redirects. */
export interface SourceAnswer {
  /** The answer; its body must be read or cancelled. */
  readonly response: Response;
  /** SHA-256 in hex that Hugging Face states of the file on the way, or null. */
  readonly linkedSha256: string | null;
}

/** Options of {@linkcode requestFollowing}. */
export interface SourceRequest {
  /** Fields of the header. */
  headers?: Record<string, string>;
  /** The owner's token for this server, or null where he has none. It is shown to the very origin that is asked, and to nobody once a redirect left it. */
  token?: string | null;
  /** Ends the request and the reading of its body. */
  signal: AbortSignal;
}

const MOST_REDIRECTS = 10;
const REDIRECTS: ReadonlySet<number> = new Set([301, 302, 303, 307, 308]);

/**
 * Makes a GET request, and follows redirects: to http and https only, and never from https to http.
 *
 * @throws {ArkError} `unavailable` where a redirect leads where it may not.
 * @throws what `fetch` throws.
 */
export async function requestFollowing(
  url: URL,
  { headers = {}, token = null, signal }: SourceRequest,
): Promise<SourceAnswer> {
  let at = url;
  let secret = mayCarrySecret(url) ? token : null;
  let linkedSha256: string | null = null;
  for (let hop = 0; hop <= MOST_REDIRECTS; hop++) {
    const response = await fetch(at, {
      redirect: "manual",
      headers: {
        "accept-encoding": "identity",
        "user-agent": "ark-node",
        ...headers,
        ...secret === null ? {} : { authorization: `Bearer ${secret}` },
      },
      signal,
    });
    linkedSha256 ??= /^"?([0-9a-f]{64})"?$/.exec(response.headers.get("x-linked-etag") ?? "")?.[1] ?? null;
    if (!REDIRECTS.has(response.status)) return { response, linkedSha256 };
    await response.body?.cancel();
    const location = response.headers.get("location");
    const next = location === null ? null : URL.parse(location, at);
    if (next === null || !/^https?:$/.test(next.protocol) || (at.protocol === "https:" && next.protocol === "http:")) {
      throw new ArkError(
        "unavailable",
        `${at.host} redirects to an address that is not fetched: only https and http are`,
      );
    }
    if (next.origin !== url.origin) secret = null;
    at = next;
  }
  throw new ArkError("unavailable", `${url.host} redirects more than ${MOST_REDIRECTS} times`);
}

/** Whether nobody on the way reads what is sent there. */
export function mayCarrySecret({ protocol, hostname }: URL): boolean {
  return protocol === "https:" || isLoopback(hostname);
}

/** Whether a host of a URL is this machine. */
export function isLoopback(hostname: string): boolean {
  return hostname === "localhost" || hostname === "[::1]" || /^127(?:\.\d{1,3}){3}$/.test(hostname);
}

/** The entity tag of an answer, where it stands for these very bytes; else null. */
export function strongTag(headers: Headers): string | null {
  const tag = headers.get("etag") ?? "";
  return /^"[\u0021\u0023-\u007e]{1,200}"$/.test(tag) ? tag : null;
}

/** How long a text may take to come, in milliseconds. */
const TEXT_MS = 30_000;

/** Options of {@linkcode requestText}. */
export interface TextRequest extends SourceRequest {
  /** Most bytes. */
  limit: number;
  /** What is asked for, in an error's sentence. */
  what: string;
}

/**
 * Fetches a short text, trying twice again where the server is not well.
 *
 * @throws {ArkError} `model_not_found`, `forbidden`, `unavailable`, `too_large`
 */
export async function requestText(url: URL, options: TextRequest): Promise<string> {
  for (let attempt = 1;; attempt++) {
    options.signal.throwIfAborted();
    try {
      return await textOnce(url, options);
    } catch (error) {
      options.signal.throwIfAborted();
      if (error instanceof ArkError) throw error;
      if (attempt < 3) continue;
      throw new ArkError(
        "unavailable",
        `Cannot fetch ${options.what} from ${url.host}: it does not answer as it should`,
        {
          cause: error,
        },
      );
    }
  }
}

async function textOnce(url: URL, { headers = {}, token, signal, limit, what }: TextRequest): Promise<string> {
  const { response } = await requestFollowing(url, {
    headers,
    token: token ?? null,
    signal: AbortSignal.any([signal, AbortSignal.timeout(TEXT_MS)]),
  });
  if (!response.ok) {
    await response.body?.cancel();
    throw statusError(response.status, { what, host: url.host, ...token === undefined ? {} : { token } }) ??
      new Error(`status ${response.status}`);
  }
  return await boundedText(response.body, {
    most: limit,
    tooLong: () => new ArkError("too_large", `${url.host} sent more than ${limit} bytes as ${what}`),
  });
}

/**
 * What a status means that asking again does not change, or null where it may. `token` is what was shown to the server; absent
 * where it takes none from this node.
 */
export function statusError(
  status: number,
  { what, host, token }: { what: string; host: string; token?: string | null },
): ArkError | null {
  if (status === 401 || status === 403) {
    const then = token === undefined
      ? ""
      : token === null
      ? "; for what your account may have, start the node with HF_TOKEN or --hf-token-file"
      : "; the account of your token must have it: accept the agreement on its page, or use another token";
    return new ArkError(
      "forbidden",
      `${host} does not give ${what} to everybody (${status}): it is private, needs an agreement, or is not there${then}`,
    );
  }
  if (status === 404 || status === 410) return new ArkError("model_not_found", `${host} has not ${what} (${status})`);
  if (status === 408 || status === 425 || status === 429 || status >= 500) return null;
  return new ArkError("unavailable", `${host} refused to give ${what} (${status})`);
}
