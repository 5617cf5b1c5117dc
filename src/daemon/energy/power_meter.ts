import { type EnergyHistory, nextBeat, type PowerOf } from "@ark/node/telemetry";
import { type RunTool, runTool } from "../sharing/run_tool.ts";
import { NVIDIA_POWER_QUERY, parseNvidiaPower } from "./nvidia_power.ts";
import { type EnergyCounter, joulesBetween, SysfsPower } from "./sysfs_power.ts";

/** How much power is taken now. */
export interface PowerReading {
  /** Watts. */
  readonly watts: number;
  /** What takes them. */
  readonly of: PowerOf;
}

/** Options of {@linkcode PowerMeter}. */
export interface PowerMeterOptions {
  /** Where it is written down. */
  history: Pick<EnergyHistory, "power">;
  /** Whether a GPU works for this node now: then an answer without the GPU's part would be none. */
  usesGpu(): boolean;
  /** Asks a program of the system. */
  run?: RunTool;
  /** Put before `/sys`. @default {""} */
  root?: string;
  /** Time between two looks, in milliseconds. @default {10000} */
  everyMs?: number;
}

/** How long `nvidia-smi` is not asked again where there is none or it may not be run, in milliseconds. */
const MISSING_MS = 600_000;
/** Two looks further apart, over a sleep of the machine say, tell nothing of the time between, in milliseconds. */
const LONGEST_MS = 60_000;
const MOST_WATTS = 100_000;

/**
 * Looks what power this machine takes, where it tells, for its own owner alone: no message to a peer has it.
 *
 * A battery that gives power tells of the whole machine. Else processors and memory tell by counters that Linux keeps
 * (RAPL), NVIDIA's GPUs by `nvidia-smi`, AMD's by their sensors. While a GPU works for this node and does not tell, nothing is
 * known; and a GPU that does not is not asked, since that would wake it.
 */
export class PowerMeter {
  readonly #options: Required<PowerMeterOptions>;
  readonly #sysfs: SysfsPower;
  #before: { readonly at: number; readonly counters: readonly EnergyCounter[] } | null = null;
  #missingUntil = -Infinity;

  /** Has not looked yet. */
  constructor(options: PowerMeterOptions) {
    this.#options = { run: runTool, root: "", everyMs: 10_000, ...options };
    this.#sysfs = new SysfsPower(this.#options.root);
  }

  /** Looks once, at a time of the monotonic clock in milliseconds. Never rejects; null where it is not known. */
  async look(signal: AbortSignal, now: number = performance.now()): Promise<PowerReading | null> {
    const [battery, processors] = [await this.#sysfs.battery(), await this.#processors(now)];
    if (battery !== null) return sane({ watts: battery, of: "machine" });
    if (!this.#options.usesGpu()) {
      return processors === null ? null : sane({ watts: processors, of: "processor" });
    }
    const gpu = await this.#nvidia(signal) ?? await this.#sysfs.amd();
    if (gpu === null) return null;
    return processors === null
      ? sane({ watts: gpu, of: "gpu" })
      : sane({ watts: processors + gpu, of: "processor_and_gpu" });
  }

  /** Looks now and then, one look after the other, and writes down what it saw. */
  async run(signal: AbortSignal): Promise<void> {
    let last = performance.now();
    while (!signal.aborted) {
      const reading = await this.look(signal);
      const now = performance.now();
      if (reading !== null && now - last <= LONGEST_MS) this.#options.history.power({ ...reading, ms: now - last });
      last = now;
      await nextBeat(this.#options.everyMs, { signal });
    }
  }

  async #processors(now: number): Promise<number | null> {
    const [before, counters] = [this.#before, await this.#sysfs.processors()];
    this.#before = counters === null ? null : { at: now, counters };
    if (before === null || counters === null || now <= before.at || now - before.at > LONGEST_MS) return null;
    const joules = joulesBetween(before.counters, counters);
    return joules === null ? null : joules / ((now - before.at) / 1_000);
  }

  async #nvidia(signal: AbortSignal): Promise<number | null> {
    if (performance.now() < this.#missingUntil) return null;
    const answer = await this.#options.run("nvidia-smi", NVIDIA_POWER_QUERY, signal);
    if (answer.kind === "printed") return parseNvidiaPower(answer.text);
    this.#missingUntil = performance.now() + MISSING_MS;
    return null;
  }
}

function sane(reading: PowerReading): PowerReading | null {
  return reading.watts >= 0 && reading.watts <= MOST_WATTS ? reading : null;
}
