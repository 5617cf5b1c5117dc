import { type CommandContext, CommandError, EXIT } from "../command.ts";
import type { NodeClient } from "../node_client.ts";
import type { TopFeed } from "./feed.ts";
import { type Key, keysOf } from "./keys.ts";
import { Screen } from "./screen.ts";
import type { TopPeer, TopSnapshot } from "./snapshot.ts";
import { helpLines, shownPeers, topLines } from "./view.ts";

/** Options of {@linkcode TopLive}. */
export interface TopLiveOptions {
  /** The command. */
  context: Pick<CommandContext, "out" | "input">;
  /** The owner's node. */
  node: NodeClient;
  /** What it tells. */
  feed: TopFeed;
  /** How often it is asked, in milliseconds. */
  intervalMs: number;
}

/** Events come in bursts: the screen follows so long after the first of one, in milliseconds. */
const BURST_MS = 150;
const FOOTER = "q quit   ? help   arrows choose   p pause   r revoke   s sharing   / filter";
/** Longest text that one can look for. */
const MOST_FILTER = 60;
const PAGE = 10;

/** What happens when the owner says yes. */
interface Act {
  readonly path: string;
  readonly body: unknown;
  /** Asked before. */
  readonly question: string;
  /** Said afterwards. */
  readonly said: string;
}

/** How long a pause of sharing lasts, in seconds. */
const PAUSE_S = 3_600;

/** The node on the whole screen, until the owner leaves or the node is gone. However it ends, the terminal is as before. */
export class TopLive {
  readonly #options: TopLiveOptions;
  readonly #screen: Screen;
  readonly #ended = Promise.withResolvers<number>();
  readonly #stop = new AbortController();
  #snapshot: TopSnapshot | null = null;
  #chosen: string | null = null;
  #filter = "";
  #typing = false;
  #helping = false;
  #act: Act | null = null;
  #said = "";
  #soon: ReturnType<typeof setTimeout> | undefined;
  #wake: () => void = () => {};

  /** Makes a view of a node. */
  constructor(options: TopLiveOptions) {
    this.#options = options;
    this.#screen = new Screen(options.context.out);
  }

