import { dirname, relative, sep } from "node:path";
import { setTimeout as pause } from "node:timers/promises";
import { ArkError, type ModelRef, type SignedManifest } from "@ark/node/protocol";
import type { Events, Logger } from "@ark/node/telemetry";
import type { BlobShelf } from "./blobs/blob_shelf.ts";
import { recordOf, sharedFolder } from "./blobs/manifest_record.ts";
import { type FileOrigin, obtainFiles } from "./blobs/obtain_files.ts";
import { gigabytes } from "./blobs/disk_room.ts";
import { type DiskUse, diskUse, purgeParts } from "./blobs/stale_parts.ts";
import type { LocalModel } from "./local_model.ts";
import type { ModelCatalogue } from "./model_catalogue.ts";
import { isModelAlias, plainName } from "./model_ids.ts";
import { ModelInstaller } from "./model_installer.ts";
import type { OwnRecords } from "./own_records.ts";
import { DOWNLOAD_LIMITS, type DownloadLimits } from "./pull/download.ts";
import { fetchPlan, type FromPeers, placeOf } from "./pull/install.ts";
import { planHuggingFace } from "./pull/huggingface_repository.ts";
import { planOllama } from "./pull/ollama_registry.ts";
import type { PlannedFile, PullPlan } from "./pull/pull_plan.ts";
import type { PullProgress } from "./pull/pull_progress.ts";
import { folderOf, parsePullRef, type PullRef } from "./pull/pull_ref.ts";
import { pullEvents } from "./pull/pull_events.ts";
import { SharedPull } from "./pull/shared_pull.ts";
import { ModelSwarm, type PeerPlan } from "./swarm/model_swarm.ts";
import type { SwarmPeers } from "./swarm/swarm_peers.ts";
import { type WaitingModel, WaitingModels } from "./waiting_models.ts";

/** Options of {@linkcode ModelStore}. */
export interface ModelStoreOptions {
  /** Knows what is here, and looks again when something came or went. */
  catalogue: Pick<ModelCatalogue, "find" | "refresh" | "learn">;
  /** What the store remembers; its folder is the store's. */
  records: OwnRecords;
  /** Base URL of Hugging Face, without a slash at its end. @default {"https://huggingface.co"} */
  huggingFaceEndpoint?: string;
  /** The owner's token for Hugging Face, or null for none; shown to the endpoint alone. @default {null} */
  huggingFaceToken?: string | null;
  /** Base URL of the registry of plain names, or null for none. @default {null} */
  ollamaRegistry?: string | null;
  /** Times and sizes, for tests. */
  limits?: Partial<DownloadLimits>;
  /** Hears what comes and goes. */
  logger?: Pick<Logger, "info" | "warn">;
  /** Told how far pulls are, once a second. */
  events?: Pick<Events, "emit">;
  /** Whether each new model waits until the owner approves it. @default {false} */
  approval?: boolean;
  /** Knows which files are here already, and gives what comes to others. */
  shelf?: Pick<BlobShelf, "fileOf" | "share" | "manifest" | "find" | "modelsOf">;
}

/** Options of {@linkcode ModelStore.pull}. */
export interface PullOptions {
  /** Ends it for the one who called. */
  signal: AbortSignal;
  /** The peer from which it is to come, by its name or the beginning of its id. */
  from?: string | undefined;
}

/** Options of {@linkcode ModelStore.obtain}. */
export interface ObtainModelOptions {
  /** Where the bytes come from. */
  origin: FileOrigin;
  /** Who that is, for people. */
  from: string;
  /** Ends it; what came stays. */
  signal: AbortSignal;
  /** Told how far it is. */
  tell(progress: PullProgress): void;
}

/** Most pulls at once. */
const MOST_PULLS = 4;

/**
 * The node's own models: fetches them, removes them, gives them second names. Only the owner calls it; no peer can.
 *
 * A pull goes on as long as somebody follows it. What came stays when the last one leaves, the node ends or the connection
 * breaks, and the next pull of the same goes on from there. Nothing becomes a model before its size, its digest (where its
 * source states one) and its header are as they should be.
 */
export class ModelStore {
  readonly #options: ModelStoreOptions;
  readonly #limits: DownloadLimits;
  readonly #waiting: WaitingModels;
  readonly #installer: ModelInstaller;
  readonly #pulls = new Map<string, SharedPull>();
  readonly #turns = new Map<string, Promise<void>>();
  #swarm: ModelSwarm | null = null;

  /** Makes a store over the folder of the records. */
  constructor(options: ModelStoreOptions) {
    this.#options = options;
    this.#limits = { ...DOWNLOAD_LIMITS, ...options.limits };
    const { catalogue, records, logger, approval = false } = options;
    this.#waiting = new WaitingModels(records.root);
    this.#installer = new ModelInstaller({ catalogue, records, waiting: this.#waiting, approval, logger });
  }

