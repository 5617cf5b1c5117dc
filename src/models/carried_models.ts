import type { NodeId } from "@ark/node/identity";
import { ArkError, type ModelRef } from "@ark/node/protocol";
import type { BlobShelf } from "./blobs/blob_shelf.ts";
import { exportModel } from "./blobs/export_model.ts";
import { importModel } from "./blobs/import_model.ts";
import type { ModelCatalogue } from "./model_catalogue.ts";
import type { ModelStore } from "./model_store.ts";
import type { PullProgress } from "./pull/pull_progress.ts";
import { SharedPull } from "./pull/shared_pull.ts";

/** What {@linkcode exportTo} needs. */
export interface ExportToOptions {
  /** Knows what a person means. */
  catalogue: Pick<ModelCatalogue, "find">;
  /** Knows the files. */
  shelf: Pick<BlobShelf, "find" | "manifest">;
  /** Knows the limits of this node. */
  store: Pick<ModelStore, "limits">;
  /** Ends it. */
  signal: AbortSignal;
}

/** What {@linkcode importFrom} needs. */
export interface ImportFromOptions {
  /** Where it goes. */
  store: Pick<ModelStore, "obtain">;
  /** Who a node is to the owner, as the end of a sentence that begins with `signed by`. */
  signer(id: NodeId): string;
  /** Ends it. */
  signal: AbortSignal;
}

/**
 * Writes a model into a folder that can be carried to another machine; it is there when the iteration ends. An export that was
 * cut is gone on with by the next one.
 *
 * @throws {ArkError} from the iteration: `model_not_found`, `busy`, `bad_request`, `unavailable`, `cancelled`.
 */
export async function* exportTo(
  ref: ModelRef,
  directory: string,
  { catalogue, shelf, store, signal }: ExportToOptions,
): AsyncGenerator<PullProgress> {
  const model = catalogue.find(ref);
  if (model === undefined) throw new ArkError("model_not_found", `There is no model ${ref} on this node`);
  yield* followed(signal, (options) => exportModel(model.id, directory, { shelf, limits: store.limits, ...options }));
  yield { status: "success" };
}

/**
 * Takes a model from a folder that {@linkcode exportTo} wrote; it is here when the iteration ends, or waits for approval. An
 * import that was cut is gone on with by the next one.
 *
 * @throws {ArkError} from the iteration: `model_not_found`, `bad_request`, `forbidden`, `busy`, `unavailable`, `cancelled`.
 */
export async function* importFrom(
  directory: string,
  { store, signer, signal }: ImportFromOptions,
): AsyncGenerator<PullProgress> {
  yield* followed(signal, (options) => importModel(directory, { store, signer, ...options }));
  yield { status: "success" };
}

async function* followed(
  signal: AbortSignal,
  work: (options: { signal: AbortSignal; tell(progress: PullProgress): void }) => Promise<void>,
): AsyncGenerator<PullProgress> {
  try {
    yield* new SharedPull(work).follow(signal);
  } catch (error) {
    if (!signal.aborted) throw error;
    throw new ArkError("cancelled", "It was cancelled; what was written is kept", { cause: error });
  }
}
