import type { ModelManifest, ModelRef } from "@ark/node/protocol";
import { recordOf } from "../blobs/manifest_record.ts";
import type { BlobShelf } from "../blobs/blob_shelf.ts";
import type { WholeFile } from "../blobs/obtain_files.ts";
import type { DownloadLimits } from "../pull/download.ts";
import type { PlannedFile, PullPlan } from "../pull/pull_plan.ts";
import type { PullProgress } from "../pull/pull_progress.ts";
import type { PullRef } from "../pull/pull_ref.ts";
import { chosenPeers, findHolders } from "./holders.ts";
import { LazyOrigin } from "./lazy_origin.ts";
import { OriginSource } from "./origin_source.ts";
import { fetchFromSwarm } from "./swarm_file.ts";
import type { SwarmPeers } from "./swarm_peers.ts";

/** Options of {@linkcode ModelSwarm}. */
export interface ModelSwarmOptions {
  /** Approved peers. */
  peers: SwarmPeers;
  /** What is here already, and where chunks that came are given to others; null where nothing is. */
  shelf: Pick<BlobShelf, "share" | "fileOf" | "modelsOf"> | null;
}

/** What a pull asks of the swarm. */
export interface SwarmPull {
  /** The peer that the owner named. */
  from?: string | undefined;
  /** Ends it. */
  signal: AbortSignal;
  /** Told what happens. */
  tell(progress: PullProgress): void;
}

/** A model that peers have. */
export interface PeerPlan extends PullPlan {
  /** The model of this node that is the very same, or null. */
  readonly twin: string | null;
}

/** The origin of a plain name, where the owner set one: who it is, and what it has. */
export interface PlainOrigin {
  /** Who it is, as the owner is told. */
  name: string;
  /** Asks what it has under the name. */
  look(signal: AbortSignal): Promise<PullPlan>;
}

/** Approved peers as those from whom models come. What they say decides nothing: the owner names a model, and digests count. */
export class ModelSwarm {
  readonly #options: ModelSwarmOptions;
  /** Most bytes a second that came so far. */
  #link = 0;

  /** Makes one. */
  constructor(options: ModelSwarmOptions) {
    this.#options = options;
  }

  /**
   * What peers have under a plain name; null where nobody has anything.
   *
   * @throws {ArkError} `bad_request` where the owner has to choose.
   */
  async plan(
    ref: Extract<PullRef, { kind: "ollama" }>,
    { asked, origin, from, signal, tell }: SwarmPull & { asked: ModelRef; origin: PlainOrigin | null },
  ): Promise<PeerPlan | null> {
    const peers = chosenPeers(this.#options.peers, from);
    const held = await findHolders(peers, { model: asked, signal });
    if (held === null) return null;
    const { manifest, holders } = held;
    const names = holders.slice(0, 4).map(({ name }) => name).join(", ");
    const digest = manifest.files[0]?.sha256.slice(0, 12) ?? "";
    tell({ status: `found ${manifest.files.length === 1 ? "" : "files, first "}sha256 ${digest} at ${names}` });
    const name = nameFor(ref, { asked, manifest });
    const folder = `peers/${ref.namespace}/${name.slice(name.lastIndexOf("/") + 1).replace(":", "-")}`;
    return {
      files: manifest.files.map(({ name: file, sha256, size, root }) => ({
        url: null,
        name: `${folder}/${file}`,
        sha256,
        size,
        root,
        origin: (bytes: number) =>
          origin === null ? null : new LazyOrigin({
            name: origin.name,
            sha256,
            size: bytes,
            look: async (soon) => (await origin.look(soon)).files,
          }),
      })),
      record: recordOf(manifest, name),
      twin: this.#twinOf(manifest),
    };
  }

  /** Fetches a file of a plan from peers; null where none has it, so that its origin is left alone. */
  async fetch(
    file: PlannedFile,
    { path, root: store, models, limits, sharing, from, signal, tell, progress }: SwarmPull & {
      path: string;
      root: string;
      models: readonly string[];
      limits: DownloadLimits;
      sharing: boolean;
      progress(progress: Omit<PullProgress, "status" | "digest">): void;
    },
  ): Promise<WholeFile | null> {
    const { sha256, size, url, name, root = null } = file;
    if (sha256 === null) return null;
    const { shelf } = this.#options;
    return await fetchFromSwarm({
      sha256,
      size,
      name,
      path,
      root,
      models,
      origin: (bytes) =>
        url === null ? file.origin?.(bytes) ?? null : new OriginSource(url, { size: bytes, token: file.token ?? null }),
    }, {
      peers: chosenPeers(this.#options.peers, from),
      root: store,
      shelf,
      sharing,
      limits,
      link: this.#link,
      signal,
      tell: ({ completed, total, speed, secondsLeft, sources }) =>
        progress({
          completed,
          total,
          speed: Math.round(speed),
          ...secondsLeft === null ? {} : { seconds_left: Math.ceil(secondsLeft) },
          sources: sources.slice(0, 16).map((source) => ({
            name: source.name,
            speed: Math.round(source.speed),
            share: Math.round(source.share * 100) / 100,
          })),
        }),
      wrong: (source, what) =>
        tell({ status: `dropped ${source.name}: ${what}`, ...source.kind === "peer" ? { wrong: source.key } : {} }),
      done: ({ link }) => this.#link = Math.max(this.#link, link),
    });
  }

  /** A model that is here and has exactly the files of a manifest. */
  #twinOf({ files }: ModelManifest): string | null {
    const { shelf } = this.#options;
    const [only, ...more] = files;
    // Models of several files share parts: they are put together anew, from what is here.
    if (shelf === null || only === undefined || more.length > 0) return null;
    return shelf.fileOf(only.sha256) === undefined ? null : shelf.modelsOf(only.sha256)[0] ?? null;
  }
}

/** What the model is called here: as the owner asked, with the peer's tag only where he named none. */
function nameFor(
  { text }: Extract<PullRef, { kind: "ollama" }>,
  { asked, manifest }: { asked: ModelRef; manifest: ModelManifest },
): string {
  const tagged = asked.lastIndexOf(":") > asked.lastIndexOf("/");
  const told = manifest.model.toLowerCase();
  const plain = text.slice(0, text.lastIndexOf(":"));
  const tag = told.slice(told.lastIndexOf(":") + 1);
  return !tagged && told === `${plain}:${tag}` && /^[a-z0-9_][a-z0-9._-]{0,100}$/.test(tag) ? told : text;
}
