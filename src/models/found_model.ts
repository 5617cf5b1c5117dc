import type { GenerationParameters } from "@ark/node/protocol";
import type { ModelSource } from "./local_model.ts";

/** A regular file of a model, as it lay there at the last look. */
export interface FoundFile {
  /** Absolute path. */
  readonly path: string;
  /** Absolute path with links resolved; absent where that is `path`. */
  readonly real?: string;
  /** Bytes. */
  readonly size: number;
  /** Time of the last change, in milliseconds since 1970. */
  readonly mtimeMs: number;
  /** SHA-256 in hex that its store states by the file's name, or null. A claim: a file that belies it is left out. */
  readonly claimed: string | null;
}

/** What a store tells of a model beside its files. */
export interface StoreSettings {
  /** `name:tag` as the store calls it, lower case, or null where the file's metadata name it. */
  readonly name: string | null;
  /** Further names, lower case. */
  readonly names: readonly string[];
  /** Chat template in Go's language, or null. */
  readonly template: string | null;
  /** System message, or null. */
  readonly system: string | null;
  /** Its licence, where the store has its text; absent where only the file may state one. */
  readonly license?: string;
  /** How it writes where a request does not say. */
  readonly defaults: GenerationParameters;
}

/** Settings of a model of which no store tells anything. */
export const NO_SETTINGS: StoreSettings = { name: null, names: [], template: null, system: null, defaults: {} };

/** Something that may be a model: its files, whose headers nobody has read yet. */
export interface FoundModel {
  /** What tells it apart from all others: the path of its file, or of what names it. */
  readonly key: string;
  /** Where it lies. */
  readonly source: ModelSource;
  /** All its files in order. */
  readonly files: readonly FoundFile[];
  /** How many files it is in by their names; more than `files` has where some are missing. */
  readonly parts: number;
  /** Name of the file without `.gguf` and the number of its part, or null where its name says nothing. */
  readonly stem: string | null;
  /** When it came here, in milliseconds since 1970. */
  readonly modifiedAt: number;
  /** What its store tells of it. */
  readonly settings: StoreSettings;
}
