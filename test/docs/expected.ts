/** Compares what a command printed with what a page shows of it. */

/**
 * Why an output is not as a page shows it, or null. `…` in a line stands for any text; a line that is `…` alone stands for
 * any number of lines. Space at the ends of lines and empty lines around the whole do not count.
 */
export function difference(expected: string, actual: string): string | null {
  const wanted = linesOf(expected);
  const printed = linesOf(actual);
  const pattern = wanted.map((line) => line.trim() === "…" ? "(?:.*\\n)*?" : `${lineRegExp(line)}\\n`).join("");
  if (new RegExp(`^${pattern}$`, "u").test(printed.map((line) => `${line}\n`).join(""))) return null;
  const missing = wanted.find((line) =>
    line.trim() !== "…" && !printed.some((one) => new RegExp(`^${lineRegExp(line)}$`, "u").test(one))
  );
  const where = missing === undefined
    ? "its lines come in another order, or there are more of them"
    : `there is no line "${missing}"`;
  return `it printed something else than the page shows: ${where}. It printed:\n${actual.trim()}`;
}

function linesOf(text: string): string[] {
  // deno-lint-ignore no-control-regex
  const plain = text.replaceAll(/\u001b\[[0-9;]*[A-Za-z]/g, "").replaceAll("\r", "");
  // Deno's own, where several start at once in one checkout.
  const own = plain.split("\n").filter((line) => !/^Blocking waiting for file lock/.test(line));
  return own.map((line) => line.trimEnd()).join("\n").replace(/^\n+|\n+$/g, "").split("\n");
}

function lineRegExp(line: string): string {
  return line.split("…").map((part) => RegExp.escape(part).replaceAll(/(\\x20)+/g, " +")).join(".*?");
}
