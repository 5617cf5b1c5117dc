import { type LocalBackend, readMemory } from "@ark/node/inference";
import { type GpuLayer, gpuLayer, type Hardware } from "@ark/node/protocol";
import { nextBeat } from "@ark/node/telemetry";

/** How often it is looked at the hardware for peers, in milliseconds. */
const EVERY_MS = 5_000;

/**
 * Peers are told free memory in such steps, in bytes: an offer that changes with every page would be news all the time, and
 * would tell what the owner is doing.
 */
const STEP = 1 << 28;

/** What {@linkcode OwnHardware} looks at. */
export interface OwnHardwareOptions {
  /** This node's own engine, or null. */
  engine: Pick<LocalBackend, "loaded" | "gpuMemory"> | null;
  /** Which GPU the owner chose: a layer that he names is there. */
  gpu: string;
  /** Whether peers may see it. */
  show: boolean;
}

/** What this node works with: for its own owner always, and for peers where he shows it. */
export class OwnHardware {
  readonly #options: OwnHardwareOptions;
  #layer: GpuLayer | null;
  #shown: Hardware | null = null;

  /** Makes a view that has not looked yet. */
  constructor(options: OwnHardwareOptions) {
    this.#options = options;
    this.#layer = gpuLayer(options.gpu);
  }

  /** Looks. Never fails: what cannot be told is null. */
  async look(): Promise<Hardware> {
    const { engine } = this.#options;
    const { totalBytes: total, availableBytes: free } = await readMemory();
    // Which GPU works is known once a model was loaded on it.
    for (const { gpu } of engine?.loaded() ?? []) this.#layer = gpuLayer(gpu) ?? this.#layer;
    return {
      memory: total === null || free === null ? null : { total, free: Math.min(total, free) },
      gpu: this.#layer === null ? null : { layer: this.#layer, memory: engine?.gpuMemory ?? null },
    };
  }

  /** What peers are told now, or null where the owner does not show it. */
  get shown(): Hardware | null {
    return this.#shown;
  }

  /** Keeps what peers are told fresh, where they are told anything. */
  async run(signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      if (this.#options.show) this.#shown = coarse(await this.look());
      await nextBeat(EVERY_MS, { signal });
    }
  }
}

function coarse({ memory, gpu }: Hardware): Hardware {
  return { memory: memory === null ? null : { ...memory, free: Math.floor(memory.free / STEP) * STEP }, gpu };
}
