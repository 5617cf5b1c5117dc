/** What the machine did beside a measurement, where the system tells: on Linux. */

/** Processor time so far, in ticks of the clock. */
interface Ticks {
  all: number;
  stolen: number;
}

/** Steal above which a round says nothing, as a share of all processor time. */
const MOST_STEAL = 0.015;

/** Watches over one round. */
export class Round {
  readonly #before = ticks();

  /** Whether a hypervisor took so much time away from this machine since it began that the round says nothing. */
  get spoilt(): boolean {
    const [before, now] = [this.#before, ticks()];
    return now.all > before.all && (now.stolen - before.stolen) / (now.all - before.all) > MOST_STEAL;
  }
}

/** Processor time that a process has used so far, all of its threads together, in milliseconds; NaN where nobody says. */
export function processorMs(pid: number): number {
  try {
    const text = Deno.readTextFileSync(`/proc/${pid}/stat`);
    const fields = text.slice(text.lastIndexOf(")") + 2).split(" ");
    const [user, system] = [11, 12].map((at) => Number(fields[at]) * MS_PER_TICK);
    return (user ?? NaN) + (system ?? NaN);
  } catch {
    return NaN;
  }
}

const MS_PER_TICK = 10;

function ticks(): Ticks {
  try {
    const [line = ""] = Deno.readTextFileSync("/proc/stat").split("\n");
    const numbers = line.split(/\s+/).slice(1, 9).map(Number);
    return { all: numbers.reduce((sum, each) => sum + each, 0), stolen: numbers[7] ?? 0 };
  } catch {
    return { all: 0, stolen: 0 };
  }
}
