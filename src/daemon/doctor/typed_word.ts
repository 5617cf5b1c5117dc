import { type NodeId, shortId } from "@ark/node/identity";

/**
 * How a command names a peer: by its label where that is a plain word, else by the beginning of its id. A label is what
 * another owner chose, and a command that is shown is copied into a shell.
 */
export function peerWord({ name, node_id }: { name: string; node_id: NodeId }): string {
  return /^[A-Za-z0-9][\w.-]{0,63}$/.test(name) ? name : shortId(node_id);
}

/** A word as a shell takes it for one, whatever is in it. */
export function shellWord(text: string): string {
  return `'${text.replaceAll("'", `'\\''`)}'`;
}
