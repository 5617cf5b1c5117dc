/** Whether a value is a whole number of at least 0. JSON can spell `-0`, which is none: it would be written as another. */
export function isCount(value: unknown): value is number {
  return Number.isSafeInteger(value) && (value as number) >= 0 && !Object.is(value, -0);
}
