import { randomBytes } from "node:crypto";
import { fileURLToPath } from "node:url";
import type { Sighting } from "@ark/node/discovery";
import type { NetworkHost } from "../support/netns.ts";

/** How long a test waits for what must happen. Long, since the machine may be busy. */
const PATIENCE_MS = 30_000;

/** Draws an id that no test that runs at the same time has. */
export function drawId(): string {
  return [...randomBytes(56)].map((byte) => "abcdefghijklmnopqrstuvwxyz234567"[byte & 31]).join("");
}

/** A node as a process of its own, on this machine or on a host of a lab. */
export class MdnsNode implements AsyncDisposable {
  /** First characters of its id, as others see it. */
  readonly shortId: string;
  /** Port that it announces. */
  readonly port: number;
  readonly #child: Deno.ChildProcess;
  readonly #reading: Promise<void>;
  readonly #lines: (Sighting | { sentence: string } | { started: number })[] = [];
  #news = Promise.withResolvers<void>();

  /** Starts it. */
  constructor({ host, port, hostname = "0.0.0.0" }: { host: NetworkHost; port: number; hostname?: string }) {
    const id = drawId();
    this.shortId = id.slice(0, 8);
    this.port = port;
    const root = fileURLToPath(new URL("../..", import.meta.url));
    const main = fileURLToPath(new URL("mdns_main.ts", import.meta.url));
    const command = [Deno.execPath(), "run", "-A", "--no-check", main, id, String(port), hostname];
    this.#child = host.spawn(command, { cwd: root, stdout: "piped" });
    this.#reading = this.#read();
  }

  /** Whether a node stands at an address as far as this one knows now, or null when it never heard of it. */
  sees(other: MdnsNode, hostname: string): boolean | null {
    const last = this.#lines.findLast((line) =>
      "address" in line && line.address.hostname === hostname && line.address.port === other.port
    );
    return last === undefined || !("address" in last) || last.shortId !== other.shortId ? null : !last.gone;
  }

  /** Sentences about what does not work. */
  get sentences(): string[] {
    return this.#lines.filter((line) => "sentence" in line).map(({ sentence }) => sentence);
  }

  /** Waits until something holds; looks again at every line that the node prints. */
  async until(condition: () => boolean): Promise<void> {
    const { promise: late, reject } = Promise.withResolvers<never>();
    const timer = setTimeout(() => reject(new Error(`Waited in vain, ${JSON.stringify(this.#lines)}`)), PATIENCE_MS);
    try {
      while (!condition()) await Promise.race([this.#news.promise, late]);
    } finally {
      clearTimeout(timer);
    }
  }

  /** Ends it with a goodbye and waits for its end. */
  async leave(): Promise<void> {
    this.#child.kill("SIGTERM");
    await this.#child.status;
    await this.#reading;
  }

  /** Ends it without a goodbye. */
  async [Symbol.asyncDispose](): Promise<void> {
    try {
      this.#child.kill("SIGKILL");
    } catch {
      // It left before.
    }
    await this.#child.status;
    await this.#reading;
  }

  async #read(): Promise<void> {
    let rest = "";
    for await (const text of this.#child.stdout.pipeThrough(new TextDecoderStream())) {
      const lines = (rest + text).split("\n");
      rest = lines.pop() ?? "";
      this.#lines.push(...lines.map((line) => JSON.parse(line)));
      this.#news.resolve();
      this.#news = Promise.withResolvers<void>();
    }
  }
}
