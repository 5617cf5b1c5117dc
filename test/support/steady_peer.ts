/**
 * An approved peer that goes on asking, whatever else happens: `steady_peer.ts KEY_FILE NODE_ID HOST PORT EVERY_MS MODEL`.
 * It asks in turn for the offer and for one token, on kept connections, and prints a line of JSON for each. Its standard
 * input ends it.
 *
 * @module
 */
import { loadIdentity, parseNodeId } from "@ark/node/identity";
import { MeshClient } from "@ark/node/transport";

/** One question and what became of it. */
export interface Beat {
  /** What was asked. */
  what: "offer" | "infer";
  /** Time to the first byte of the answer's body, in milliseconds. */
  ms: number;
  /** Status, or 0 where none came. */
  status: number;
  /** Why none came, or why the body broke. */
  error: string | null;
}

/** What it takes to run one. */
export interface SteadyPeerOptions {
  /** Key file of the peer. */
  key: string;
  /** Whom it asks. */
  id: string;
  /** Where. */
  address: { hostname: string; port: number };
  /** Time between two questions in milliseconds. */
  everyMs: number;
  /** Model that it asks for. */
  model: string;
  /** Begins the command line, where it runs on a host of a lab. */
  command?: readonly string[];
}

/** The peer, as the test that runs it sees it. */
export class SteadyPeer implements AsyncDisposable {
  /** What it asked so far. */
  readonly beats: Beat[] = [];
  readonly #child: Deno.ChildProcess;
  readonly #reading: Promise<void>;

  /** Starts it. */
  constructor({ key, id, address, everyMs, model, command = [] }: SteadyPeerOptions) {
    const own = [key, id, address.hostname, String(address.port), String(everyMs), model];
    const [program = "", ...args] = [...command, Deno.execPath(), "run", "-A", import.meta.filename ?? "", ...own];
    this.#child = new Deno.Command(program, { args, cwd: import.meta.dirname ?? ".", stdin: "piped", stdout: "piped" })
      .spawn();
    this.#reading = this.#read();
  }

  /** Waits until it has asked so many more times, and returns how that went. */
  async next(count: number): Promise<Beat[]> {
    const from = this.beats.length;
    const deadline = performance.now() + 60_000 + count * 1_000;
    while (this.beats.length < from + count) {
      if (performance.now() > deadline) throw new Error(`The peer asked only ${this.beats.length - from} times`);
      await new Promise((resolve) => setTimeout(resolve, 10));
    }
    return this.beats.slice(from);
  }

  /** Ends it. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.#child.stdin.close().catch(() => {});
    await Promise.all([this.#child.status, this.#reading]);
  }

  async #read(): Promise<void> {
    let rest = "";
    for await (const text of this.#child.stdout.pipeThrough(new TextDecoderStream())) {
      const lines = (rest + text).split("\n");
      rest = lines.pop() ?? "";
      for (const line of lines) this.beats.push(JSON.parse(line));
    }
  }
}

/** The time that this part of the answers did not exceed. */
export function quantile(beats: readonly Beat[], what: Beat["what"], part: number): number {
  const times = beats.filter((beat) => beat.what === what).map(({ ms }) => ms).toSorted((a, b) => a - b);
  return times[Math.min(times.length - 1, Math.floor(times.length * part))] ?? NaN;
}

if (import.meta.main) {
  const [key = "", id = "", hostname = "", port = "", everyMs = "", model = ""] = Deno.args;
  const to = { id: parseNodeId(id), addresses: [{ hostname, port: Number(port) }] };
  await using client = new MeshClient({ identity: await loadIdentity(key) });
  const stop = new AbortController();
  Deno.stdin.readable.pipeTo(new WritableStream()).then(() => stop.abort(), () => stop.abort());
  const body = JSON.stringify({
    model,
    input: { kind: "completion", prompt: "Once" },
    parameters: { max_tokens: 1 },
  });
  for (let turn = 0; !stop.signal.aborted; turn++) {
    const what = turn % 2 === 0 ? "offer" : "infer";
    const began = performance.now();
    const beat: Beat = { what, ms: 0, status: 0, error: null };
    try {
      const call = what === "offer"
        ? { method: "GET", path: "/ark/v1/offer" }
        : { method: "POST", path: "/ark/v1/infer", body };
      const response = await client.request(to, { ...call, deadlineMs: 10_000 });
      beat.status = response.status;
      for await (const _ of response.body) if (beat.ms === 0) beat.ms = performance.now() - began;
    } catch (error) {
      beat.error = String(error);
    }
    if (stop.signal.aborted) break;
    Deno.stdout.writeSync(new TextEncoder().encode(JSON.stringify(beat) + "\n"));
    await new Promise((resolve) => setTimeout(resolve, Math.max(0, Number(everyMs) - (performance.now() - began))));
  }
}
