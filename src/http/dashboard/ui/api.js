/** The owner's calls, as the command line makes them. The session lives as long as the browser's tab. */

const KEY = "ark.session";
let session = sessionStorage.getItem(KEY);
/** @type {Set<() => void>} */
const watchers = new Set();

/** An answer that is an error; its message is a sentence. */
export class CallError extends Error {
  /** @param {string} message @param {number} status */
  constructor(message, status) {
    super(message);
    this.status = status;
  }
}

/** Whether somebody is logged in. */
export function isLoggedIn() {
  return session !== null;
}

/** Calls back when somebody logged in or out. @param {() => void} watcher */
export function watchSession(watcher) {
  watchers.add(watcher);
  return () => watchers.delete(watcher);
}

/** @param {string | null} next */
function remember(next) {
  session = next;
  if (next === null) sessionStorage.removeItem(KEY);
  else sessionStorage.setItem(KEY, next);
  for (const watcher of watchers) watcher();
}

/** Opens a session with a code of the command line, or with the admin token. @param {{ code?: string, token?: string }} proof */
export async function logIn(proof) {
  const { session } = await call("/ui/session", proof);
  remember(session);
}

/** Ends the session. */
export async function logOut() {
  await call("/ui/logout", {}).catch(() => {});
  remember(null);
}

/**
 * Makes a call; with a body it is a POST. Resolves with the response, whatever it is of.
 *
 * @param {string} path
 * @param {unknown} [body]
 * @param {{ signal?: AbortSignal, headers?: Record<string, string> }} [options]
 */
export async function open(path, body, { signal, headers = {} } = {}) {
  let response;
  try {
    response = await fetch(path, {
      method: body === undefined ? "GET" : "POST",
      headers: {
        ...session === null ? {} : { authorization: `Bearer ${session}` },
        ...body === undefined ? {} : { "content-type": "application/json" },
        ...headers,
      },
      ...body === undefined ? {} : { body: JSON.stringify(body) },
      ...signal === undefined ? {} : { signal },
      cache: "no-store",
      credentials: "omit",
      referrerPolicy: "no-referrer",
    });
  } catch (error) {
    if (signal?.aborted) throw error;
    throw new CallError("The node does not answer: it was stopped, or is starting.", 0);
  }
  if (response.ok) return response;
  const said = await response.json().catch(() => null);
  const { error } = Object(said);
  const message = typeof error === "string" ? error : error?.message ?? `The node answered ${response.status}.`;
  if (response.status === 401 && path !== "/ui/session") remember(null);
  throw new CallError(message, response.status);
}

/** @param {string} path @param {unknown} [body] @param {{ signal?: AbortSignal }} [options] */
export async function call(path, body, options) {
  return await (await open(path, body, options)).json();
}

/**
 * The lines of a streamed answer, each as soon as it is whole.
 *
 * @param {Response} response
 */
export async function* linesOf(response) {
  const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
  let rest = "";
  try {
    for (;;) {
      const { done, value } = await reader.read();
      if (done) break;
      const lines = (rest + value).split("\n");
      rest = lines.pop() ?? "";
      yield* lines;
    }
    if (rest !== "") yield rest;
  } finally {
    reader.cancel().catch(() => {});
  }
}

/** The data of server-sent events. @param {Response} response */
export async function* eventsOf(response) {
  for await (const line of linesOf(response)) {
    if (line.startsWith("data:")) yield line.slice(5).trim();
  }
}
