import { invalid } from "../api/request_fault.ts";

/** A text, or tokens of the model's own vocabulary. */
export type TextOrTokens = string | number[];

/**
 * Reads one or several texts as OpenAI's clients send them: a text, a list of texts, a list of tokens (which is one text),
 * or a list of such lists.
 *
 * @throws {RequestFault} `invalid_value`
 */
export function textsOf(value: unknown, at: string, { most }: { most: number }): TextOrTokens[] {
  if (typeof value === "string") return [value];
  if (!Array.isArray(value) || value.length === 0) {
    throw invalid(at, "must be a text, a non-empty list of texts, or tokens");
  }
  if (typeof value[0] === "number") return [tokensOf(value, at)];
  if (value.length > most) throw invalid(at, `must have at most ${most} entries`);
  return value.map((each, index) => {
    const here = `${at}[${index}]`;
    if (typeof each === "string") return each;
    if (!Array.isArray(each)) throw invalid(here, "must be a text or a list of tokens");
    return tokensOf(each, here);
  });
}

function tokensOf(value: readonly unknown[], at: string): number[] {
  if (value.length === 0) throw invalid(at, "must be a text or a non-empty list of tokens");
  return value.map((token) => {
    if (typeof token === "number" && Number.isInteger(token) && token >= 0 && token < 2 ** 31) return token;
    throw invalid(at, "must have nothing but tokens: whole numbers from 0");
  });
}
