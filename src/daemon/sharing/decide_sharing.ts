import { isShareTime, nextShareTime, type ShareHours, type YieldUse } from "@ark/node/config";
import type { SharingState, SharingView } from "@ark/node/http";

/** Everything that decides about sharing. */
export interface SharingFacts {
  /** The machine's own clock. */
  now: Date;
  /** The owner's pause and when it ends, or null. */
  pause: { readonly until: Date | null } | null;
  /** Hours of sharing, or null for always. */
  hours: readonly ShareHours[] | null;
  /** Uses of the machine that have lasted, each with a sentence. */
  uses: readonly { readonly what: YieldUse; readonly sentence: string }[];
  /** Why there is too little memory, as a sentence, or null. */
  thrashing: string | null;
}

/** Says whether the node shares: the owner's own word comes first, then his hours, then what he does. Pure. */
export function decideSharing({ now, pause, hours, uses, thrashing }: SharingFacts): SharingView {
  if (pause !== null && (pause.until === null || pause.until > now)) {
    const end = pause.until === null ? "until you resume it" : `until ${moment(pause.until, now)}`;
    return held("paused", `Sharing is paused ${end}`, pause.until);
  }
  if (hours !== null && !isShareTime(hours, now)) {
    const next = nextShareTime(hours, now);
    const again = next === null ? "" : `: it goes on ${moment(next, now)}`;
    return held("outside_hours", `This is not one of the hours in which you share${again}`, next);
  }
  const [use] = uses;
  if (use !== undefined) return held(use.what, `${use.sentence}: neighbours must wait until that is over`, null);
  if (thrashing !== null) return held("thrashing", thrashing, null);
  return {
    state: "sharing",
    shares: true,
    sentence: "Neighbours may use this node, as you approved them",
    until: null,
  };
}

function held(state: SharingState, sentence: string, until: Date | null): SharingView {
  return { state, shares: false, sentence, until: until?.toISOString() ?? null };
}

const NAMES = ["Sunday", "Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday"];
const DAY_MS = 86_400_000;

/** A moment as it is said on this machine: `18:00`, `Friday at 18:00`, or with its date. */
function moment(at: Date, now: Date): string {
  const clock = `${two(at.getHours())}:${two(at.getMinutes())}`;
  if (at.toDateString() === now.toDateString()) return clock;
  if (at.getTime() - now.getTime() < 6 * DAY_MS) return `${NAMES[at.getDay()]} at ${clock}`;
  return `${at.getFullYear()}-${two(at.getMonth() + 1)}-${two(at.getDate())} ${clock}`;
}

function two(value: number): string {
  return String(value).padStart(2, "0");
}
