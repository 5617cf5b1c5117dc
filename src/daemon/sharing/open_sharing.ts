import type { Config, YieldUse } from "@ark/node/config";
import type { SharingView } from "@ark/node/http";
import type { LocalBackend } from "@ark/node/inference";
import type { Events, Logger } from "@ark/node/telemetry";
import { CpuUse } from "./cpu_use.ts";
import { GameUse } from "./game_use.ts";
import { GpuUse } from "./gpu_use.ts";
import { InputUse } from "./input_use.ts";
import { KeptPause } from "./kept_pause.ts";
import { desktopSessions } from "./logind.ts";
import { runTool } from "./run_tool.ts";
import { Sharing, type SharingSettings } from "./sharing.ts";
import type { YieldTimes } from "./steady_use.ts";
import type { OwnWork, UseDetector } from "./use_detector.ts";

/** What {@linkcode openSharing} stands on. */
export interface SharingGround {
  /** What the owner set. */
  config: SharingSettings & Pick<Config, "paths">;
  /** This node's own models, or null. */
  engine: Pick<LocalBackend, "busy" | "loaded" | "loading" | "fault" | "makeRoom"> | null;
  /** Called when peers are to be told. `yields` says that what they run has to make way. */
  changed(how: { yields: boolean }): void;
  /** Told of changes. */
  events: Pick<Events, "emit">;
  /** The node's log. */
  logger: Logger;
  /** How long a use must last. */
  times?: Partial<YieldTimes> & { everyMs?: number };
}

/** Uses of the machine for which memory is freed, too. */
const NEEDS_MEMORY: ReadonlySet<string> = new Set<YieldUse>(["gpu", "game", "cpu"]);
/** How long it is believed whether somebody is logged in at the screen, in milliseconds. */
const DESKTOP_MS = 60_000;

/** Reads the owner's pause, and makes what decides about sharing. Never fails: what cannot be read is a pause. */
export async function openSharing(ground: SharingGround): Promise<Sharing> {
  const { config, engine, changed, events, logger, times = {} } = ground;
  const own: OwnWork = {
    pids: () => engine?.loaded().map(({ pid }) => pid) ?? [],
    working: () => engine !== null && (engine.busy > 0 || engine.loading().length > 0),
  };
  const { everyMs, ...steady } = times;
  return new Sharing({
    settings: config,
    kept: await KeptPause.open({ path: config.paths.sharing, logger }),
    detector: (what, { yieldTo }) => detectorOf(what, { own, cpuAtDesktopOnly: yieldTo.cpuAtDesktopOnly }),
    thrashing: () => engine?.fault ?? null,
    changed: ({ shares, state }: SharingView) => {
      const yields = !shares && state !== "thrashing";
      if (yields && NEEDS_MEMORY.has(state)) engine?.makeRoom();
      changed({ yields });
    },
    events,
    logger,
    times: steady,
    ...everyMs === undefined ? {} : { everyMs },
  });
}

function detectorOf(
  what: YieldUse,
  { own, cpuAtDesktopOnly }: { own: OwnWork; cpuAtDesktopOnly: boolean },
): UseDetector {
  switch (what) {
    case "gpu":
      return new GpuUse({ own });
    case "game":
      return new GameUse();
    case "input":
      return new InputUse();
    case "cpu":
      return new CpuUse({ own, ...cpuAtDesktopOnly ? { counts: atDesktop() } : {} });
  }
}

/** Whether somebody is logged in at this machine's screen, as far as the system tells. */
function atDesktop(): () => Promise<boolean> {
  let [at, last] = [-Infinity, false];
  return async () => {
    if (performance.now() - at < DESKTOP_MS) return last;
    if (Deno.build.os === "linux") {
      last = (await desktopSessions(runTool, AbortSignal.timeout(10_000)) ?? []).length > 0;
    }
    at = performance.now();
    return last;
  };
}
