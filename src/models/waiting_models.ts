import { createHash } from "node:crypto";
import { join } from "node:path";
import { ArkError, isBlobId, isBlobSize, isSafeName } from "@ark/node/protocol";
import { writeDurably } from "@ark/node/store";
import { hiddenFolder } from "./blobs/parts_folder.ts";
import type { WholeFile } from "./blobs/obtain_files.ts";
import { plainName } from "./model_ids.ts";
import { type OwnRecord, parseRecord } from "./own_records.ts";

/** A model that came, was found to be one, and waits until the owner approves it. */
export interface WaitingModel {
  /** `name:tag`, as whoever gave it calls it. */
  readonly name: string;
  /** Who gave it, for people: a peer, a folder, or an address. */
  readonly from: string;
  /** When it came, RFC 3339. */
  readonly at: string;
  /** Bytes of its files. */
  readonly size: number;
  /** What becomes of it in the store. */
  readonly record: OwnRecord;
  /** SHA-256 in hex of its chat template, where it has one: what tells whether it changed. */
  readonly template: string | null;
}

const MOST_WAITING = 256;
const MOST_BYTES = 4 << 20;
const NOTE = "model.json";

/**
 * Models that wait for the owner's approval: each in a hidden folder of its own in the store, so that nothing loads one or gives
 * it to a peer, this program or another version of it.
 */
export class WaitingModels {
  readonly #root: string;

  /** Those in a store's folder. */
  constructor(root: string) {
    this.#root = root;
  }

  /** All of them, the oldest first. What is damaged is left out. */
  async list(): Promise<WaitingModel[]> {
    return (await this.#all()).map(({ model }) => model);
  }

  /**
   * Takes files that are whole and were found to be a model; a model of the same name and files waits once.
   *
   * @throws {ArkError} `unavailable` where it cannot be written, or too many wait.
   */
  async add(
    { record, from, at }: Pick<WaitingModel, "record" | "from" | "at"> & { record: OwnRecord },
    { name, files, template }: { name: string; files: readonly WholeFile[]; template: string | null },
  ): Promise<WaitingModel> {
    const all = await this.#all();
    const key = keyOf(name, record);
    if (all.length >= MOST_WAITING && all.every((one) => one.key !== key)) {
      throw new ArkError("unavailable", `${MOST_WAITING} models wait already: approve or remove some of them first`);
    }
    const folder = join(await hiddenFolder(this.#root, ".waiting"), key);
    try {
      await Deno.mkdir(folder, { recursive: true, mode: 0o700 });
      for (const { at, sha256 } of files) {
        const to = join(folder, `sha256-${sha256}`);
        // A model may have two files of the same bytes.
        if (at !== to && await isFile(at)) await Deno.rename(at, to);
      }
      const size = new Map(files.map(({ sha256, size }) => [sha256, size])).values().reduce(
        (sum, each) => sum + each,
        0,
      );
      const model = { name, from, at, size, record, template };
      await writeDurably(join(folder, NOTE), JSON.stringify({ version: 1, ...model }, null, 2) + "\n");
      return model;
    } catch (error) {
      if (error instanceof ArkError) throw error;
      throw new ArkError("unavailable", `Cannot write ${folder}: the disk may be full or the folder read-only`, {
        cause: error,
      });
    }
  }

  /**
   * The one that a name means.
   *
   * @throws {ArkError} `model_not_found`
   */
  async find(name: string): Promise<{ model: WaitingModel; files: WholeFile[] }> {
    const found = await this.#find(name);
    if (found === undefined) throw new ArkError("model_not_found", `No model ${name} waits for approval`);
    const { model, key } = found;
    const folder = join(this.#root, ".waiting", key);
    const files = model.record.files.map(({ name, size, sha256 }) => ({
      at: join(folder, `sha256-${sha256}`),
      name,
      size,
      sha256,
    }));
    return { model, files };
  }

  /** Removes one with its files; false where there is none of that name. */
  async remove(name: string): Promise<boolean> {
    const found = await this.#find(name);
    if (found === undefined) return false;
    await Deno.remove(join(this.#root, ".waiting", found.key), { recursive: true });
    return true;
  }

  async #find(name: string): Promise<{ key: string; model: WaitingModel } | undefined> {
    return (await this.#all()).find(({ model }) => plainName(model.name) === plainName(name));
  }

  async #all(): Promise<{ key: string; model: WaitingModel }[]> {
    const found: { key: string; model: WaitingModel }[] = [];
    const folder = join(this.#root, ".waiting");
    if (!(await Deno.lstat(folder).catch(() => null))?.isDirectory) return [];
    for await (const { name: key, isDirectory } of Deno.readDir(folder)) {
      if (!isDirectory || !/^[0-9a-f]{16}$/.test(key)) continue;
      const model = await readNote(join(folder, key, NOTE));
      if (model !== null && keyOf(model.name, model.record) === key) found.push({ key, model });
    }
    return found.sort((a, b) => a.model.at < b.model.at ? -1 : 1);
  }
}

function keyOf(name: string, { files }: OwnRecord): string {
  const text = JSON.stringify([name, files.map(({ sha256 }) => sha256)]);
  return createHash("sha256").update(text).digest("hex").slice(0, 16);
}

async function readNote(path: string): Promise<WaitingModel | null> {
  try {
    const { size: bytes, isFile } = await Deno.lstat(path);
    if (!isFile || bytes > MOST_BYTES) return null;
    const { version, name, from, at, size, record, template } = Object(JSON.parse(await Deno.readTextFile(path)));
    const parsed = parseRecord(record);
    const sound = version === 1 && [name, from, at].every((text) => typeof text === "string") && isBlobSize(size) &&
      parsed.files.length > 0 &&
      parsed.files.every((file) => isBlobId(file.sha256) && file.name.split("/").every(isSafeName));
    if (!sound) return null;
    return { name, from, at, size, record: parsed, template: isBlobId(template) ? template : null };
  } catch {
    return null;
  }
}

async function isFile(path: string): Promise<boolean> {
  return (await Deno.lstat(path).catch(() => null))?.isFile ?? false;
}
