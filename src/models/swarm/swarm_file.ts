import { dirname } from "node:path";
import { chunkLength } from "@ark/node/protocol";
import type { BlobShelf } from "../blobs/blob_shelf.ts";
import { copyBlob } from "../blobs/copy_blob.ts";
import { checkRoom } from "../blobs/disk_room.ts";
import type { WholeFile } from "../blobs/obtain_files.ts";
import { PartBlob } from "../blobs/part_blob.ts";
import { blobPath, hiddenFolder } from "../blobs/parts_folder.ts";
import { fileDigest } from "../file_digest.ts";
import type { DownloadLimits } from "../pull/download.ts";
import { fetchBlob } from "./fetch_blob.ts";
import { keepList, keptList, type KnownList, listOf, listPath } from "./known_list.ts";
import { PeerSource } from "./peer_source.ts";
import type { FetchProgress, FetchReport, PieceSource } from "./piece_source.ts";
import type { SwarmPeer, SwarmPeers } from "./swarm_peers.ts";

/** A file that peers may have. */
export interface SwarmWanted {
  /** SHA-256 in hex that it must have. */
  readonly sha256: string;
  /** Its size in bytes, or null where nobody said. */
  readonly size: number | null;
  /** What it is called in the store. */
  readonly name: string;
  /** Where it will be a part of the model, absolute; what was downloaded there before without peers is taken over. */
  readonly path: string;
  /** Root over the hashes of its chunks, as its manifest says, or null. */
  readonly root: string | null;
  /** Names under which the chunks that are here may be asked for meanwhile. */
  readonly models: readonly string[];
  /** A source that is no peer, for a file of a size, or null. */
  origin(size: number): PieceSource | null;
}

/** Options of {@linkcode fetchFromSwarm}. */
export interface SwarmFileOptions {
  /** Approved peers. */
  peers: SwarmPeers;
  /** Folder of the own store. */
  root: string;
  /** What is here, and where chunks that came are given to others; null where nothing is. */
  shelf: Pick<BlobShelf, "fileOf" | "share"> | null;
  /** Whether others may be given what has come while the rest still comes. */
  sharing: boolean;
  /** Limits of the disk and of patience. */
  limits: DownloadLimits;
  /** Bytes a second that the link was seen to carry. */
  link: number;
  /** Ends it; what came stays. */
  signal: AbortSignal;
  /** Told how far it is. */
  tell(progress: FetchProgress): void;
  /** Told of a peer that sent wrong bytes. */
  wrong(source: Pick<PieceSource, "key" | "name" | "kind">, what: string): void;
  /** Told how it went. */
  done(report: FetchReport): void;
}

/** Times that a file whose chunks the disk damaged is repaired. */
const MOST_REPAIRS = 3;
/** Most peers whose lists are tried. */
const MOST_LISTS = 16;
const HAVE_MS = 10_000;

/**
 * Fetches a file from all peers that have it, its origin as a help; null where no peer has it and nothing of it is here, so
 * that only the origin is left. The hashes of its chunks are whatever a peer says: should the whole file turn out to be another
 * one, whoever gave them is asked nothing more, and those of the next peer are taken.
 *
 * @throws {ArkError} with a sentence; what came stays.
 * @throws the signal's reason when it is aborted.
 */
export async function fetchFromSwarm(wanted: SwarmWanted, options: SwarmFileOptions): Promise<WholeFile | null> {
  await hiddenFolder(options.root);
  return await new SwarmFile(wanted, options).run();
}

class SwarmFile {
  readonly #wanted: SwarmWanted;
  readonly #options: SwarmFileOptions;
  /** Where it is when it is whole. */
  readonly #at: string;
  readonly #part: string;
  /** Roots that are none of this file. */
  readonly #refuted = new Set<string>();
  /** Peers that gave such. */
  readonly #liars = new Set<string>();
  /** Peers whose list was looked at. */
  readonly #asked = new Set<string>();

  constructor(wanted: SwarmWanted, options: SwarmFileOptions) {
    this.#wanted = wanted;
    this.#options = options;
    this.#at = blobPath(options.root, wanted.sha256);
    this.#part = `${this.#at}.part`;
  }

  async run(): Promise<WholeFile | null> {
    const { signal } = this.#options;
    const here = await this.#present();
    if (here !== null) {
      this.#options.tell({ completed: here.size, total: here.size, speed: 0, secondsLeft: 0, sources: [] });
      return here;
    }
    let failure: unknown = null;
    for await (const known of this.#lists()) {
      try {
        return await this.#fetch(known);
      } catch (error) {
        signal.throwIfAborted();
        if (!(error instanceof ListFault)) throw error;
        failure = error.cause;
        // The same hashes would fail again.
        this.#refuted.add(known.root);
      }
    }
    signal.throwIfAborted();
    if (failure !== null) throw failure;
    return null;
  }

