import { reasonOf } from "@ark/node/protocol";

/** A node cannot start. The message is one sentence: what failed, why, what to do. */
export class StartError extends Error {
  /** Always `"StartError"`. */
  override readonly name = "StartError";
  /** Exit status of the command: 78 (`EX_CONFIG`) where the owner has to change something about keys or environment, else 1. */
  readonly exitCode: number;

  /** Makes an error with a sentence for the owner. */
  constructor(message: string, { exitCode = 1, cause }: { exitCode?: number; cause?: unknown } = {}) {
    super(message, { cause });
    this.exitCode = exitCode;
  }
}

/**
 * Does a step of the start.
 *
 * @param what completes "Cannot …".
 * @throws {StartError} where it fails.
 */
export async function attempt<T>(what: string, act: () => Promise<T>): Promise<T> {
  try {
    return await act();
  } catch (error) {
    if (error instanceof StartError) throw error;
    throw new StartError(`Cannot ${what}: ${reasonOf(error)}`, { cause: error });
  }
}
