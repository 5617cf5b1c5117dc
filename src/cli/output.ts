import { styleText } from "node:util";
import { escaped } from "@ark/node/telemetry";

/** Where an {@linkcode Output} writes to. */
export interface OutputStreams {
  /** Takes results. */
  stdout: { writeSync(bytes: Uint8Array): number; isTerminal(): boolean };
  /** Takes messages. */
  stderr: { writeSync(bytes: Uint8Array): number };
  /** Width of the terminal in characters. */
  columns?(): number;
}

const PROCESS: OutputStreams = {
  stdout: Deno.stdout,
  stderr: Deno.stderr,
  columns: () => Deno.consoleSize().columns,
};

/** Results and messages of a command. A reader that is gone ends the writing in silence, as `| head` wants. */
export class Output {
  readonly #encoder = new TextEncoder();
  readonly #streams: OutputStreams;
  #shown = false;

  /** Writes to the process's own streams, or to others. */
  constructor(streams: OutputStreams = PROCESS) {
    this.#streams = streams;
  }

  /** Whether a person reads along. */
  get terminal(): boolean {
    return this.#streams.stdout.isTerminal();
  }

  /** Writes lines of the result; what could steer a terminal is spelled out. */
  line(text = ""): void {
    write(this.#streams.stdout, this.#encoder.encode(spelled(text) + "\n"));
  }

  /** Writes lines of the result that matter most: bold where a person reads along. */
  strong(text: string): void {
    const shown = spelled(text);
    const styled = this.terminal ? styleText("bold", shown, { validateStream: false }) : shown;
    write(this.#streams.stdout, this.#encoder.encode(styled + "\n"));
  }

  /** Writes a part of the result: to a terminal as {@linkcode line} does, to a file or another program as it is. */
  text(text: string): void {
    write(this.#streams.stdout, this.#encoder.encode(this.terminal ? spelled(text) : text));
  }

  /** Shows text in place of what this showed before, where a person reads along; else nothing. */
  status(text: string): void {
    if (!this.terminal) return;
    const columns = this.#streams.columns?.() ?? 80;
    this.#shown = true;
    const shown = [...spelled(text)].slice(0, columns - 1).join("");
    write(this.#streams.stdout, this.#encoder.encode(`\r\u001b[K${shown}`));
  }

  /** Lets what {@linkcode status} shows stand. */
  endStatus(): void {
    if (this.#shown) write(this.#streams.stdout, this.#encoder.encode("\n"));
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

  /**
   * Writes rows as columns under their names; cells are made safe for a terminal. Nothing but the names where no row is.
   * Where `fit` is `cut`, cells are shortened where a person's terminal is too narrow for all of them, the longest first.
   */
  table(
    names: readonly string[],
    rows: readonly (readonly string[])[],
    { fit = "wrap" }: { fit?: "cut" | "wrap" } = {},
  ): void {
    const cells = [names, ...rows.map((row) => row.map((cell) => escaped(cell, 200)))];
    const widths = names.map((_, column) => Math.max(...cells.map((row) => width(row[column] ?? ""))));
    if (fit === "cut" && this.terminal) narrow(widths, this.#streams.columns?.() ?? 80);
    for (const row of cells) {
      const shown = row.map((cell, column) => cut(cell, widths[column] ?? 0));
      this.line(
        shown.map((cell, column) => cell + " ".repeat((widths[column] ?? 0) - width(cell))).join("  ").trimEnd(),
      );
    }
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

/** Below this no column is cut: what is left would say nothing. */
const LEAST_WIDTH = 6;

/** Takes from the widest columns until all of them fit. */
function narrow(widths: number[], columns: number): void {
  let over = widths.reduce((sum, each) => sum + each, 0) + 2 * (widths.length - 1) - columns;
  for (; over > 0; over--) {
    const widest = Math.max(...widths);
    if (widest <= LEAST_WIDTH) return;
    widths[widths.lastIndexOf(widest)] = widest - 1;
  }
}

function cut(text: string, most: number): string {
  return width(text) <= most ? text : [...text].slice(0, most - 1).join("") + "…";
}

function width(text: string): number {
  return [...text].length;
}

function write(stream: { writeSync(bytes: Uint8Array): number }, bytes: Uint8Array): void {
  try {
    for (let done = 0; done < bytes.length;) done += stream.writeSync(bytes.subarray(done));
  } catch (error) {
    if (!(error instanceof Deno.errors.BrokenPipe)) throw error;
  }
}
