/** A terminal's screen in memory: what a person would see. It knows what the program may write, and notes everything else. */
import { displayWidth } from "../../src/cli/display_width.ts";

const CLUSTERS = new Intl.Segmenter("en", { granularity: "grapheme" });
// deno-lint-ignore no-control-regex -- that is what terminals are sent
const SEQUENCE = /^\u001b\[([?]?)([0-9;]*)([A-Za-z])/;

/** What a terminal shows. */
export class VirtualScreen {
  /** Whether the cursor is seen. */
  cursor = true;
  /** Whether the program has a page of its own. */
  alternate = false;
  /** Whether what is too long goes on in the next line. */
  wraps = true;
  /** Whether any letter had a colour or another look. */
  coloured = false;
  /** Control characters and sequences that no program of ours writes. */
  readonly strange: string[] = [];
  /** How often something was written beyond the right edge. */
  beyond = 0;
  #columns: number;
  #rows: number;
  #page: string[][];
  #main: string[][] = [];
  #kept: [row: number, column: number] = [0, 0];
  #row = 0;
  #column = 0;
  #rest = "";

  /** An empty screen. */
  constructor({ columns, rows }: { columns: number; rows: number }) {
    [this.#columns, this.#rows] = [columns, rows];
    this.#page = this.#empty();
  }

  /** The lines, without spaces at their ends. */
  get lines(): string[] {
    return this.#page.map((row) => row.join("").trimEnd());
  }

  /** All of it. */
  get text(): string {
    return this.lines.join("\n");
  }

  /** Another size; as real ones do, what stood there may be anywhere until it is drawn anew. */
  resize({ columns, rows }: { columns: number; rows: number }): void {
    [this.#columns, this.#rows] = [columns, rows];
    this.#page = this.#empty();
    // The page behind keeps what it can.
    this.#main = this.#main.slice(0, rows).map((row) => row.slice(0, columns));
    while (this.#main.length < rows) this.#main.push(Array.from({ length: columns }, () => " "));
    [this.#row, this.#column] = [0, 0];
  }

  /** Takes what a program writes. */
  feed(written: string): void {
    let text = this.#rest + written;
    this.#rest = "";
    while (text !== "") {
      if (text.startsWith("\u001b")) {
        const [sequence, how = "", numbers = "", end = ""] = text.match(SEQUENCE) ?? [];
        if (sequence === undefined) {
          if (text.length < 20) {
            this.#rest = text;
            return;
          }
          this.strange.push(JSON.stringify(text.slice(0, 12)));
          text = text.slice(1);
          continue;
        }
        this.#control(how + end, numbers.split(";").map(Number), sequence);
        text = text.slice(sequence.length);
        continue;
      }
      const end = text.indexOf("\u001b");
      this.#print(end < 0 ? text : text.slice(0, end));
      text = end < 0 ? "" : text.slice(end);
    }
  }

  #print(text: string): void {
    for (const { segment } of CLUSTERS.segment(text)) {
      if (segment === "\r\n" || segment === "\n") {
        this.#row = Math.min(this.#rows - 1, this.#row + 1);
        this.#column = 0;
      } else if (segment === "\r") this.#column = 0;
      else if (/\p{C}/u.test(segment)) this.strange.push(JSON.stringify(segment));
      else this.#put(segment);
    }
  }

  #put(cluster: string): void {
    const width = displayWidth(cluster);
    if (this.#column + width > this.#columns) {
      if (!this.wraps) {
        this.beyond++;
        return;
      }
      [this.#row, this.#column] = [Math.min(this.#rows - 1, this.#row + 1), 0];
    }
    const row = this.#page[this.#row] ?? [];
    row[this.#column] = cluster;
    for (let more = 1; more < width; more++) row[this.#column + more] = "";
    this.#column += width;
  }

  #control(kind: string, [first = 0, second = 0]: number[], sequence: string): void {
    switch (kind) {
      case "H":
        [this.#row, this.#column] = [Math.max(1, first) - 1, Math.max(1, second) - 1];
        return;
      case "G":
        this.#column = Math.max(1, first) - 1;
        return;
      case "K":
        this.#page[this.#row]?.fill(" ", first === 2 ? 0 : this.#column);
        return;
      case "J":
        // Deno clears what is below its own progress; top clears everything.
        if (first === 2) this.#page = this.#empty();
        else this.#page.forEach((row, at) => at < this.#row || row.fill(" ", at === this.#row ? this.#column : 0));
        return;
      case "m":
        this.coloured ||= first !== 0;
        return;
      case "?h":
      case "?l":
        return this.#mode(first, { on: kind === "?h", sequence });
      default:
        this.strange.push(JSON.stringify(sequence));
    }
  }

  #mode(mode: number, { on, sequence }: { on: boolean; sequence: string }): void {
    if (mode === 25) this.cursor = on;
    else if (mode === 7) this.wraps = on;
    else if (mode === 1049) {
      if (on) {
        this.#kept = [this.#row, this.#column];
        [this.#main, this.#page] = [this.#page, this.#empty()];
      } else {
        this.#page = this.#main;
        [this.#row, this.#column] = this.#kept;
      }
      this.alternate = on;
    } else this.strange.push(JSON.stringify(sequence));
  }

  #empty(): string[][] {
    return Array.from({ length: this.#rows }, () => Array.from({ length: this.#columns }, () => " "));
  }
}
