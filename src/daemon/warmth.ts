import type { Config } from "@ark/node/config";
import type { NodeId } from "@ark/node/identity";
import { DemandHistory, Prewarmer } from "@ark/node/inference";
import type { PeerBook } from "@ark/node/peers";
import { type PeerTable, Replicas } from "@ark/node/routing";
import type { Store } from "@ark/node/store";
import { type Logger, type Metrics, nextBeat } from "@ark/node/telemetry";
import type { OwnEngine } from "./role.ts";
import type { Service } from "./service.ts";
import { attempt } from "./start_error.ts";

/** What {@linkcode openWarmth} stands on. */
export interface WarmthGround {
  /** What the owner set. */
  config: Pick<Config, "keepAliveMs" | "prewarm" | "replicas">;
  /** Who this node is. */
  self: NodeId;
  /** Whether the machine is free to load models that nobody asked for yet. */
  free(): boolean;
  /** Its models. */
  engine: Pick<OwnEngine, "backend" | "catalogue">;
  /** Keeps what was learned. */
  store: Store;
  /** Which peers are the owner's own. */
  book: Pick<PeerBook, "get">;
  /** What peers have in memory. */
  table: Pick<PeerTable, "list">;
  /** Counts cold starts. */
  metrics: Metrics;
  /** The node's log. */
  logger: Logger;
}

/** Sees to it that models are in memory before they are asked for. */
export interface Warmth extends AsyncDisposable {
  /** What works in the background. */
  services(): Service[];
}

/** How often it is looked where pinned models are. */
const REPLICAS_MS = 1_000;

/**
 * Learns when which model is asked for, and keeps the right ones in memory.
 *
 * @throws {StartError} with one sentence for the owner.
 */
export async function openWarmth(ground: WarmthGround): Promise<Warmth> {
  const { config, self, engine, store, book, table, metrics, logger } = ground;
  const { backend, catalogue } = engine;
  const history = await attempt("read when models are asked for", () => DemandHistory.open({ store, logger }));
  const starts = metrics.counter(
    "ark_cold_starts_total",
    "Requests for models that were not in memory, and those that would have been but for loading early.",
    ["what"],
  );
  const prewarmer = new Prewarmer({
    backend,
    history,
    enabled: config.prewarm,
    free: () => ground.free(),
    // A peer that the owner does not call his own has no say in what is loaded.
    counts: ({ priority, principal }) => priority === "owner" || book.get(principal)?.own === true,
    cold: (what) => starts.add(1, { what }),
    logger,
  });
  const listening = backend.onAsked((asked) => prewarmer.asked(asked));
  const replicas = config.replicas === null ? null : new Replicas({
    ...config.replicas,
    self,
    keepAliveMs: config.keepAliveMs,
    backend,
    catalogue,
    peers: () => table.list(),
    logger,
  });
  return {
    services: () => [
      { name: "prewarming", run: (signal) => prewarmer.run(signal) },
      ...replicas === null ? [] : [{ name: "replicas", run: (signal: AbortSignal) => every(replicas, signal) }],
    ],
    async [Symbol.asyncDispose]() {
      listening[Symbol.dispose]();
      await history.flush();
    },
  };
}

async function every(replicas: Replicas, signal: AbortSignal): Promise<void> {
  while (!signal.aborted) {
    replicas.tick();
    await nextBeat(REPLICAS_MS, { signal });
  }
}
