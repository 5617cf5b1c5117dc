/** Block coverage of the code under test, from V8. */
import { type Profiler, Session } from "node:inspector";

/** Counts blocks of code that ran for the first time. */
export class Coverage implements AsyncDisposable {
  readonly #session = new Session();
  readonly #covers: readonly string[];
  readonly #seen = new Set<string>();

  private constructor(covers: readonly string[]) {
    this.#covers = covers;
  }

  /** Begins to watch the scripts whose URL has one of these parts. */
  static async watch(covers: readonly string[]): Promise<Coverage> {
    const coverage = new Coverage(covers);
    coverage.#session.connect();
    await coverage.#post("Profiler.enable");
    await coverage.#post("Profiler.startPreciseCoverage", { callCount: true, detailed: true });
    return coverage;
  }

  /** Blocks that ran since the last call and never before. */
  async fresh(): Promise<number> {
    const { result } = await this.#post("Profiler.takePreciseCoverage") as Profiler.TakePreciseCoverageReturnType;
    const before = this.#seen.size;
    for (const { url, functions } of result) {
      if (!this.#covers.some((part) => url.includes(part))) continue;
      for (const { functionName, ranges } of functions) {
        for (const { startOffset, endOffset, count } of ranges) {
          // A block that ran often is news, too: loops are where lengths go wrong.
          if (count > 0) {
            this.#seen.add(`${url} ${functionName} ${startOffset} ${endOffset} ${count > 64 ? "often" : ""}`);
          }
        }
      }
    }
    return this.#seen.size - before;
  }

  /** Stops watching. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.#post("Profiler.stopPreciseCoverage");
    this.#session.disconnect();
  }

  #post(method: string, parameters: object = {}): Promise<unknown> {
    return new Promise((resolve, reject) => {
      this.#session.post(method, parameters, (error, result) => error === null ? resolve(result) : reject(error));
    });
  }
}
