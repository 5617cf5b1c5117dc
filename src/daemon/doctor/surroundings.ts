import type { Finding } from "@ark/node/http";
import type { RunningFacts, StillFacts } from "./facts.ts";

const LITTLE_BYTES = 1 << 30;
const TOO_LITTLE_BYTES = 64 << 20;
/** What a signature's time may differ; beyond it each first request of a connection costs a round trip more. */
const CLOCK_MS = 60_000;

/** The environment and the disk. Pure. */
export function surroundings({ environment, disk }: StillFacts): Finding[] {
  const found: Finding[] = [
    environment === null
      ? { check: "environment", level: "ok", sentence: "No variable of the environment weakens the connections" }
      : {
        check: "environment",
        level: "danger",
        sentence: environment.replace(/: unset it.*$/, ""),
        fix: "Unset it, and start the node again",
      },
  ];
  if (disk === null) return found;
  const level = disk.freeBytes < TOO_LITTLE_BYTES ? "danger" : disk.freeBytes < LITTLE_BYTES ? "warning" : "ok";
  const sentence = `The disk where the data lie has ${size(disk.freeBytes)} free (${disk.path})`;
  const fix = "Make room: on a full disk nothing can be recorded, and peers get no answer";
  found.push({ check: "disk", level, sentence, ...(level === "ok" ? {} : { fix }) });
  return found;
}

/** The clock, as far as peers told that it differs. Pure. */
export function clock({ clocks }: Pick<RunningFacts, "clocks">): Finding[] {
  const off = clocks.filter(({ offsetMs }) => Math.abs(offsetMs) > CLOCK_MS);
  if (off.length === 0) {
    return [{ check: "clock", level: "ok", sentence: "No peer says that the clock of this machine is wrong" }];
  }
  return off.map(({ name, offsetMs }) => ({
    check: "clock",
    level: "warning",
    sentence: `The clock of ${name} is ${span(Math.abs(offsetMs))} ${
      offsetMs > 0 ? "ahead of" : "behind"
    } this machine's`,
    fix: "Set the clock of the machine that is wrong; until then each new connection takes a little longer",
  }));
}

function size(bytes: number): string {
  return bytes >= 1 << 30 ? `${(bytes / (1 << 30)).toFixed(1)} GiB` : `${Math.floor(bytes / (1 << 20))} MiB`;
}

function span(ms: number): string {
  const minutes = Math.round(ms / 60_000);
  return minutes < 120
    ? `${minutes} min`
    : minutes < 2_880
    ? `${Math.round(minutes / 60)} h`
    : `${Math.round(minutes / 1_440)} days`;
}
