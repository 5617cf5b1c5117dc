/**
 * A real browser for tests: Chromium without a window, told what to do by its own debugging protocol over a socket of the
 * loopback. No package is needed for that, and nothing is downloaded.
 */
import { cleanEnvironment } from "./node_process.ts";

const PROGRAMS = ["chromium", "chromium-browser", "google-chrome"];

/** The program, or null where there is none. */
export async function findChromium(): Promise<string | null> {
  for (const program of PROGRAMS) {
    try {
      const { success } = await new Deno.Command(program, { args: ["--version"], stdout: "null", stderr: "null" })
        .output();
      if (success) return program;
    } catch {
      // Not under this name.
    }
  }
  return null;
}

interface Reply {
  id?: number;
  result?: Record<string, unknown>;
  error?: { message: string };
  method?: string;
  sessionId?: string;
  params?: Record<string, unknown>;
}

/** A running browser. Disposing it ends it and removes its profile. */
export class Chromium implements AsyncDisposable {
  readonly #child: Deno.ChildProcess;
  readonly #socket: WebSocket;
  readonly #profile: string;
  readonly #errors: Promise<void>;
  readonly #waiting = new Map<number, { resolve(value: Record<string, unknown>): void; reject(error: Error): void }>();
  readonly #loads = new Map<string, () => void>();
  #last = 0;

  private constructor(parts: { child: Deno.ChildProcess; socket: WebSocket; profile: string; errors: Promise<void> }) {
    this.#child = parts.child;
    this.#socket = parts.socket;
    this.#profile = parts.profile;
    this.#errors = parts.errors;
    this.#socket.onmessage = ({ data }) => this.#take(JSON.parse(String(data)));
  }

  /** Starts a browser in which names mean these addresses, and every other name nothing. */
  static async start(program: string, names: Record<string, string>): Promise<Chromium> {
    const profile = await Deno.makeTempDir({ prefix: "ark-chromium-" });
    const rules = Object.entries(names).map(([name, address]) => `MAP ${name} ${address}`);
    const nothing = "MAP * ~NOTFOUND , EXCLUDE 127.0.0.1 , EXCLUDE 127.0.0.2 , EXCLUDE 0.0.0.0 , EXCLUDE localhost";
    const child = new Deno.Command(program, {
      args: [
        "--headless=new",
        "--no-sandbox",
        "--disable-gpu",
        "--disable-dev-shm-usage",
        "--no-first-run",
        "--no-proxy-server",
        "--disable-background-networking",
        "--disable-component-update",
        "--disable-default-apps",
        "--disable-extensions",
        "--disable-sync",
        "--disable-popup-blocking",
        "--allow-file-access-from-files",
        `--user-data-dir=${profile}`,
        "--remote-debugging-port=0",
        `--host-resolver-rules=${[...rules, nothing].join(" , ")}`,
        "about:blank",
      ],
      env: { ...cleanEnvironment(), HOME: profile },
      clearEnv: true,
      stdin: "null",
      stdout: "null",
      stderr: "piped",
    }).spawn();
    const { promise, resolve, reject } = Promise.withResolvers<string>();
    const errors = (async () => {
      let text = "";
      const decoder = new TextDecoder();
      for await (const chunk of child.stderr) {
        if (text.length < 100_000) text += decoder.decode(chunk, { stream: true });
        const url = /DevTools listening on (ws:\S+)/.exec(text)?.[1];
        if (url !== undefined) resolve(url);
      }
      reject(new Error(`Chromium ended: ${text}`));
    })();
    const socket = new WebSocket(await promise);
    await new Promise((opened, failed) => {
      socket.onopen = opened;
      socket.onerror = failed;
    });
    return new Chromium({ child, socket, profile, errors });
  }

  /** Opens a page in a new tab and waits until it has loaded. */
  async open(url: string): Promise<Page> {
    const { targetId } = await this.#call("Target.createTarget", { url: "about:blank" });
    const { sessionId } = await this.#call("Target.attachToTarget", { targetId, flatten: true });
    const session = String(sessionId);
    await this.#call("Page.enable", {}, session);
    const loaded = new Promise<void>((resolve) => this.#loads.set(session, resolve));
    await this.#call("Page.navigate", { url }, session);
    await loaded;
    return {
      run: async (script) => {
        const parameters = { expression: script, awaitPromise: true, returnByValue: true };
        const { result, exceptionDetails } = await this.#call("Runtime.evaluate", parameters, session);
        if (exceptionDetails !== undefined) throw new Error(`The page failed: ${JSON.stringify(exceptionDetails)}`);
        return (result as { value?: unknown }).value;
      },
      close: async () => {
        await this.#call("Target.closeTarget", { targetId });
      },
    };
  }

  /** Ends the browser. */
  async [Symbol.asyncDispose](): Promise<void> {
    const closed = new Promise((resolve) => this.#socket.onclose = resolve);
    this.#socket.send(JSON.stringify({ id: ++this.#last, method: "Browser.close" }));
    const late = setTimeout(() => this.#child.kill("SIGKILL"), 5_000);
    await Promise.all([closed, this.#child.status, this.#errors.catch(() => {})]);
    clearTimeout(late);
    // Its helper processes may still write for a moment.
    for (let tries = 0;; tries++) {
      try {
        return await Deno.remove(this.#profile, { recursive: true });
      } catch (error) {
        if (tries > 50) throw error;
        await new Promise((resolve) => setTimeout(resolve, 100));
      }
    }
  }

  #call(method: string, params: Record<string, unknown>, sessionId?: string): Promise<Record<string, unknown>> {
    const id = ++this.#last;
    this.#socket.send(JSON.stringify({ id, method, params, ...(sessionId === undefined ? {} : { sessionId }) }));
    return new Promise((resolve, reject) => this.#waiting.set(id, { resolve, reject }));
  }

  #take({ id, result, error, method, sessionId }: Reply): void {
    if (method === "Page.loadEventFired") this.#loads.get(sessionId ?? "")?.();
    const waiting = this.#waiting.get(id ?? -1);
    if (waiting === undefined) return;
    this.#waiting.delete(id ?? -1);
    if (error === undefined) waiting.resolve(result ?? {});
    else waiting.reject(new Error(error.message));
  }
}

/** A tab. */
export interface Page {
  /** Runs a script as the page's own, waits for its promise, and returns its value. */
  run(script: string): Promise<unknown>;
  /** Closes the tab. */
  close(): Promise<void>;
}
