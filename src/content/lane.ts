import { ArkError } from "@ark/node/protocol";

/** Requests to one peer at once, and those that wait. */
const [AT_ONCE, WAITING] = [4, 64];

/** Requests to one peer: some at once, the others in line. */
export class Lane {
  #running = 0;
  readonly #line: (() => void)[] = [];

  /**
   * Waits for a place, which comes back when it is disposed.
   *
   * @throws {ArkError} `busy` where too many wait.
   */
  async enter(): Promise<Disposable> {
    if (this.#running >= AT_ONCE) {
      if (this.#line.length >= WAITING) throw new ArkError("busy", "Too many pages of that peer are asked for at once");
      await new Promise<void>((resolve) => this.#line.push(resolve));
    } else this.#running++;
    return {
      [Symbol.dispose]: () => {
        const next = this.#line.shift();
        if (next === undefined) this.#running--;
        else next();
      },
    };
  }
}