  /** The file where it need not be fetched: it came whole before, or is a part of another model. */
  async #present(): Promise<WholeFile | null> {
    const { sha256, size, name } = this.#wanted;
    const { shelf, signal } = this.#options;
    const info = await Deno.lstat(this.#at).catch(() => null);
    // It was checked before it got this name; but it may have lain there for long.
    if (info !== null && info.isFile && await fileDigest(this.#at, { signal }) === sha256) {
      return { at: this.#at, name, size: info.size, sha256 };
    }
    if (info !== null) await Deno.remove(this.#at, { recursive: true }).catch(() => {});
    const other = shelf?.fileOf(sha256);
    if (other === undefined || (size !== null && other.size !== size)) return null;
    return await copyBlob(other, this.#at, signal) ? { at: this.#at, name, size: other.size, sha256 } : null;
  }

  /** Hashes of the chunks, of whoever gives them, the likeliest first. */
  async *#lists(): AsyncGenerator<KnownList> {
    const { sha256, size, root } = this.#wanted;
    const { peers, signal } = this.#options;
    const kept = await keptList(this.#part, size);
    if (kept !== null && (root === null || kept.root === root)) yield kept;
    const found: KnownList[] = [];
    for (const peer of await this.#holders()) {
      if (this.#asked.size >= MOST_LISTS) break;
      if (this.#liars.has(peer.id) || this.#asked.has(peer.id)) continue;
      this.#asked.add(peer.id);
      const known = await listOf(peers, { peer, sha256, size, signal }).catch(() => null);
      signal.throwIfAborted();
      if (known === null || this.#refuted.has(known.root)) continue;
      // One that is not what the manifest says is the last resort.
      if (root !== null && known.root !== root) found.push(known);
      else yield known;
    }
    for (const known of found) if (!this.#refuted.has(known.root)) yield known;
  }

  /** Peers that have at least a part of the file. */
  async #holders(): Promise<SwarmPeer[]> {
    const { peers, signal } = this.#options;
    const { sha256 } = this.#wanted;
    const soon = AbortSignal.any([signal, AbortSignal.timeout(HAVE_MS)]);
    const all = await Promise.all(
      peers.list().map(async (peer) => {
        const probe = new PeerSource(peers, { peer, sha256, size: this.#wanted.size ?? 1 });
        return await probe.exists(soon) ? peer : null;
      }),
    );
    return all.filter((peer) => peer !== null);
  }

  async #fetch(known: KnownList): Promise<WholeFile> {
    const { sha256, models, name } = this.#wanted;
    const { limits, shelf, sharing, signal, done } = this.#options;
    const { size, list } = { size: known.list.size, list: known.list };
    await this.#takeOver();
    const info = await Deno.lstat(this.#part).catch(() => null);
    // A file that is not whole has holes: only the blocks that are written take room.
    const written = info?.isFile ? Math.min(size, (info.blocks ?? 0) * 512) : 0;
    await checkRoom(dirname(this.#part), { needed: size - written, limits });
    await using part = await PartBlob.open(this.#part, { sha256, size, list: known.list, signal });
    await keepList(this.#part, known);
    using _shared = sharing ? shelf?.share(part, models) : undefined;
    const bad = new Map<string, PieceSource>();
    for (let repair = 1;; repair++) {
      try {
        done(await this.#round(part, bad));
      } catch (error) {
        signal.throwIfAborted();
        this.#settle(bad, { known, proven: false });
        // Where pieces were wrong, the hashes may be what is wrong.
        throw bad.size > 0 ? new ListFault(error) : error;
      }
      try {
        await part.finish(this.#at);
        break;
      } catch (error) {
        signal.throwIfAborted();
        if (part.have.full) throw this.#refute(known, error);
        if (repair >= MOST_REPAIRS) throw error;
      }
    }
    this.#settle(bad, { known, proven: true });
    await Deno.remove(listPath(this.#part)).catch(() => {});
    return { at: this.#at, name, size, sha256, list };
  }

  /** What was downloaded from the origin alone, before there were peers, is the beginning. */
  async #takeOver(): Promise<void> {
    const before = `${this.#wanted.path}.part`;
    const [there, here] = await Promise.all([before, this.#part].map((path) => Deno.lstat(path).catch(() => null)));
    if (!there?.isFile || here !== null) return;
    await Deno.rename(before, this.#part).catch(() => {});
    await Deno.remove(`${before}.json`).catch(() => {});
  }

  async #round(
    part: PartBlob,
    bad: Map<string, PieceSource>,
  ): Promise<FetchReport> {
    const { peers, signal, tell, wrong, link, limits } = this.#options;
    const origin = this.#wanted.origin(part.size);
    const source = (peer: SwarmPeer) => new PeerSource(peers, { peer, sha256: part.sha256, size: part.size });
    const sources: PieceSource[] = [...this.#honest().map(source), ...origin === null ? [] : [origin]];
    return await fetchBlob(part, {
      sources,
      signal,
      tell,
      link,
      idleMs: limits.idleMs,
      first: chunkLength(part.size, 0) < part.size ? 1 : 0,
      wrong: (from, barred) => {
        bad.set(from.key, from);
        if (barred) wrong(from, "it sent pieces that are not what they should be");
      },
      discover: async (others, soon) => {
        const found = this.#honest().filter(({ id }) => !others.has(id)).map(source);
        const there = await Promise.all(found.map((one) => one.exists(soon)));
        return found.filter((_, index) => there[index]);
      },
    });
  }

  #honest(): SwarmPeer[] {
    return this.#options.peers.list().filter(({ id }) => !this.#liars.has(id));
  }

  /** Scores those who sent wrong pieces, where it is certain that they did: the file proved the hashes, or they gave them. */
  #settle(bad: ReadonlyMap<string, PieceSource>, { known, proven }: { known: KnownList; proven: boolean }): void {
    const { peers } = this.#options;
    for (const { key, kind } of bad.values()) {
      if (kind === "peer" && (proven || known.giver?.id === key)) peers.offended(key);
    }
  }

  /** The hashes were none of this file. */
  #refute(known: KnownList, error: unknown): ListFault {
    const { peers, wrong } = this.#options;
    if (known.giver !== null) {
      this.#liars.add(known.giver.id);
      peers.offended(known.giver.id);
      wrong(
        { key: known.giver.id, name: known.giver.name, kind: "peer" },
        "the hashes of pieces that it told are not this file's",
      );
    }
    return new ListFault(error);
  }
}

/** The hashes of the chunks may be wrong, because of what it was caused by. */
class ListFault extends Error {
  constructor(cause: unknown) {
    super("The hashes of the pieces may be wrong", { cause });
  }
}
