import { ArkError } from "./errors.ts";
import type { JsonSchema } from "./inference.ts";
import { LIMITS } from "./limits.ts";

/** Copies the named own fields of an object into one without a prototype, and refuses any other field. */
export function record(value: unknown, what: string, names: readonly string[]): Record<string, unknown> {
  if (typeof value !== "object" || value === null || Array.isArray(value)) throw bad(`The ${what} must be an object`);
  const copy: Record<string, unknown> = Object.create(null);
  for (const key of Object.keys(value)) {
    if (!names.includes(key)) throw bad(`The ${what} has an unknown field: ${printable(key)}`);
    copy[key] = (value as Record<string, unknown>)[key];
  }
  return copy;
}

/** A text of a length in characters. */
export function text(
  value: unknown,
  at: string,
  { least = 0, most = Infinity }: { least?: number; most?: number } = {},
): string {
  if (typeof value !== "string") throw bad(`Field ${at} must be a text`);
  if (value.length < least || value.length > most) throw bad(`Field ${at} must have ${least} to ${most} characters`);
  return value;
}

/** A list with so many entries. */
export function list(value: unknown, at: string, { least = 1, most }: { least?: number; most: number }): unknown[] {
  if (!Array.isArray(value) || value.length < least) throw bad(`Field ${at} must be a non-empty list`);
  if (value.length > most) throw bad(`Field ${at} must have at most ${most} entries`);
  return value;
}

/** One of some words. */
export function oneOf<T extends string>(value: unknown, at: string, words: readonly T[]): T {
  const word = words.find((each) => each === value);
  if (word === undefined) throw bad(`Field ${at} must be ${words.slice(0, -1).join(", ")} or ${words.at(-1)}`);
  return word;
}

/**
 * A JSON Schema as an engine gets it: an object, not too long and not too deep.
 *
 * @throws {ArkError} `bad_request`
 */
export function decodeSchema(value: unknown, at: string): JsonSchema {
  if (typeof value !== "object" || value === null || Array.isArray(value)) {
    throw bad(`Field ${at} must be a JSON schema: an object`);
  }
  // Depth first: turning what is too deep into a text would end in a fault.
  if (!isWithin(value, LIMITS.schemaDepth)) throw bad(`Field ${at} must have at most ${LIMITS.schemaDepth} levels`);
  if (JSON.stringify(value).length > LIMITS.schemaLength) {
    throw bad(`Field ${at} must have at most ${LIMITS.schemaLength} characters`);
  }
  return value as JsonSchema;
}

function isWithin(value: unknown, levels: number): boolean {
  if (typeof value !== "object" || value === null) return true;
  return levels > 0 && Object.values(value).every((each) => isWithin(each, levels - 1));
}

/** A field's name as it may stand in an error: short, without control characters. */
function printable(key: string): string {
  return key.slice(0, 40).replaceAll(/[^\u0020-\u007e]/g, "?");
}

/** What a caller wrote wrongly. */
export function bad(message: string): ArkError {
  return new ArkError("bad_request", message);
}
