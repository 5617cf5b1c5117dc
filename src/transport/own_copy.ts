/** The same text in memory of its own. A part of a longer one, as parsers make them, holds all of that. */
export function ownCopy(text: string): string {
  return text.split("").join("");
}