  /** The times and sizes of this store. */
  get limits(): DownloadLimits {
    return this.#limits;
  }

  /**
   * Makes a model of what a manifest says, whose bytes come from anywhere: each chunk, the whole and the header are checked. Its
   * name is the manifest's; files that are here already are not fetched.
   *
   * @throws {ArkError} with a sentence; what came stays. @throws the signal's reason when it is aborted.
   */
  async obtain({ manifest }: SignedManifest, { origin, from, signal, tell }: ObtainModelOptions): Promise<void> {
    const { records: { root }, shelf = null } = this.#options;
    const folder = sharedFolder(manifest);
    await this.#inTurn(folder, async () => {
      const found = await obtainFiles(manifest, {
        root,
        shelf,
        sharing: !this.#installer.approval,
        placeOf: (name) => placeOf(root, `${folder}/${name}`),
        limits: this.#limits,
        origin,
        signal,
        tell,
      });
      const files = found.map((file) => ({ ...file, name: `${folder}/${file.name}` }));
      await this.#installer.admit({ record: recordOf(manifest), files, from }, { signal, tell });
    });
  }

  /** Models that came and wait until the owner approves them. */
  waiting(): Promise<WaitingModel[]> {
    return this.#waiting.list();
  }

  /**
   * Makes a model of one that waits.
   *
   * @throws {ArkError} `model_not_found`, `unavailable`
   */
  approve(name: string, signal: AbortSignal): Promise<WaitingModel> {
    return this.#installer.approve(name, signal);
  }

  /** What the store's folder holds that is no model yet: bytes of what is being fetched or was begun, and of what waits. */
  diskUse(): Promise<DiskUse> {
    return diskUse(this.#options.records.root);
  }

  /** Removes what was begun and not gone on with for 30 days, now and once a day, until the signal is aborted. */
  async run(signal: AbortSignal): Promise<void> {
    const { records: { root }, logger } = this.#options;
    while (!signal.aborted) {
      const { files, bytes } = await purgeParts(root);
      if (files > 0) {
        const reason = `${gigabytes(bytes)}, not gone on with for 30 days`;
        logger?.info("Removed what was left of pulls", { count: files, reason });
      }
      await pause(86_400_000, undefined, { signal }).catch(() => {});
    }
  }

  /** Lets models come from approved peers as well, from now on. */
  join(peers: SwarmPeers): void {
    this.#swarm = new ModelSwarm({ peers, shelf: this.#options.shelf ?? null });
  }

  /**
   * Fetches a model: `hf.co/ORG/REPO[:QUANT]`, the `https` address of a `.gguf` file, with `#sha256=` behind it where its
   * digest is known, or `NAME:TAG` from approved peers, else from the Ollama registry that the owner set. Peers that have a
   * file of the same digest help whatever it was asked by. It is here when the iteration ends. Whoever asks for what is being
   * fetched already follows that.
   *
   * @throws {ArkError} from the iteration: `bad_request`, `busy`, `model_not_found`, `forbidden`, `unavailable`, `too_large`,
   * `cancelled`.
   */
  async *pull(ref: ModelRef, { signal, from }: PullOptions): AsyncGenerator<PullProgress> {
    const wanted = parsePullRef(ref);
    if (wanted.kind === "ollama" && this.#swarm === null && (this.#options.ollamaRegistry ?? null) === null) {
      throw noSource(wanted.text);
    }
    if (from !== undefined && this.#swarm === null) {
      throw new ArkError("bad_request", "This node has no peers to fetch a model from");
    }
    if (signal.aborted) throw new ArkError("cancelled", "The pull was cancelled");
    const key = `${folderOf(wanted)} ${wanted.text.toLowerCase()} ${from?.toLowerCase() ?? ""}`;
    let pull = this.#pulls.get(key);
    if (pull === undefined || !pull.open) {
      await pull?.done;
      if (this.#pulls.size >= MOST_PULLS) {
        throw new ArkError("busy", `${MOST_PULLS} models are being fetched already: wait for one of them`, {
          retryAfterSeconds: 60,
        });
      }
      const begun = pull = new SharedPull((options) => this.#fetch(wanted, { ...options, asked: ref, from }));
      this.#pulls.set(key, begun);
      begun.done.finally(() => this.#pulls.get(key) === begun && this.#pulls.delete(key));
    }
    try {
      yield* pull.follow(signal);
    } catch (error) {
      if (signal.aborted) {
        throw new ArkError("cancelled", "The pull was cancelled; what came is kept", { cause: error });
      }
      if (error instanceof ArkError) throw error;
      const { name, code } = Object(error) as { name?: unknown; code?: unknown };
      this.#options.logger?.warn("A pull failed", { reason: String(code ?? name) });
      const sentence =
        `Cannot keep the model in ${this.#options.records.root} (${String(code ?? name)}): it must be a ` +
        "folder that the node may write";
      throw new ArkError("unavailable", sentence, { cause: error });
    }
  }

  /**
   * Removes a model of the own store with its files, or one that waits for approval. A name that was given by {@linkcode copy} is removed alone, and a model
   * that has such names keeps its files, and goes on under the first of them.
   *
   * @throws {ArkError} `model_not_found` where there is none of that name, `forbidden` where it lies elsewhere.
   */
  async remove(ref: ModelRef): Promise<void> {
    const { catalogue, records, logger } = this.#options;
    if (catalogue.find(ref) === undefined && await this.#waiting.remove(ref)) return;
    const model = this.#find(ref);
    const name = plainName(ref);
    await records.refresh();
    const { aliases } = records.contents;
    const given = Object.keys(aliases).find((alias) => plainName(alias) === name);
    const isOwnName = model.id === ref.toLowerCase() || plainName(model.id) === name;
    if (given !== undefined && !isOwnName) {
      await records.update(({ models, aliases: { [given]: _, ...rest } }) => ({ models, aliases: rest }));
      await catalogue.refresh();
      return;
    }
    if (model.source !== "own") throw elsewhere(model);
    const first = await this.#nameInStore(model.path);
    const asked = records.contents.models[first]?.ref ?? "";
    if (!isOwnName && plainName(asked) !== name && model.aliases.some((alias) => plainName(alias) === name)) {
      throw new ArkError(
        "forbidden",
        `${ref} is a second name of ${model.id} by --alias: remove ${model.id}, or the flag`,
      );
    }
    const [heir] = Object.entries(aliases).filter(([alias, target]) =>
      catalogue.find(target)?.path === model.path && model.aliases.includes(alias)
    );
    if (heir !== undefined) {
      const [alias] = heir;
      await records.update(({ models, aliases: { [alias]: _, ...rest } }) => ({
        models: { ...models, [first]: { ...models[first] ?? UNRECORDED, name: withTag(alias) } },
        aliases: Object.fromEntries(
          Object.entries(rest).map(([key, target]) => [key, target === model.id ? withTag(alias) : target]),
        ),
      }));
    } else {
      for (const file of model.files) await Deno.remove(file);
      await this.#tidy(dirname(model.path));
      await records.update(({ models: { [first]: _, ...rest }, aliases }) => ({ models: rest, aliases }));
      logger?.info("Removed a model", { model: model.id, path: model.path });
    }
    await catalogue.refresh();
  }

  /**
   * Gives a model a second name. It may lie anywhere.
   *
   * @throws {ArkError} `model_not_found`, `bad_request` where the name is a model's own or cannot be one.
   */
  async copy(from: ModelRef, to: string): Promise<void> {
    const { catalogue, records } = this.#options;
    const model = this.#find(from);
    const name = plainName(to);
    if (!isModelAlias(name)) {
      throw new ArkError("bad_request", "A model's name has letters, digits and . _ : / - between them");
    }
    const known = catalogue.find(name);
    await records.refresh();
    const given = Object.hasOwn(records.contents.aliases, name);
    if (known !== undefined && !given && known.id !== model.id) {
      throw new ArkError("bad_request", `The name ${name} is taken by ${known.id}: choose another one`);
    }
    if (known !== undefined && !given && plainName(known.id) === name) return;
    await records.update(({ models, aliases }) => ({ models, aliases: { ...aliases, [name]: model.id } }));
    await catalogue.refresh();
  }

  #find(ref: ModelRef): LocalModel {
    const model = this.#options.catalogue.find(ref);
    if (model !== undefined) return model;
    throw new ArkError("model_not_found", `There is no model ${ref} on this node`);
  }

  async #fetch(
    ref: PullRef,
    options: PullWork,
  ): Promise<void> {
    const { events } = this.#options;
    const told = events === undefined ? null : pullEvents(ref.text, events);
    try {
      await this.#fetchPlan(ref, {
        ...options,
        tell(progress) {
          told?.progress(progress);
          options.tell(progress);
        },
      });
      told?.end("done");
    } catch (error) {
      told?.end("failed");
      throw error;
    }
  }

  async #fetchPlan(ref: PullRef, { signal, tell, asked, from }: PullWork): Promise<void> {
    const { records: { root } } = this.#options;
    const swarm = this.#swarm;
    tell({ status: "pulling manifest" });
    const plan = await this.#plan(ref, { signal, tell, asked, from });
    if ("twin" in plan && plan.twin !== null && plan.record.name !== null) {
      tell({ status: `${plan.twin} is the very same: nothing is fetched` });
      await this.copy(plan.twin, plan.record.name);
      tell({ status: "success" });
      return;
    }
    const models = [plan.record.name ?? ref.text];
    const limits = this.#limits;
    const fromPeers = swarm === null
      ? undefined
      : (file: PlannedFile, to: FromPeers) =>
        swarm.fetch(file, { ...to, root, models, limits, sharing: !this.#installer.approval, from, signal, tell });
    // Two references of one repository may mean the same file.
    await this.#inTurn(folderOf(ref), async () => {
      const files = await fetchPlan(plan, {
        root,
        limits,
        signal,
        tell,
        ...fromPeers === undefined ? {} : { fromPeers },
      });
      await this.#installer.admit({ record: plan.record, files, from: ref.text }, { signal, tell });
    });
    tell({ status: "success" });
  }

  async #inTurn<T>(folder: string, work: () => Promise<T>): Promise<T> {
    const turn = (this.#turns.get(folder) ?? Promise.resolve()).then(work);
    const settled = turn.then(() => {}, () => {});
    this.#turns.set(folder, settled);
    settled.then(() => this.#turns.get(folder) === settled && this.#turns.delete(folder));
    return await turn;
  }

  async #plan(ref: PullRef, { signal, tell, asked, from }: PullWork): Promise<PullPlan | PeerPlan> {
    const { huggingFaceEndpoint: endpoint = "https://huggingface.co", ollamaRegistry } = this.#options;
    const { huggingFaceToken: token = null } = this.#options;
    switch (ref.kind) {
      case "huggingface":
        return await planHuggingFace(ref, { endpoint, token, signal });
      case "ollama": {
        const registry = ollamaRegistry ?? null;
        const look = (soon: AbortSignal) => planOllama(ref, { registry: registry ?? "", signal: soon });
        const origin = registry === null ? null : { name: new URL(registry).host, look };
        const held = await this.#swarm?.plan(ref, { asked, origin, from, signal, tell }) ?? null;
        if (held !== null) return held;
        if (from !== undefined) {
          throw new ArkError("model_not_found", `${from} has no ${ref.text} for this node, or does not answer now`);
        }
        if (registry === null) throw noSource(ref.text);
        return await look(signal);
      }
      case "url": {
        const { url, fileName, sha256, text } = ref;
        const known = url.origin === new URL(endpoint).origin ? { token } : {};
        const file = { url, name: `${folderOf(ref)}/${fileName}`, size: null, sha256, ...known };
        return { files: [file], record: { ref: text, name: null, template: null, system: null, defaults: {} } };
      }
    }
  }

  async #nameInStore(path: string): Promise<string> {
    const root = await Deno.realPath(this.#options.records.root);
    if (!path.startsWith(root + sep)) throw new ArkError("forbidden", "The file does not lie in this node's own store");
    return relative(root, path).replaceAll(sep, "/");
  }

  /** Removes folders that are empty now, up to the store's own. */
  async #tidy(directory: string): Promise<void> {
    const root = await Deno.realPath(this.#options.records.root);
    for (let at = directory; at.startsWith(root + sep); at = dirname(at)) {
      try {
        await Deno.remove(at);
      } catch {
        return;
      }
    }
  }
}

