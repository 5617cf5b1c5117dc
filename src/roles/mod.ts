/**
 * What a node can be. Every node runs the same executable; `--role` decides which parts of it work.
 *
 * | role | the node |
 * |---|---|
 * | `compute` | runs models, for its owner and for approved peers |
 * | `gateway` | answers the owner's programs, with its own models or those of approved peers |
 * | `registry` | lists nodes whose owners want that, with where they are: hints, which grant nothing |
 *
 * Without `--role` it is the first two.
 *
 * @example
 * ```ts
 * import { ROLES } from "@ark/node/roles";
 *
 * console.log(ROLES.map(({ name }) => name)); // ["compute", "gateway", "registry"]
 * ```
 *
 * @module
 */
import type { Role } from "@ark/node/daemon";
import { COMPUTE } from "./compute.ts";
import { GATEWAY } from "./gateway.ts";
import { REGISTRY } from "./registry.ts";

export { COMPUTE, GATEWAY, REGISTRY };

/** All roles, in the order of `--help`. */
export const ROLES: readonly Role[] = [COMPUTE, GATEWAY, REGISTRY];
