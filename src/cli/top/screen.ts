import type { Output } from "../output.ts";
import { type Line, lineControl } from "./frame.ts";

/** Another page, no cursor, and lines that are cut at the edge. */
const ENTER = "\u001b[?1049h\u001b[?25l\u001b[?7l\u001b[2J";
const LEAVE = "\u001b[0m\u001b[?7h\u001b[?25h\u001b[?1049l";

/** The whole terminal for a while. What stood there comes back. */
export class Screen implements Disposable {
  readonly #out: Output;
  #shown: string[] = [];
  #size = "";
  #entered = false;

  /** Takes the terminal of an output. */
  constructor(out: Output) {
    this.#out = out;
  }

  /** Begins. */
  enter(): void {
    this.#entered = true;
    this.#out.control(ENTER);
  }

  /** Shows lines; only those that have changed are written. */
  draw(lines: readonly Line[]): void {
    if (!this.#entered) return;
    const { columns, rows } = this.#out.size;
    const size = `${columns}x${rows}`;
    let text = "";
    if (size !== this.#size) {
      this.#size = size;
      this.#shown = [];
      text += "\u001b[2J";
    }
    const next = lines.slice(0, rows).map((line) => lineControl(line, { columns, colours: this.#out.colours }));
    for (let row = 0; row < Math.max(next.length, this.#shown.length); row++) {
      const line = next[row] ?? "";
      if (line !== (this.#shown[row] ?? "")) text += `\u001b[${row + 1};1H\u001b[K${line}`;
    }
    this.#shown = next;
    if (text !== "") this.#out.control(text);
  }

  /** Gives the terminal back, once. */
  [Symbol.dispose](): void {
    if (!this.#entered) return;
    this.#entered = false;
    this.#out.control(LEAVE);
  }
}
