/**
 * A JSON value in its one canonical spelling, RFC 8785: no spaces, names in the order of their UTF-16 units, absent fields
 * left out. What is signed is spelled so, whoever writes it.
 *
 * @throws {TypeError} for what is no JSON: a number that is not finite, a text with half a character, a function.
 */
export function canonicalJson(value: unknown): string {
  if (value === null || typeof value === "boolean") return String(value);
  if (typeof value === "number" && Number.isFinite(value)) return JSON.stringify(value);
  if (typeof value === "string") return text(value);
  if (Array.isArray(value)) return `[${value.map(canonicalJson).join(",")}]`;
  if (typeof value !== "object") throw new TypeError("Only JSON has a canonical spelling");
  const fields = Object.entries(value).filter(([, field]) => field !== undefined);
  fields.sort(([a], [b]) => a < b ? -1 : 1);
  return `{${fields.map(([name, field]) => `${text(name)}:${canonicalJson(field)}`).join(",")}}`;
}

function text(value: string): string {
  if (!value.isWellFormed()) throw new TypeError("A text with half a character has no canonical spelling");
  return JSON.stringify(value);
}
