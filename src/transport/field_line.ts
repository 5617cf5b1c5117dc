/** A field's line in which nothing is hidden: a name, a colon, and ASCII. No character can be matched in two ways. */
const ASCII = /^([!#$%&'*+.^_`|~0-9A-Za-z-]+):([\t\x20-\x7e]*)$/;
/** The same, with what old programs write beyond ASCII. */
const LATIN1 = /^([!#$%&'*+.^_`|~0-9A-Za-z-]+):([\t\x20-\x7e\x80-\xff]*)$/;

const SPACE = 32;
const TAB = 9;

/**
 * Name and value of one field of a head, without the spaces and tabs around the value; null where the line is none. Takes
 * time in proportion to the line, whatever is in it.
 */
export function fieldOf(
  line: string,
  { latin1 = false }: { latin1?: boolean } = {},
): { name: string; value: string } | null {
  const [, name, text] = (latin1 ? LATIN1 : ASCII).exec(line) ?? [];
  if (name === undefined || text === undefined) return null;
  let [start, end] = [0, text.length];
  while (start < end && isBlank(text.charCodeAt(start))) start++;
  while (start < end && isBlank(text.charCodeAt(end - 1))) end--;
  return { name, value: text.slice(start, end) };
}

function isBlank(code: number): boolean {
  return code === SPACE || code === TAB;
}
