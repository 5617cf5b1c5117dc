import type { Finding } from "@ark/node/http";
import type { RunningFacts, StillFacts } from "./facts.ts";
import { size, span } from "./size.ts";

const LITTLE_BYTES = 1 << 30;
const TOO_LITTLE_BYTES = 64 << 20;
/** What a signature's time may differ; beyond it each first request of a connection costs a round trip more. */
const CLOCK_MS = 60_000;

/** What is known of the clock. */
export interface ClockFacts extends Pick<RunningFacts, "clocks"> {
  /** When the newest entry of the audit log says that it was written, in milliseconds since 1970; null where there is none. */
  recordedMs?: number | null;
  /** What this machine's clock says, in milliseconds since 1970. */
  nowMs?: number;
}

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

/** The clock, as far as peers told that it differs, and as the audit log shows. Pure. */
export function clock({ clocks, recordedMs = null, nowMs = Date.now() }: ClockFacts): Finding[] {
  const check = "clock";
  const set = "Set the clock: sudo timedatectl set-ntp true (Linux), or 'Set time automatically' in the settings";
  if (recordedMs !== null && recordedMs - nowMs > CLOCK_MS) {
    const behind = span(recordedMs - nowMs);
    return [{
      check,
      level: "warning",
      sentence: `The clock of this machine is behind: the audit log has an entry that is ${behind} later than now`,
      why: "Approvals, keys and entries have times that are wrong",
      fix: set,
    }];
  }
  const off = clocks.filter(({ offsetMs }) => Math.abs(offsetMs) > CLOCK_MS);
  if (off.length === 0) {
    return [{ check, level: "ok", sentence: "No peer says that the clock of this machine is wrong" }];
  }
  const how = ({ offsetMs }: { offsetMs: number }) =>
    `${span(Math.abs(offsetMs))} ${offsetMs > 0 ? "behind" : "ahead of"}`;
  const [first] = off;
  // Where several agree, it is this one that is wrong.
  if (first !== undefined && off.length > 1 && off.every(({ offsetMs }) => offsetMs > 0 === first.offsetMs > 0)) {
    const sentence = `The clock of this machine is ${how(first)} those of ${off.length} peers`;
    return [{ check, level: "warning", sentence, why: off.map(({ name }) => name).join(", ").slice(0, 200), fix: set }];
  }
  return off.map((one) => ({
    check,
    level: "warning",
    sentence: `The clock of ${one.name} is ${span(Math.abs(one.offsetMs))} ${
      one.offsetMs > 0 ? "ahead of" : "behind"
    } this machine's`,
    why: "Until it is mended, each new connection takes a little longer, and the times in the audit logs differ",
    fix: `See which of both is wrong (date), and there: ${set}`,
  }));
}
