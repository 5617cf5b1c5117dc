/**
 * Which model files this node has, what is in them and what they are called.
 *
 * Promises:
 * - {@linkcode ModelCatalogue} finds `*.gguf` files in the configured folders and a few levels below. A link is
 *   followed only where it stays inside its folder. A missing or empty folder is no error: the list is empty.
 * - A file is never handed to the engine before {@linkcode readGgufHeader} has accepted it: the header parser knows
 *   limits for every number it reads, reads bounded chunks and never the whole file, and accepts no tensor that lies
 *   beyond the end of the file. A file that it refuses is in `faults()` with one sentence; all others work.
 * - Names are `name:tag`, from the file's metadata or else from its name, deterministic and distinct.
 * - SHA-256 digests come in the background, in chunks small enough that the event loop never waits for them, and are
 *   kept in a {@linkcode DigestCache} for as long as path, size and time of change stay the same.
 *
 * Not promised: models in several files (joined first, see the fault's sentence); noticing a change that keeps both
 * size and time; any judgement on what a model's chat template says.
 *
 * @example
 * ```ts
 * import { ModelCatalogue } from "@ark/node/models";
 *
 * const catalogue = new ModelCatalogue({ directories: ["test/fixtures"] });
 * await catalogue.refresh();
 * console.log(catalogue.find("arkling")?.id); // "arkling:9m-q4_0"
 * ```
 *
 * @module
 */
export * from "./digest_cache.ts";
export * from "./file_digest.ts";
export * from "./gguf_header.ts";
export type { ByteSource } from "./gguf_reader.ts";
export * from "./local_model.ts";
export * from "./model_catalogue.ts";
export * from "./model_name.ts";
