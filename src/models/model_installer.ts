import { createHash } from "node:crypto";
import { join } from "node:path";
import { ArkError } from "@ark/node/protocol";
import { fileDigest } from "./file_digest.ts";
import { readGgufHeader } from "./gguf_header.ts";
import type { Logger } from "@ark/node/telemetry";
import type { WholeFile } from "./blobs/obtain_files.ts";
import type { ModelCatalogue } from "./model_catalogue.ts";
import { checkModel, placeFiles, placeOf } from "./pull/install.ts";
import type { OwnRecord, OwnRecords } from "./own_records.ts";
import type { PullProgress } from "./pull/pull_progress.ts";
import type { WaitingModel, WaitingModels } from "./waiting_models.ts";

/** Options of {@linkcode ModelInstaller}. */
export interface ModelInstallerOptions {
  /** Looks again when something came. */
  catalogue: Pick<ModelCatalogue, "refresh" | "learn">;
  /** What the store remembers; its folder is the store's. */
  records: OwnRecords;
  /** Those that wait for the owner. */
  waiting: WaitingModels;
  /** Whether the owner approves each new model himself. */
  approval: boolean;
  /** Hears what comes. */
  logger?: Pick<Logger, "info" | "warn"> | undefined;
}

/** Files that came whole, with the digests that they should have. */
export interface Arrival {
  /** What is remembered of the model beside its files. */
  record: Omit<OwnRecord, "files">;
  /** Its files in order; `name` is the one in the store, with `/` between its parts. */
  files: readonly WholeFile[];
  /** Who gave it, for people. */
  from: string;
}

/**
 * The one way by which files from elsewhere become a model: they are whole and have their digests, the header parser accepts
 * them, and the owner approves them where he wants to. Until then they lie where the catalogue does not look.
 */
export class ModelInstaller {
  readonly #options: ModelInstallerOptions;

  /** Makes an installer for a store. */
  constructor(options: ModelInstallerOptions) {
    this.#options = options;
  }

  /** Whether the owner approves each new model himself. */
  get approval(): boolean {
    return this.#options.approval;
  }

  /**
   * Makes a model of files, or lets it wait for the owner.
   *
   * @throws {ArkError} `unavailable` where they are none, or the disk does not take them.
   * @throws the signal's reason when it is aborted.
   */
  async admit(
    { record, files, from }: Arrival,
    { signal, tell }: { signal: AbortSignal; tell(progress: PullProgress): void },
  ): Promise<void> {
    const { records: { root }, waiting, approval, logger } = this.#options;
    tell({ status: "verifying sha256 digest" });
    const { name, tag } = await checkModel(files, { root, signal });
    const places = await Promise.all(files.map((file) => placeOf(root, file.name)));
    const isNew = files.some(({ at }, index) => at !== places[index]);
    if (!approval || !isNew) return await this.#place({ record, files, from }, tell);
    const called = (record.name ?? record.ref ?? `${name}:${tag}`).toLowerCase();
    const recorded = { ...record, files: files.map(({ name, size, sha256 }) => ({ name, size, sha256 })) };
    const template = await templateDigest(files[0]?.at ?? "");
    await waiting.add({ record: recorded, from, at: new Date().toISOString() }, { name: called, files, template });
    logger?.info("A model waits for the owner's approval", { model: called });
    tell({ status: `waiting for approval: ark-node models approve ${called}` });
  }

  /**
   * Makes a model of one that waits. Its header is read once more, and its files' digests are computed once more.
   *
   * @throws {ArkError} `model_not_found` where none of that name waits, `unavailable` where it is not what it was.
   */
  async approve(name: string, signal: AbortSignal): Promise<WaitingModel> {
    const { records: { root }, waiting } = this.#options;
    const { model, files: found } = await waiting.find(name);
    const files: WholeFile[] = [];
    for (const file of found) {
      // What an approval that was cut short has put into its place already is there.
      const at = await Deno.lstat(file.at).then(() => file.at, () => placeOf(root, file.name));
      if (await digestOf(at, signal) !== file.sha256) {
        throw new ArkError(
          "unavailable",
          `The files of ${model.name} changed while it waited: remove it, and fetch it again`,
        );
      }
      files.push({ ...file, at });
    }
    await checkModel(files, { root, signal });
    await this.#place({ record: model.record, files, from: model.from }, () => {});
    await waiting.remove(model.name);
    return model;
  }

  async #place({ record, files }: Arrival, tell: (progress: PullProgress) => void): Promise<void> {
    const { records, catalogue, logger } = this.#options;
    const { root } = records;
    const placed = await placeFiles(files, {
      root,
      learn: (file, digest, list) => catalogue.learn(file, digest, list),
    });
    tell({ status: "writing manifest" });
    await records.update(({ models, aliases }) => ({
      models: { ...models, [placed.first]: { ...record, files: placed.files } },
      aliases,
    }));
    await catalogue.refresh();
    logger?.info("A model came", { path: join(root, placed.first) });
  }
}

/** SHA-256 of a file in hex, or null where it is gone. */
async function digestOf(path: string, signal: AbortSignal): Promise<string | null> {
  try {
    return await fileDigest(path, { signal });
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return null;
    throw error;
  }
}

/** What tells whether a model's chat template is the one that was approved. */
async function templateDigest(path: string): Promise<string | null> {
  const { metadata } = await readGgufHeader(path);
  const template = metadata.get("tokenizer.chat_template");
  return typeof template === "string" ? createHash("sha256").update(template).digest("hex") : null;
}
