import type { LocalModel } from "@ark/node/models";
import { type ModelRef, reasonOf } from "@ark/node/protocol";
import { keyOf, mainTask } from "./job.ts";
import type { LoadOptions, LocalBackendOptions } from "./local_options.ts";

/** What {@linkcode EarlyModels} needs. */
export interface EarlyModelsOptions {
  /** As the backend was given them. */
  options: Pick<LocalBackendOptions, "catalogue" | "logger" | "pinned" | "preload">;
  /** Whether a model is in memory, or on its way in or out. */
  there(key: string): boolean;
  /** Brings a model into memory. */
  load(ref: ModelRef, options: LoadOptions): Promise<void>;
}

/** The models that shall be in memory before anybody asks: some once, and pinned ones whenever they are not. */
export class EarlyModels {
  readonly #needs: EarlyModelsOptions;
  readonly #once: Set<ModelRef>;
  /** Pinned models that the owner sent away: they come back when they are asked for. */
  readonly #sentAway = new Set<string>();

  /** Makes a list of those that the options name; nothing is loaded yet. */
  constructor(needs: EarlyModelsOptions) {
    this.#needs = needs;
    this.#once = new Set(needs.options.preload);
  }

  /** The owner does not want a model in memory now. */
  sendAway({ id }: LocalModel): void {
    this.#sentAway.add(id);
  }

  /** Somebody asks for a model. */
  wanted({ id }: LocalModel): void {
    this.#sentAway.delete(id);
  }

  /** Loads those that the catalogue knows and that are not there; why one cannot be loaded is logged. */
  load(): void {
    const { options: { catalogue, logger, pinned = [] }, there, load } = this.#needs;
    for (const ref of [...pinned, ...this.#once]) {
      const model = catalogue.find(ref);
      if (model === undefined) continue;
      const task = mainTask(model);
      if (!this.#once.delete(ref) && (there(keyOf(model, task)) || this.#sentAway.has(model.id))) continue;
      load(ref, { task }).catch((error) =>
        logger?.debug("A model could not be loaded early", { model: model.id, reason: reasonOf(error) })
      );
    }
  }
}
