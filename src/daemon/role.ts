import type { Config, RoleName } from "@ark/node/config";
import type { LocalBackend, WorkerProgram } from "@ark/node/inference";
import type { Identity } from "@ark/node/identity";
import type { BlobShelf, ModelCatalogue, ModelStore } from "@ark/node/models";
import type { Store } from "@ark/node/store";
import type { Events, Logger } from "@ark/node/telemetry";

/** What a role is made from. */
export interface RoleContext {
  /** What the owner set. */
  config: Config;
  /** This node. */
  identity: Identity;
  /** The node's database. */
  store: Store;
  /** The node's log. */
  logger: Logger;
  /** Told how far a model's loading has come. */
  events: Pick<Events, "emit">;
  /** How a worker process is started. */
  workerCommand: readonly string[] | WorkerProgram;
}

/** This node's own models and what runs them. Whoever gets it disposes of the backend and the shelf. */
export interface OwnEngine {
  /** Runs models. */
  backend: LocalBackend;
  /** Knows which there are. */
  catalogue: ModelCatalogue;
  /** Fetches and removes models. */
  models: ModelStore;
  /** What this node can give of the models' files. */
  shelf: BlobShelf;
}

/** Something that a node can be. Every node runs the same program; roles decide which parts of it work. */
export interface Role {
  /** As `--role` names it. */
  readonly name: RoleName;
  /** Makes the engine of this node, which answers the owner and approved peers. */
  engine?(context: RoleContext): OwnEngine;
  /** Whether the owner's programs get an API here. */
  readonly api: boolean;
}
