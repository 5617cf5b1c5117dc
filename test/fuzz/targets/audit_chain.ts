/** Lines of `audit.log` by another hand than the log's own: what a forger who has read the code would write. */
import { createHash } from "node:crypto";

/** The fields of a line. */
export type Fields = Record<string, unknown> & { seq: number; prev: string };

/** Hash before the first line. */
export const FIRST = "0".repeat(64);

/** A line with the hash that is right for it; fields in the order in which they are given. */
export function sealed(fields: Fields): string {
  const { hash: _hash, ...rest } = fields;
  const body = JSON.stringify(rest);
  const hash = createHash("sha256").update("ark-audit/1\n").update(body).digest("hex");
  return `${body.slice(0, -1)},"hash":"${hash}"}`;
}

/** Hash of a line. */
export function hashOf(line: string): string {
  return JSON.parse(line).hash;
}
