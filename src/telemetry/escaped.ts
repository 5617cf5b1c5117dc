/** What can move a cursor, change the direction of text or hide: controls, formats, surrogates, separators. */
const UNPRINTABLE_REGEXP = /[\p{C}\p{Zl}\p{Zp}]/u;
const UNPRINTABLE_REGEXP_GLOBAL = new RegExp(UNPRINTABLE_REGEXP, "gu");

/**
 * Makes a text safe to show on one line: control, bidirectional, zero-width and other unprintable characters become
 * `\uXXXX`, and what is longer than `limit` characters ends in `…`. A text that needs none of that comes back as it is.
 *
 * @param limit Most UTF-16 code units of the result.
 */
export function escaped(text: string, limit: number): string {
  // Cut first: a hostile text of a megabyte must not be walked to its end.
  const head = text.length > limit ? text.slice(0, limit) : text;
  const safe = UNPRINTABLE_REGEXP.test(head) ? head.replaceAll(UNPRINTABLE_REGEXP_GLOBAL, unicodeEscape) : head;
  if (head.length === text.length && safe.length <= limit) return safe;
  return safe.slice(0, limit - 1).replace(/\\(u[0-9a-f]{0,3})?$|[\ud800-\udbff]$/, "") + "…";
}

function unicodeEscape(character: string): string {
  let escape = "";
  for (let index = 0; index < character.length; index++) {
    escape += "\\u" + character.charCodeAt(index).toString(16).padStart(4, "0");
  }
  return escape;
}
