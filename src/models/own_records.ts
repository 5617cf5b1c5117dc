import { join, resolve } from "node:path";
import { ArkError, decodeGenerationParameters, type GenerationParameters } from "@ark/node/protocol";
import { writeDurably } from "@ark/node/store";
import { millisecondsOf } from "./model_folder.ts";
import { isModelAlias } from "./model_ids.ts";
import { MOST_PARTS } from "./split_model.ts";

/** A file of a model that was fetched. */
export interface RecordedFile {
  /** Name within the store's folder, with `/` between its parts. */
  readonly name: string;
  /** Bytes. */
  readonly size: number;
  /** SHA-256 in hex, as it was computed when the file came. */
  readonly sha256: string;
}

/** What the node's own store knows of a model beside its file. */
export interface OwnRecord {
  /** What it was asked for by, such as `hf.co/ORG/REPO:Q4_K_M`, or null for a file that the owner put there. */
  readonly ref: string | null;
  /** `name:tag` where the source or the owner named it, or null where its metadata do. */
  readonly name: string | null;
  /** Its files in order. */
  readonly files: readonly RecordedFile[];
  /** Chat template in Go's language, or null. */
  readonly template: string | null;
  /** System message, or null. */
  readonly system: string | null;
  /** How it writes where a request does not say. */
  readonly defaults: GenerationParameters;
  /** Its licence, where it came with the model. */
  readonly license?: string;
}

/** All that the store remembers. */
export interface OwnContents {
  /** Models by the name of their first file within the store's folder, with `/` between its parts. */
  readonly models: Readonly<Record<string, OwnRecord>>;
  /** Second names, lower case, and the id of the model that each means. */
  readonly aliases: Readonly<Record<string, string>>;
}

const FILE_NAME = ".ark-models.json";
const MOST_BYTES = 16 << 20;
const MOST_ENTRIES = 4_096;
const NOTHING: OwnContents = { models: {}, aliases: {} };

/**
 * What the node's own store remembers of its models: `.ark-models.json` in the store's folder, which a person can read. It is
 * replaced as a whole, so that a crash leaves the old text or the new one. Where it cannot be read, the models are there all
 * the same by their files, and nothing is written until the owner has repaired or removed it.
 */
export class OwnRecords {
  /** The store's folder, absolute. */
  readonly root: string;
  readonly #path: string;
  #contents: OwnContents = NOTHING;
  #stamp = "";
  #fault: string | null = null;
  #turn: Promise<unknown> = Promise.resolve();

  /** Keeps the records of a folder. */
  constructor(root: string) {
    this.root = resolve(root);
    this.#path = join(this.root, FILE_NAME);
  }

  /** What was there at the last {@linkcode refresh} or {@linkcode update}. */
  get contents(): OwnContents {
    return this.#contents;
  }

  /** Why the file cannot be read, or null. */
  get fault(): { path: string; reason: string } | null {
    return this.#fault === null ? null : { path: this.#path, reason: this.#fault };
  }

  /** Reads the file again where it changed. */
  async refresh(): Promise<void> {
    try {
      const info = await Deno.stat(this.#path);
      const stamp = `${info.size} ${millisecondsOf(info)}`;
      if (stamp === this.#stamp) return;
      this.#stamp = stamp;
      if (info.size > MOST_BYTES) throw new SyntaxError("it is too long");
      this.#contents = parseContents(await Deno.readTextFile(this.#path));
      this.#fault = null;
    } catch (error) {
      if (error instanceof Deno.errors.NotFound) {
        [this.#contents, this.#stamp, this.#fault] = [NOTHING, "", null];
        return;
      }
      const reason = error instanceof SyntaxError ? error.message : "it cannot be read";
      this.#fault = `The list of fetched models cannot be used, ${reason}: repair it, or remove it to begin a new one`;
    }
  }

  /**
   * Changes the contents and writes them, one change after the other.
   *
   * @throws {ArkError} `unavailable` where the file cannot be read or written.
   */
  async update(change: (contents: OwnContents) => OwnContents): Promise<void> {
    const turn = this.#turn.catch(() => {}).then(async () => {
      await this.refresh();
      if (this.#fault !== null) throw new ArkError("unavailable", this.#fault);
      const changed = change(this.#contents);
      try {
        await writeDurably(this.#path, JSON.stringify({ version: 1, ...changed }, null, 2) + "\n");
      } catch (error) {
        throw new ArkError("unavailable", `Cannot write ${this.#path}: the disk may be full or the folder read-only`, {
          cause: error,
        });
      }
      this.#stamp = "";
      await this.refresh();
    });
    this.#turn = turn;
    await turn;
  }
}

function parseContents(text: string): OwnContents {
  let value: Record<string, unknown>;
  try {
    value = Object(JSON.parse(text));
  } catch {
    throw new SyntaxError("it is not JSON");
  }
  if (value.version !== 1) throw new SyntaxError("it was written by another version");
  const models = Object.entries(Object(value.models)).slice(0, MOST_ENTRIES).map(([name, record]) =>
    [name, parseRecord(record)] as const
  );
  const aliases = Object.entries(Object(value.aliases)).slice(0, MOST_ENTRIES).filter(([alias, model]) =>
    isModelAlias(alias) && typeof model === "string"
  );
  return { models: Object.fromEntries(models), aliases: Object.fromEntries(aliases) as Record<string, string> };
}

/** Reads what is known of one model. @throws {SyntaxError} */
export function parseRecord(value: unknown): OwnRecord {
  const { ref, name, files, template, system, defaults, license } = Object(value) as Record<string, unknown>;
  if (!Array.isArray(files) || files.length > MOST_PARTS) throw new SyntaxError("a model in it has no files");
  const orNull = (text: unknown) => typeof text === "string" ? text : null;
  return {
    ref: orNull(ref),
    name: orNull(name),
    files: files.map(parseFile),
    template: orNull(template),
    system: orNull(system),
    defaults: parseDefaults(defaults),
    ...typeof license === "string" ? { license } : {},
  };
}

function parseFile(value: unknown): RecordedFile {
  const { name, size, sha256 } = Object(value) as Record<string, unknown>;
  if (typeof name !== "string" || typeof sha256 !== "string" || !Number.isSafeInteger(size)) {
    throw new SyntaxError("a file in it lacks its name, size or digest");
  }
  return { name, size: size as number, sha256 };
}

function parseDefaults(value: unknown): GenerationParameters {
  try {
    return decodeGenerationParameters(Object(value));
  } catch {
    throw new SyntaxError("a model in it has parameters that make no sense");
  }
}
