import type { PullProgress } from "@ark/node/models";
import { byteCount } from "./byte_count.ts";
import type { Output } from "./output.ts";

const BAR_CELLS = 24;
/** Time over which a speed is told, in milliseconds. */
const WINDOW_MS = 5_000;

/** Shows how far a pull is: a bar that moves where a person reads along, else a line for each step. */
export class PullDisplay {
  readonly #out: Output;
  readonly #now: () => number;
  #status = "";
  #samples: { at: number; completed: number }[] = [];

  /** Shows it on an output. */
  constructor(out: Output, now: () => number = () => performance.now()) {
    this.#out = out;
    this.#now = now;
  }

  /** Takes what happens now. */
  show(progress: PullProgress): void {
    const { status, total, completed, free, needed } = progress;
    if (free !== undefined && needed !== undefined) {
      this.#out.endStatus();
      this.#out.line(`${byteCount(needed)} are to come, ${byteCount(free)} are free`);
      return;
    }
    if (status !== this.#status) {
      this.#out.endStatus();
      this.#samples = [];
      if (!this.#out.terminal || total === undefined) {
        this.#out.line(total === undefined ? status : `${status} (${byteCount(total)})`);
      }
    }
    this.#status = status;
    if (total !== undefined && completed !== undefined) {
      this.#out.status(this.#bar({ status, total, completed }) + sharesOf(progress.sources ?? []));
    }
  }

  /** Ends the line with the bar. */
  end(): void {
    this.#out.endStatus();
  }

  #bar({ status, total, completed }: { status: string; total: number; completed: number }): string {
    const at = this.#now();
    this.#samples = [...this.#samples.filter((sample) => at - sample.at <= WINDOW_MS).slice(-100), { at, completed }];
    const share = total === 0 ? 1 : Math.min(1, completed / total);
    const full = Math.floor(share * BAR_CELLS);
    const bar = "#".repeat(full) + "-".repeat(BAR_CELLS - full);
    const percent = String(Math.floor(share * 100)).padStart(3);
    return `${status} [${bar}] ${percent} %  ${byteCount(completed)} of ${byteCount(total)}${
      this.#pace(total - completed)
    }`;
  }

  #pace(left: number): string {
    const [first] = this.#samples;
    const last = this.#samples.at(-1);
    if (first === undefined || last === undefined || last.at - first.at < 500) return "";
    const perSecond = (last.completed - first.completed) / (last.at - first.at) * 1_000;
    if (perSecond <= 0 || left <= 0) return "";
    const seconds = Math.ceil(left / perSecond);
    const time = seconds < 100
      ? `${seconds} s`
      : seconds < 6_000
      ? `${Math.ceil(seconds / 60)} min`
      : `${Math.ceil(seconds / 3_600)} h`;
    return `  ${byteCount(perSecond)}/s, ${time} left`;
  }
}

/** Who gives how much of it, where several do or one is a peer. */
function sharesOf(sources: NonNullable<PullProgress["sources"]>): string {
  if (sources.length === 0) return "";
  const shown = sources.slice(0, MOST_SHOWN).map(({ name, share }) => `${name} ${Math.round(share * 100)} %`);
  const more = sources.length > MOST_SHOWN ? [`${sources.length - MOST_SHOWN} more`] : [];
  return `  (${[...shown, ...more].join(", ")})`;
}

/** Sources that are named. */
const MOST_SHOWN = 4;
