import { readdir } from "node:fs/promises";
import { DrmClients, type DrmLook, engineUse } from "./drm_use.ts";
import { othersPart, parsePmon, parseUtilization } from "./nvidia_use.ts";
import { beginningOf, familyOf, listProcesses } from "./own_processes.ts";
import { type RunTool, runTool } from "./run_tool.ts";
import { cannotTell, type OwnWork, type UseDetector, type UseReading } from "./use_detector.ts";

/** Options of {@linkcode GpuUse}. */
export interface GpuUseOptions {
  /** What this node does itself. */
  own: OwnWork;
  /** Part of a GPU that others must use to count. @default {0.2} */
  bound?: number;
  /** Asks a program. */
  run?: RunTool;
  /** Put before `/proc` and `/sys`. @default {""} */
  root?: string;
}

/** How long a program that is missing is not asked for again, in milliseconds. */
const MISSING_MS = 600_000;
const MOST_CARDS = 64;

/**
 * Looks whether other programs use a GPU: NVIDIA's by `nvidia-smi`, others by what the kernel tells of each program, and
 * AMD's by the whole load less this node's own part. How much a program *holds* does not count: a model that rests in the
 * memory of the GPU hinders nobody who plays.
 */
export class GpuUse implements UseDetector {
  readonly what = "gpu";
  readonly everyMs = 5_000;
  readonly #options: Required<GpuUseOptions>;
  readonly #drm: DrmClients;
  #before: DrmLook | null = null;
  #missingUntil = -Infinity;

  /** Has not looked yet. */
  constructor(options: GpuUseOptions) {
    this.#options = { bound: 0.2, run: runTool, root: "", ...options };
    this.#drm = new DrmClients(`${this.#options.root}/proc`);
  }

  /** Looks once. */
  async look(signal: AbortSignal): Promise<UseReading> {
    // Where no program uses a GPU nobody asks whose it is: to list all processes is most of the work.
    let family: Promise<ReadonlySet<number>> | undefined;
    const own = () => family ??= this.#family();
    const nvidia = await this.#nvidia(own, signal);
    if (nvidia?.kind === "used") return nvidia;
    const kernel = await this.#kernel(own);
    // A machine may have both: what one says counts, where the other can say nothing.
    if (kernel.kind === "cannot_tell") return nvidia ?? kernel;
    return kernel;
  }

  /** This node, its workers, and all that they have started. */
  async #family(): Promise<ReadonlySet<number>> {
    const all = await listProcesses(`${this.#options.root}/proc`);
    const mine = [Deno.pid, ...this.#options.own.pids()];
    return all === null ? new Set(mine) : familyOf(mine, all);
  }

  async #nvidia(own: () => Promise<ReadonlySet<number>>, signal: AbortSignal): Promise<UseReading | null> {
    if (performance.now() < this.#missingUntil) return null;
    const { run } = this.#options;
    const listed = await run("nvidia-smi", ["pmon", "-c", "1", "-s", "u"], signal);
    if (listed.kind === "missing") {
      this.#missingUntil = performance.now() + MISSING_MS;
      return null;
    }
    const processes = listed.kind === "printed" ? parsePmon(listed.text) : null;
    const seen = processes !== null && processes.some(({ pid }) => pid !== null);
    const part = seen ? othersPart(processes, await own()) : null;
    if (part !== null) return this.#reading(part);
    // In a container and on Windows nobody is listed: then there is only the load of the whole GPU.
    const query = ["--query-gpu=utilization.gpu", "--format=csv,noheader,nounits"];
    const asked = await run("nvidia-smi", query, signal);
    const whole = asked.kind === "printed" ? parseUtilization(asked.text) : null;
    if (whole === null) {
      return cannotTell(asked.kind === "failed" ? asked.why : "nvidia-smi does not say how its GPU is used");
    }
    if (whole < this.#options.bound) return { kind: "calm" };
    if (this.#options.own.working()) {
      return cannotTell("nvidia-smi tells the load of the whole GPU alone, and a model of this node works on it");
    }
    return this.#reading(whole);
  }

  async #kernel(own: () => Promise<ReadonlySet<number>>): Promise<UseReading> {
    const [before, now] = [this.#before, await this.#drm.look(own)];
    this.#before = now;
    const load = await this.#amdLoad();
    if (now !== null && before !== null && now.others.length > 0) {
      const part = engineUse({ ms: before.ms, clients: before.others }, { ms: now.ms, clients: now.others });
      if (part >= this.#options.bound || load === null) return this.#reading(part);
    }
    if (load !== null) {
      if (load < this.#options.bound) return { kind: "calm" };
      const known = now !== null && before !== null && now.own.length > 0;
      const mine = known ? engineUse({ ms: before.ms, clients: before.own }, { ms: now.ms, clients: now.own }) : 0;
      if (!known && this.#options.own.working()) {
        return cannotTell("the system tells the load of the whole GPU alone, and a model of this node works on it");
      }
      return this.#reading(Math.max(0, load - mine));
    }
    return cannotTell("there is no GPU here whose use by other programs this node can see");
  }

  /** The load of the busiest AMD GPU, 0 to 1, or null where there is none. */
  async #amdLoad(): Promise<number | null> {
    const folder = `${this.#options.root}/sys/class/drm`;
    const cards = (await readdir(folder).catch(() => [] as string[])).filter((name) => /^card\d+$/.test(name));
    let most: number | null = null;
    for (const card of cards.slice(0, MOST_CARDS)) {
      const [percent] = /^\d{1,3}$/.exec(beginningOf(`${folder}/${card}/device/gpu_busy_percent`).trim()) ?? [];
      if (percent !== undefined && Number(percent) <= 100) most = Math.max(most ?? 0, Number(percent) / 100);
    }
    return most;
  }

  #reading(part: number): UseReading {
    if (part < this.#options.bound) return { kind: "calm" };
    return { kind: "used", sentence: `Other programs use ${Math.round(part * 100)} % of the GPU` };
  }
}
