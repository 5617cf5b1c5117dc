import type { PeerStatus } from "@ark/node/http";
import type { DensityGrid, LedgerEntry } from "@ark/node/routing";
import type { ArkEvent, HistorySample } from "@ark/node/telemetry";
import type { NodeClient } from "../node_client.ts";
import { sseData } from "../sse_data.ts";
import { eventSentence } from "./event_sentence.ts";
import { MOST_EVENTS, namesOf, snapshotOf, type TopAnswers, type TopEvent, type TopSnapshot } from "./snapshot.ts";

/** What changes slowly is asked for so often, in milliseconds. */
const SLOW_MS = 5_000;
const MOST_REQUESTS = 200;

/** Asks the running node how it stands, and hears what happens. */
export class TopFeed {
  readonly #node: NodeClient;
  readonly #told: TopEvent[] = [];
  #slow: { at: number; samples: HistorySample[]; grid: Pick<DensityGrid, "nodes"> | null } | null = null;
  #names: ReadonlyMap<string, string> = new Map();

  /** Asks a node. */
  constructor(node: NodeClient) {
    this.#node = node;
  }

  /**
   * How everything stands now.
   *
   * @throws {CommandError} where the node does not answer.
   */
  async read(): Promise<TopSnapshot> {
    const node = this.#node;
    const [status, { peers }, { requests }, { samples, grid }] = await Promise.all([
      node.call<TopAnswers["status"]>("/status"),
      node.call<{ peers: PeerStatus[] }>("/peers/status"),
      node.call<{ requests: LedgerEntry[] }>(`/api/v1/requests?count=${MOST_REQUESTS}`),
      this.#slowly(),
    ]);
    this.#names = namesOf(peers);
    return snapshotOf({ status, peers, requests, samples, grid, now: Date.now() }, this.#told);
  }

  /**
   * Hears what happens until the signal fires.
   *
   * @throws {CommandError} where the node goes away.
   */
  async follow({ signal, happened }: { signal: AbortSignal; happened(): void }): Promise<void> {
    try {
      const { body } = await this.#node.open("/api/v1/events", undefined, { signal });
      for await (const event of sseData<ArkEvent>(body ?? new ReadableStream())) {
        const said = eventSentence(event, { names: this.#names, at: new Date().toISOString() });
        if (said !== null) this.#told.unshift(said);
        // The numbers of the last minute have changed.
        if (event.type === "request" && event.phase === "end") this.#slow = null;
        this.#told.length = Math.min(this.#told.length, MOST_EVENTS);
        happened();
      }
    } catch (error) {
      if (!signal.aborted) throw error;
    }
  }

  async #slowly(): Promise<{ samples: HistorySample[]; grid: Pick<DensityGrid, "nodes"> | null }> {
    const now = performance.now();
    if (this.#slow !== null && now - this.#slow.at < SLOW_MS) return this.#slow;
    const [{ samples }, grid] = await Promise.all([
      this.#node.call<{ samples: HistorySample[] }>("/api/v1/history"),
      this.#node.call<Pick<DensityGrid, "nodes">>("/grid"),
    ]);
    this.#slow = { at: now, samples, grid };
    return this.#slow;
  }
}
