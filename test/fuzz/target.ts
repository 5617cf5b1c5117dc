import type { Random } from "./random.ts";

/** One parser, codec or verifier under fuzzing. */
export interface FuzzTarget<T = unknown> {
  /** Short name, such as `signature`. */
  name: string;
  /** What must hold, in a sentence. */
  promise: string;
  /** Valid inputs to begin with. */
  corpus: T[];
  /** Where the code under test is, as a part of its URL: coverage of it guides the choice of inputs. */
  covers: string[];
  /** How many times slower than others it is: it gets so much fewer inputs. @default {1} */
  cost?: number;
  /** Opens what the checks need, and may make the corpus; what it returns closes it. */
  open?(): Promise<AsyncDisposable>;
  /** Makes an input out of a valid one; `other` is another valid one. Changes neither. */
  mutate(random: Random, input: T, other: T): T;
  /** Throws where the promise is broken; returns whether the input was accepted. */
  check(input: T): boolean | Promise<boolean>;
  /** The input as text that can be pasted into a test. */
  show(input: T): string;
  /** Smaller inputs that may fail in the same way. */
  shrink?(input: T): Iterable<T>;
}

/** Smaller byte strings: halves and pieces left out. */
export function* shrinkBytes(bytes: Uint8Array): Generator<Uint8Array> {
  for (let size = bytes.length >> 1; size >= 1; size >>= 1) {
    for (let at = 0; at + size <= bytes.length; at += size) {
      yield Uint8Array.from([...bytes.subarray(0, at), ...bytes.subarray(at + size)]);
    }
  }
}

/** Smaller texts: halves and pieces left out. */
export function* shrinkText(text: string): Generator<string> {
  for (let size = text.length >> 1; size >= 1; size >>= 1) {
    for (let at = 0; at + size <= text.length; at += size) yield text.slice(0, at) + text.slice(at + size);
  }
}

/** Bytes as a call that makes them. */
export function showBytes(bytes: Uint8Array): string {
  return `Uint8Array.fromHex("${bytes.toHex()}")`;
}

/** The one thing that a check may do with an error: take it where it is the documented one, else pass it on. */
export function refusedBy(error: unknown, ...kinds: (abstract new (...args: never[]) => Error)[]): false {
  if (kinds.some((kind) => error instanceof kind)) return false;
  throw error;
}
