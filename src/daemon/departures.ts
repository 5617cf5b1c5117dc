/** The connections whose clients are watched, and how they are told that one has left. */
export interface Departure extends Disposable {
  /** Aborts when the client has closed the connection. */
  readonly signal: AbortSignal;
}

/** How often the system is asked, in milliseconds. */
const LOOK_MS = 500;
/** As the kernel spells it: the connection is open on both sides. */
const ESTABLISHED = "01";

/**
 * Finds out that a client has left while its answer is not there yet. Deno 2.9.6 tells it of a request that arrived in one
 * piece alone: where the body comes behind the head, as that of every longer prompt does, it looks at the connection no
 * more before it writes. So the system's own table is asked about those who wait; on systems without one nobody is told.
 */
export class Departures {
  readonly #read: () => Promise<readonly string[]>;
  readonly #waiting = new Set<{ ports: string; controller: AbortController }>();
  #timer: ReturnType<typeof setInterval> | undefined;
  #looking = false;

  /** Watches nobody yet. `read` gives the tables of connections, of which there are none on other systems than Linux. */
  constructor(read: () => Promise<readonly string[]> = systemTables) {
    this.#read = read;
  }

  /** Watches the connection between a port of ours and one of a client, until it is disposed of. */
  watch(ours: number, theirs: number): Departure {
    const entry = { ports: portsOf(ours, theirs), controller: new AbortController() };
    this.#waiting.add(entry);
    this.#timer ??= setInterval(() => void this.#look(), LOOK_MS);
    return {
      signal: entry.controller.signal,
      [Symbol.dispose]: () => {
        this.#waiting.delete(entry);
        if (this.#waiting.size > 0) return;
        clearInterval(this.#timer);
        this.#timer = undefined;
      },
    };
  }

  async #look(): Promise<void> {
    if (this.#looking) return;
    this.#looking = true;
    // Who comes while the tables are read may not be in them.
    const asked = [...this.#waiting];
    try {
      const tables = await this.#read();
      if (tables.length === 0) return;
      const open = new Set(tables.flatMap(openConnections));
      for (const { ports, controller } of asked) if (!open.has(ports)) controller.abort();
    } catch {
      // Where the table cannot be read, a client is noticed when the answer is written.
    } finally {
      this.#looking = false;
    }
  }
}

async function systemTables(): Promise<string[]> {
  if (Deno.build.os !== "linux") return [];
  const read = (path: string) => Deno.readTextFile(path).catch(() => null);
  const tables = await Promise.all(["/proc/net/tcp", "/proc/net/tcp6"].map(read));
  // Without the first one nothing is known; the second is missing where there is no IPv6.
  return tables[0] === null ? [] : tables.filter((table) => table !== null);
}

/** The ports of the connections in a table of the kernel that both sides keep open. */
function openConnections(table: string): string[] {
  return table.split("\n").slice(1).flatMap((line) => {
    const [, local = "", remote = "", state] = line.trim().split(/\s+/);
    return state === ESTABLISHED ? [`${local.slice(-4)} ${remote.slice(-4)}`] : [];
  });
}

/** Two ports as the kernel spells them. Two clients with the same port keep each other from being found out. */
function portsOf(ours: number, theirs: number): string {
  return [ours, theirs].map((port) => port.toString(16).toUpperCase().padStart(4, "0")).join(" ");
}
