/** Writes one line to standard error, where the node reads it; never throws. */
export function logLine(text: string): void {
  const bytes = new TextEncoder().encode(text.trimEnd() + "\n");
  try {
    for (let written = 0; written < bytes.length;) written += Deno.stderr.writeSync(bytes.subarray(written));
  } catch {
    // The node is gone; the end of the input will end this process, too.
  }
}

/** Writes what was thrown, with the place where it was. */
export function logError(error: unknown): void {
  logLine(error instanceof Error ? error.stack ?? error.message : String(error));
}

/** Standard output carries frames and nothing else, whatever a library prints. */
export function consoleToStandardError(): void {
  const output = globalThis.console;
  output.log =
    output.info =
    output.debug =
    output.dir =
    output.table =
      output.error;
}
