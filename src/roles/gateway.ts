import type { Role } from "@ark/node/daemon";

/** Answers the owner's programs: with this node's models where it has them, else with those of approved peers. */
export const GATEWAY: Role = { name: "gateway", api: true };
