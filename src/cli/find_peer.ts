import { reasonOf } from "@ark/node/protocol";
import { nodeIdOf, parseNodeId, parsePublicKey } from "@ark/node/identity";
import { CommandError, UsageError } from "./command.ts";

/** A node that may be meant by what somebody typed. */
export interface Named {
  /** Its id, grouped. */
  node_id: string;
  /** Its label. */
  name?: string;
}

const SHORTEST = 8;

/**
 * Finds out which node a person means: by key, by id, or by the beginning of the id (8 characters and more) or the name
 * of one that is known. Returns the id without groups.
 *
 * @throws {CommandError} when none or several fit.
 */
export function findPeer(typed: string, known: readonly Named[]): string {
  if (typed.startsWith("ed25519:")) return nodeIdOf(parsed(() => parsePublicKey(typed)));
  const plain = typed.replaceAll(/[-\s]/g, "").toLowerCase();
  const fits = known.filter(({ node_id, name }) =>
    (plain.length >= SHORTEST && node_id.replaceAll("-", "").startsWith(plain)) ||
    (name !== undefined && name === typed)
  );
  const [first, second] = fits;
  if (first !== undefined && second === undefined) return parseNodeId(first.node_id);
  if (second !== undefined) throw new CommandError(`Several nodes fit ${typed}: write more of the id`);
  if (plain.length < 56) {
    throw new CommandError(
      `No node that is known here fits ${typed}: write its whole id, or at least 8 characters of it`,
    );
  }
  return parsed(() => parseNodeId(typed));
}

function parsed<T>(parse: () => T): T {
  try {
    return parse();
  } catch (error) {
    throw new UsageError(reasonOf(error));
  }
}
