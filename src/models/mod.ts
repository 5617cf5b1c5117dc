/**
 * Which model files this node has, what is in them and what they are called; and how models are fetched.
 *
 * Promises:
 * - {@linkcode ModelCatalogue} finds models in this node's own store, in folders of `*.gguf` files and a few levels below
 *   (LM Studio's folder is one), in the store of Ollama and in the cache of Hugging Face's tools. Only the own store is ever
 *   written. A link is followed only where it stays inside its folder. An empty folder is no error: the list is empty.
 * - A file is never handed to the engine before {@linkcode readGgufHeader} has accepted it: the header parser knows
 *   limits for every number it reads, reads bounded chunks and never the whole file, and accepts no tensor that lies
 *   beyond the end of the file. A file that it refuses is in `faults()` with one sentence; all others work.
 * - Files `…-00001-of-00003.gguf` are one model; a part that is missing is a fault.
 * - Names are `name:tag`, as Ollama's store has them, else from the file's metadata, else from its name, deterministic and
 *   distinct. A second name never takes the place of a model's own.
 * - SHA-256 digests come in the background, in chunks small enough that the event loop never waits for them, and are
 *   kept in a {@linkcode DigestCache} for as long as path, size and time of change stay the same. Ollama's and Hugging
 *   Face's stores state digests by the names of their files. Those are claims: no digest is told before it was computed
 *   here, and a file that is not what its name claims is left out.
 * - {@linkcode ModelStore} fetches a model of Hugging Face, of an Ollama registry or of any web server into the own store,
 *   goes on where it was cut, and lets nothing become a model that has not the digest, the size and the header that it
 *   should have.
 * - {@linkcode CopyKeeper} keeps as many copies of a model among an owner's own nodes as he wishes; {@linkcode SeedingPolicy}
 *   says which models are given to peers, and when.
 *
 * - {@linkcode PartBlob} takes a file in chunks of any order from many at once, checks each before anything of it is written,
 *   and loses none of them to a crash. {@linkcode BlobShelf} gives the files of all models, and what has come of others, by
 *   digest, chunk by chunk, and no byte of a file that changed since its digest was computed here.
 * - A manifest that a node signs ({@linkcode BlobShelf.manifest}) is its word that it calls these digests by that name, and
 *   nothing more. It needs no trust: each chunk, the whole of each file and the header are checked wherever they come from, a
 *   peer or a folder ({@linkcode importFrom}). How a model writes comes with it; additions and formats do not.
 * - Whatever comes from elsewhere lies in hidden folders of the own store, where the catalogue does not look, until its header
 *   was accepted, and until the owner approved it where he wants that ({@linkcode ModelStore.approve}).
 *
 * Not promised: noticing a change that keeps both size and time; rendering a chat template in Go's language; any judgement
 * on what a model's chat template says.
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
export * from "./copies/copy_keeper.ts";
export * from "./copies/copy_state.ts";
export * from "./copies/copy_wishes.ts";
export * from "./blobs/mod.ts";
export * from "./carried_models.ts";
export * from "./digest_cache.ts";
export * from "./file_digest.ts";
export * from "./found_model.ts";
export * from "./gguf_header.ts";
export type { ByteSource } from "./gguf_reader.ts";
export * from "./local_model.ts";
export * from "./model_catalogue.ts";
export * from "./model_defaults.ts";
export { type Alias, isModelAlias, plainName } from "./model_ids.ts";
export * from "./model_name.ts";
export type { ModelPlacesOptions } from "./model_places.ts";
export { type OwnContents, type OwnRecord, OwnRecords, type RecordedFile } from "./own_records.ts";
export * from "./seeding_policy.ts";
export { splitDigest } from "./split_model.ts";
export * from "./model_store.ts";
export type { DownloadLimits } from "./pull/download.ts";
export { mayCarrySecret } from "./pull/http_source.ts";
export * from "./pull/pull_progress.ts";
export type { SwarmPeer, SwarmPeers } from "./swarm/swarm_peers.ts";
export type { WaitingModel } from "./waiting_models.ts";
