import { ArkError, isSafeName } from "@ark/node/protocol";

export { isSafeName };

/** Deepest path below a repository: the catalogue looks no deeper. */
const MOST_PARTS = 2;

/**
 * The parts of a path that others chose.
 *
 * @throws {ArkError} `bad_request` for anything that is not a plain path downwards.
 */
export function safeParts(path: string): string[] {
  const parts = path.split("/");
  if (parts.length > MOST_PARTS || !parts.every(isSafeName)) {
    throw new ArkError("bad_request", `The file's name is not one that this node writes: ${shown(path)}`);
  }
  return parts;
}

/** A text that others chose, as it may stand in a sentence: short and printable. */
export function shown(text: string): string {
  return JSON.stringify(text.slice(0, 120).replaceAll(/[^\u0020-\u007e]/g, "?"));
}