/** What the work of a pull is told and tells. */
interface PullWork {
  /** Ends it. */
  signal: AbortSignal;
  /** Told what happens. */
  tell(progress: PullProgress): void;
  /** As the owner wrote it. */
  asked: ModelRef;
  /** The peer that he named. */
  from: string | undefined;
}

function noSource(name: string): ArkError {
  return new ArkError(
    "bad_request",
    `This node fetches no plain names such as ${name} but from peers, and no approved one gives it: start it with ` +
      "--ollama-registry https://registry.ollama.ai, or name a repository, hf.co/ORG/REPO:QUANT",
  );
}

const UNRECORDED = { ref: null, name: null, files: [], template: null, system: null, defaults: {} };

function withTag(name: string): string {
  return name.lastIndexOf(":") > name.lastIndexOf("/") ? name : `${name}:latest`;
}

function elsewhere({ id, source, path }: LocalModel): ArkError {
  const whose = source === "ollama"
    ? `belongs to Ollama: remove it with 'ollama rm ${id}'`
    : source === "huggingface"
    ? "belongs to the cache of Hugging Face's tools: remove it with 'hf cache delete'"
    : `is the owner's own file: remove ${path} by hand`;
  return new ArkError("forbidden", `This node removes only what it fetched itself; ${id} ${whose}`);
}
