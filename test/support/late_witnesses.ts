/** What is asked for words when a test is late; see `time_limit.ts`. */
export const witnesses = new Set<() => string>();

/** Has something say how it stands when the test that uses it is late, until it is disposed of. */
export function tellWhenLate(say: () => string): Disposable {
  witnesses.add(say);
  return { [Symbol.dispose]: () => void witnesses.delete(say) };
}
