import { ArkError } from "@ark/node/protocol";

const PART_REGEXP = /^[A-Za-z0-9_](?:[A-Za-z0-9._+-]{0,158}[A-Za-z0-9_])?$/;
const DEVICE_REGEXP = /^(?:con|prn|aux|nul|clock\$|com\d|lpt\d)(?:\.|$)/i;

/**
 * Whether a text that others chose can be the name of a file or folder: letters, digits and `._+-` between them, and no
 * name that some system gives a meaning of its own. Names are never repaired: what is not as it should be is refused.
 */
export function isSafeName(name: string): boolean {
  return PART_REGEXP.test(name) && !name.includes("..") && !DEVICE_REGEXP.test(name);
}

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