  /** Shows it, and returns the exit status. */
  async run(): Promise<number> {
    const { context: { input }, feed } = this.#options;
    // Before anything is changed on the terminal: a node that does not answer is said as everywhere.
    this.#snapshot = await feed.read();
    using screen = this.#screen;
    using _signals = this.#signals();
    const [on, off] = [true, false];
    const keyboard = input.isTerminal() ? input.readable.getReader() : null;
    screen.enter();
    try {
      if (keyboard !== null) input.setRaw?.(on);
      this.#draw();
      const failed = (error: unknown) => this.#ended.reject(error);
      this.#refresh().catch(failed);
      feed.follow({ signal: this.#stop.signal, happened: () => this.#refreshSoon() }).catch(failed);
      if (keyboard !== null) this.#readKeys(keyboard).catch(failed);
      return await this.#ended.promise;
    } catch (error) {
      // What a stream says when it breaks off is true here, too, but not what is to be done.
      if (error instanceof CommandError) throw new CommandError(GONE, EXIT.notRunning);
      throw error;
    } finally {
      this.#stop.abort();
      this.#wake();
      clearTimeout(this.#soon);
      if (keyboard !== null) {
        input.setRaw?.(off);
        // A read that waits for the next key would keep the process.
        await Promise.race([keyboard.cancel().catch(() => {}), new Promise((resolve) => setTimeout(resolve, 50))]);
      }
    }
  }

  /** Asks the node again and again. */
  async #refresh(): Promise<void> {
    const { feed, intervalMs } = this.#options;
    while (!this.#stop.signal.aborted) {
      await new Promise<void>((resolve) => {
        const timer = setTimeout(resolve, intervalMs);
        this.#wake = () => {
          clearTimeout(timer);
          resolve();
        };
      });
      if (this.#stop.signal.aborted) return;
      this.#snapshot = await feed.read();
      this.#draw();
    }
  }

  #refreshSoon(): void {
    this.#soon ??= setTimeout(() => {
      this.#soon = undefined;
      this.#wake();
    }, BURST_MS);
  }

  #draw(): void {
    const snapshot = this.#snapshot;
    if (snapshot === null || this.#stop.signal.aborted) return;
    if (this.#helping) return this.#screen.draw(helpLines());
    const { columns, rows } = this.#options.context.out.size;
    const peers = shownPeers(snapshot, this.#filter);
    if (!peers.some(({ node_id }) => node_id === this.#chosen)) this.#chosen = peers[0]?.node_id ?? null;
    this.#screen.draw(topLines(snapshot, {
      columns,
      rows,
      chosen: this.#chosen,
      filter: this.#filter,
      footer: this.#footer(),
      asks: this.#act !== null || this.#typing,
    }));
  }

  #footer(): string {
    if (this.#act !== null) return `y or n: ${this.#act.question}`;
    if (this.#typing) return "Type what is to be shown; enter keeps it, escape shows everything";
    return this.#said === "" ? FOOTER : this.#said;
  }

  async #readKeys(keyboard: ReadableStreamDefaultReader<Uint8Array>): Promise<void> {
    const decoder = new TextDecoder();
    for (;;) {
      const { done, value } = await keyboard.read();
      // The terminal is gone.
      if (done) return this.#ended.resolve(EXIT.ok);
      for (const key of keysOf(decoder.decode(value, { stream: true }))) this.#press(key);
      this.#draw();
    }
  }

  #press(key: Key): void {
    if (key === "interrupt") return this.#ended.resolve(EXIT.interrupted);
    this.#said = "";
    if (this.#helping) this.#helping = false;
    else if (this.#act !== null) this.#answer(key);
    else if (this.#typing) this.#type(key);
    else this.#command(key);
  }

  #answer(key: Key): void {
    const act = this.#act;
    this.#act = null;
    if (act === null) return;
    if (key === "y" || key === "Y") void this.#do(act);
    else this.#said = "Nothing was changed.";
  }

  #type(key: Key): void {
    if (key === "enter") this.#typing = false;
    else if (key === "escape") [this.#typing, this.#filter] = [false, ""];
    else if (key === "backspace") this.#filter = [...this.#filter].slice(0, -1).join("");
    else if ([...key].length === 1 && this.#filter.length < MOST_FILTER) this.#filter += key;
  }

  #command(key: Key): void {
    const peers = this.#snapshot === null ? [] : shownPeers(this.#snapshot, this.#filter);
    const peer = peers.find(({ node_id }) => node_id === this.#chosen);
    switch (key) {
      case "q":
        return this.#ended.resolve(EXIT.ok);
      case "?":
      case "h":
        this.#helping = true;
        return;
      case "/":
        this.#typing = true;
        return;
      case "escape":
        this.#filter = "";
        return;
      case "p":
      case "r":
        if (peer === undefined) this.#said = "There is no neighbour to choose yet.";
        else this.#act = peerAct(key === "r" ? "revoke" : peer.state === "paused" ? "resume" : "pause", peer);
        return;
      case "s": {
        const sharing = this.#snapshot?.node.sharing ?? null;
        if (sharing === null) this.#said = "This node has nothing that it could pause sharing with.";
        else this.#act = sharing.state === "paused" ? SHARE : PAUSE;
        return;
      }
      default:
        this.#chosen = movedTo(key, { peers, chosen: this.#chosen });
    }
  }

  async #do({ path, body, said }: Act): Promise<void> {
    try {
      await this.#options.node.call(path, body);
      this.#said = said;
    } catch (error) {
      this.#said = error instanceof Error ? error.message : String(error);
    }
    this.#draw();
    this.#wake();
  }

  /** Signals end the view in an orderly way, a new size draws it anew, and what nobody catches gives the terminal back. */
  #signals(): Disposable {
    const windows = Deno.build.os === "windows";
    const listeners: [Deno.Signal, () => void][] = [
      ["SIGINT", () => this.#ended.resolve(EXIT.interrupted)],
      ...windows ? [] : [
        ["SIGTERM", () => this.#ended.resolve(143)],
        ["SIGHUP", () => this.#ended.resolve(129)],
        ["SIGWINCH", () => this.#draw()],
      ] as [Deno.Signal, () => void][],
    ];
    for (const [signal, listener] of listeners) Deno.addSignalListener(signal, listener);
    const crashed = (event: PromiseRejectionEvent | ErrorEvent) => {
      event.preventDefault();
      this.#ended.reject(event instanceof PromiseRejectionEvent ? event.reason : event.error);
    };
    addEventListener("unhandledrejection", crashed);
    addEventListener("error", crashed);
    return {
      [Symbol.dispose]() {
        for (const [signal, listener] of listeners) Deno.removeSignalListener(signal, listener);
        removeEventListener("unhandledrejection", crashed);
        removeEventListener("error", crashed);
      },
    };
  }
}

const GONE = "The node went away: it was stopped, or is being started anew; 'ark-node status' says whether it runs";

const PAUSE: Act = {
  path: "/sharing/pause",
  body: { for_s: PAUSE_S },
  question: "Pause sharing for an hour? No neighbour may use anything here until then.",
  said: "Sharing is paused for an hour: s shares again.",
};

const SHARE: Act = {
  path: "/sharing/resume",
  body: {},
  question: "Share again? Neighbours may use what you approved.",
  said: "Neighbours may use again what you approved.",
};

function peerAct(what: "pause" | "resume" | "revoke", { name, node_id }: TopPeer): Act {
  const act = { path: `/peers/${what}`, body: { node_id } };
  switch (what) {
    case "pause":
      return {
        ...act,
        question: `Pause ${name}? It stays paired, and its running requests are cut.`,
        said: `${name} is paused: it may ask nothing here, and is asked nothing.`,
      };
    case "resume":
      return { ...act, question: `Let ${name} ask again?`, said: `${name} may ask again, as you approved it.` };
    case "revoke":
      return {
        ...act,
        question: `Revoke ${name}? It may do nothing here any more; only pairing anew changes that.`,
        said: `${name} may do nothing here any more, and is asked nothing.`,
      };
  }
}

function movedTo(key: Key, { peers, chosen }: { peers: readonly TopPeer[]; chosen: string | null }): string | null {
  const at = peers.findIndex(({ node_id }) => node_id === chosen);
  const last = peers.length - 1;
  const steps: Record<string, number> = {
    up: at - 1,
    down: at + 1,
    k: at - 1,
    j: at + 1,
    "page up": at - PAGE,
    "page down": at + PAGE,
    home: 0,
    end: last,
  };
  const to = steps[key];
  return to === undefined ? chosen : peers[Math.max(0, Math.min(last, to))]?.node_id ?? null;
}
