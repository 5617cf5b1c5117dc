/** What `nvidia-smi pmon` says of one process. */
export interface NvidiaProcess {
  /** Number of the GPU. */
  readonly gpu: number;
  /** Process id, or null where nobody uses that GPU. */
  readonly pid: number | null;
  /** Part of the time in which it used the GPU, 0 to 1; null where the driver does not say. */
  readonly part: number | null;
}

/** Processes of one machine that are looked at. */
const MOST = 1_024;

/**
 * Reads what `nvidia-smi pmon -c 1 -s u` prints: two lines that begin with `#` and name the columns, then one line for each
 * process. Total: null where the columns are not there; lines of another form are left out.
 */
export function parsePmon(text: string): NvidiaProcess[] | null {
  const lines = text.split("\n").map((line) => line.trim()).filter(Boolean);
  const names = lines.find((line) => /^#\s*gpu\b/i.test(line))?.replace(/^#/, "").trim().toLowerCase().split(/\s+/);
  if (names === undefined) return null;
  const [gpuAt, pidAt, partAt] = [names.indexOf("gpu"), names.indexOf("pid"), names.indexOf("sm")];
  if (gpuAt < 0 || pidAt < 0 || partAt < 0) return null;
  return lines.filter((line) => !line.startsWith("#")).slice(0, MOST).flatMap((line) => {
    const fields = line.split(/\s+/);
    const gpu = numberIn(fields[gpuAt], 4_096);
    if (gpu === null) return [];
    const percent = numberIn(fields[partAt], 100);
    return { gpu, pid: numberIn(fields[pidAt], 2 ** 31), part: percent === null ? null : percent / 100 };
  });
}

/**
 * Reads what `nvidia-smi --query-gpu=utilization.gpu --format=csv,noheader,nounits` prints: the part of the time in which
 * the busiest GPU worked, 0 to 1. Total: null where it says nothing.
 */
export function parseUtilization(text: string): number | null {
  const parts = text.split("\n").map((line) => numberIn(line.trim(), 100)).filter((part) => part !== null);
  return parts.length === 0 ? null : Math.max(...parts.slice(0, MOST)) / 100;
}

/** How much others use the GPU that they use most, 0 to 1; null where the driver does not say of any of them. Pure. */
export function othersPart(processes: readonly NvidiaProcess[], own: ReadonlySet<number>): number | null {
  const others = processes.filter(({ pid }) => pid !== null && !own.has(pid));
  if (others.length > 0 && others.every(({ part }) => part === null)) return null;
  const byGpu = new Map<number, number>();
  for (const { gpu, part } of others) byGpu.set(gpu, (byGpu.get(gpu) ?? 0) + (part ?? 0));
  return Math.min(1, Math.max(0, ...byGpu.values()));
}

function numberIn(text: string | undefined, most: number): number | null {
  if (text === undefined || !/^\d{1,10}$/.test(text)) return null;
  const value = Number(text);
  return value <= most ? value : null;
}
