import { escaped } from "@ark/node/telemetry";
import { cutToWidth, displayWidth, padToWidth } from "./display_width.ts";
import { type Look, painted } from "./paint.ts";
import { fittingWidths, missingColumns, naturalWidths } from "./table_layout.ts";

/** Where an {@linkcode Output} writes to. */
export interface OutputStreams {
  /** Takes results. */
  stdout: { writeSync(bytes: Uint8Array): number; isTerminal(): boolean };
  /** Takes messages. */
  stderr: { writeSync(bytes: Uint8Array): number };
  /** Width of the terminal in characters. */
  columns?(): number;
  /** Height of the terminal in lines. */
  rows?(): number;
}

/** What a terminal can show. */
export interface OutputOptions {
  /** Whether colours are wanted where a person reads along. @default {true} */
  colours?: boolean;
  /** Whether the terminal can move its cursor. @default {true} */
  cursor?: boolean;
}

/** How a table is laid out. */
export interface TableOptions {
  /**
   * What happens where a person's terminal is too narrow: `cut` shortens cells, the longest first; `stack` writes each row
   * as lines with the names of its columns, so that nothing is lost.
   *
   * @default {"cut"}
   */
  fit?: "cut" | "stack";
  /** Numbers of the columns that are shortened last, such as names that are to be typed. @default {[0]} */
  keep?: readonly number[];
  /** How a cell looks. */
  look?(cell: string, column: number): Look;
}

const PROCESS: OutputStreams = {
  stdout: Deno.stdout,
  stderr: Deno.stderr,
  columns: () => Deno.consoleSize().columns,
  rows: () => Deno.consoleSize().rows,
};

const USUAL_COLUMNS = 80;
const USUAL_ROWS = 24;

/** Results and messages of a command. A reader that is gone ends the writing in silence, as `| head` wants. */
export class Output {
  readonly #encoder = new TextEncoder();
  readonly #streams: OutputStreams;
  readonly #options: OutputOptions;
  #shown = false;
  #readerGone = false;

  /** Writes to the process's own streams, or to others. */
  constructor(streams: OutputStreams = PROCESS, options: OutputOptions = {}) {
    this.#streams = streams;
    this.#options = options;
  }

  /** Whether a person reads along. */
  get terminal(): boolean {
    return this.#streams.stdout.isTerminal();
  }

  /** Whether colours are shown. */
  get colours(): boolean {
    return this.terminal && this.#options.colours !== false;
  }

  /** Whether a person's terminal can move its cursor. */
  get cursor(): boolean {
    return this.terminal && this.#options.cursor !== false;
  }

  /** Size of the terminal; where nobody can say it, the usual one. */
  get size(): { columns: number; rows: number } {
    return {
      columns: measured(this.#streams.columns) ?? USUAL_COLUMNS,
      rows: measured(this.#streams.rows) ?? USUAL_ROWS,
    };
  }

  /** Whether the reader of the results is gone: what is still written goes nowhere. */
  get readerGone(): boolean {
    return this.#readerGone;
  }

  /** Writes text that steers the terminal, as it is. Nothing that came from elsewhere may be in it. */
  control(text: string): void {
    this.#write(text);
  }

  /** Writes lines of the result; what could steer a terminal is spelled out. */
  line(text = ""): void {
    this.#write(spelled(text) + "\n");
  }

  /** Writes lines of the result that matter most: bold where a person reads along. */
  strong(text: string): void {
    this.#write(painted(spelled(text), "strong", this) + "\n");
  }

  /** Writes a part of the result: to a terminal as {@linkcode line} does, to a file or another program as it is. */
  text(text: string): void {
    this.#write(this.terminal ? spelled(text) : text);
  }

  /** Shows text in place of what this showed before, where a person reads along; else nothing. */
  status(text: string): void {
    if (!this.cursor) return;
    this.#shown = true;
    const shown = cutToWidth(spelled(text), this.size.columns - 1);
    this.#write(`\r\u001b[K${shown}`);
  }

  /** Lets what {@linkcode status} shows stand. */
  endStatus(): void {
    if (this.#shown) this.#write("\n");
    this.#shown = false;
  }

  /** Writes the result as JSON. */
  json(value: unknown): void {
    this.line(JSON.stringify(value, null, 2));
  }

  /** Writes a message that is not part of the result; what could steer a terminal is spelled out. */
  note(text: string): void {
    write(this.#streams.stderr, this.#encoder.encode(spelled(text) + "\n"));
  }

  /** Writes rows as columns under their names; cells are made safe for a terminal. Nothing but the names where no row is. */
  table(names: readonly string[], rows: readonly (readonly string[])[], options: TableOptions = {}): void {
    const { fit = "cut", keep = [0], look = () => "plain" as const } = options;
    const cells = rows.map((row) => row.map((cell) => escaped(cell, 200)));
    const natural = naturalWidths(names, cells);
    const { columns } = this.size;
    const narrow = this.terminal && missingColumns(natural, columns) > 0;
    if (narrow && fit === "stack") return this.#stack(names, cells);
    const widths = narrow ? fittingWidths(natural, { columns, keep }) : natural;
    this.#row(names, widths, () => "strong");
    for (const row of cells) this.#row(row, widths, look);
  }

  #write(text: string): void {
    if (!write(this.#streams.stdout, this.#encoder.encode(text))) this.#readerGone = true;
  }

  #row(cells: readonly string[], widths: readonly number[], look: (cell: string, column: number) => Look): void {
    const last = cells.length - 1;
    const shown = cells.map((cell, column) => {
      const cut = cutToWidth(cell, widths[column] ?? 0);
      const padding = column === last ? "" : padToWidth("", (widths[column] ?? 0) - displayWidth(cut));
      return painted(cut, look(cell, column), this) + padding;
    });
    this.#write(shown.join("  ").trimEnd() + "\n");
  }

  #stack(names: readonly string[], rows: readonly (readonly string[])[]): void {
    const width = Math.max(...names.map(displayWidth));
    rows.forEach((row, index) => {
      if (index > 0) this.line();
      row.forEach((cell, column) => this.line(`${padToWidth(names[column] ?? "", width)}  ${cell}`));
    });
  }
}

/**
 * Characters that steer a terminal or turn the direction of what is read, but for line feeds and tabs. Joiners stay: words
 * of some languages need them.
 */
const STEERING = /(?![\n\t\u200c\u200d])[\p{Cc}\p{Cf}\p{Cs}\p{Zl}\p{Zp}]/gu;

/** Text with those characters as `\uXXXX`, which means the same where it stands in JSON. */
function spelled(text: string): string {
  return text.replaceAll(STEERING, (found) => {
    const units = Array.from({ length: found.length }, (_, at) => found.charCodeAt(at));
    return units.map((unit) => `\\u${unit.toString(16).padStart(4, "0")}`).join("");
  });
}

function measured(ask: (() => number) | undefined): number | null {
  try {
    return ask?.() || null;
  } catch {
    return null;
  }
}

/** Writes bytes, and returns whether somebody reads them. */
function write(stream: { writeSync(bytes: Uint8Array): number }, bytes: Uint8Array): boolean {
  try {
    for (let done = 0; done < bytes.length;) done += stream.writeSync(bytes.subarray(done));
    return true;
  } catch (error) {
    if (!(error instanceof Deno.errors.BrokenPipe)) throw error;
    return false;
  }
}
