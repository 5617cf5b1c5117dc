/**
 * Thread of {@linkcode LineCheckers}: bytes in, what {@linkcode checkLines} says out, in the order in which they came.
 *
 * @module
 */
import { checkLines } from "./line_check.ts";

/** What a thread has; the types of the program are those of its main thread. */
interface Thread {
  onmessage: ((event: { data: Uint8Array }) => void) | null;
  postMessage(message: unknown): void;
}

const thread = globalThis as unknown as Thread;
thread.onmessage = ({ data }) => thread.postMessage(checkLines(data));
