import type { Role } from "@ark/node/daemon";

/** Lists nodes that want to be found, for whoever asks; it says nothing of who may do what. */
export const REGISTRY: Role = { name: "registry", api: false };
