/**
 * What a node can be. Every node runs the same executable; `--role` decides which parts of it work.
 *
 * | role | the node |
 * |---|---|
 * | `compute` | runs models, for its owner and for approved peers |
 * | `gateway` | answers the owner's programs, with its own models or those of approved peers |
 *
 * Without `--role` it is both.
 *
 * @example
 * ```ts
 * import { ROLES } from "@ark/node/roles";
 *
 * console.log(ROLES.map(({ name }) => name)); // ["compute", "gateway"]
 * ```
 *
 * @module
 */
import type { Role } from "@ark/node/daemon";
import { COMPUTE } from "./compute.ts";
import { GATEWAY } from "./gateway.ts";

export { COMPUTE, GATEWAY };

/** All roles, in the order of `--help`. */
export const ROLES: readonly Role[] = [COMPUTE, GATEWAY];
