import { createHash } from "node:crypto";
import { basename, dirname, join } from "node:path";
import type { FoundFile } from "./found_model.ts";

/** Place of a file in a model that is in several ones. */
export interface SplitName {
  /** What all its files have in common. */
  readonly stem: string;
  /** Which part it is, from 1. */
  readonly part: number;
  /** How many there are. */
  readonly parts: number;
}

const SPLIT_REGEXP = /^(.+)-(\d{5})-of-(\d{5})$/;

/** Most parts of one model. */
export const MOST_PARTS = 1_024;

/** Reads the name of a file without `.gguf`, such as `big-00001-of-00003`; null where it is no part of anything. */
export function splitName(stem: string): SplitName | null {
  const [, common, part, parts] = SPLIT_REGEXP.exec(stem) ?? [];
  if (common === undefined) return null;
  const name = { stem: common, part: Number(part), parts: Number(parts) };
  return name.part >= 1 && name.part <= name.parts && name.parts <= MOST_PARTS ? name : null;
}

/** Name of a part of a model, with `.gguf`. */
export function partName({ stem, part, parts }: SplitName): string {
  const digits = (value: number) => String(value).padStart(5, "0");
  return `${stem}-${digits(part)}-of-${digits(parts)}.gguf`;
}

/** A file with the name by which it lies in its folder. */
export interface NamedFile extends FoundFile {
  /** Absolute path in its folder; the file itself may lie elsewhere, where this is a link. */
  readonly at: string;
}

/** Files that make one model, or are parts of one. */
export interface FileGroup {
  /** Name without `.gguf` and number. */
  readonly stem: string;
  /** How many parts there should be. */
  readonly parts: number;
  /** Those that are there, in order. */
  readonly files: NamedFile[];
}

/**
 * Puts files together that are parts of one model: those of one folder whose names differ in the number of the part alone.
 * The engine finds further parts by their names, so they keep the paths by which they lie in their folder.
 */
export function groupParts(files: readonly NamedFile[]): FileGroup[] {
  const groups = new Map<string, FileGroup>();
  for (const file of files) {
    const stem = basename(file.at).replace(/\.gguf$/i, "");
    const split = splitName(stem);
    if (split === null || split.parts === 1) {
      groups.set(file.at, { stem: split?.stem ?? stem, parts: 1, files: [file] });
      continue;
    }
    const key = join(dirname(file.at), partName({ ...split, part: 1 }));
    const group = groups.get(key) ?? { stem: split.stem, parts: split.parts, files: [] };
    group.files.push({ ...file, path: file.at, ...file.path === file.at ? {} : { real: file.path } });
    groups.set(key, group);
  }
  for (const { files } of groups.values()) files.sort((a, b) => a.at < b.at ? -1 : 1);
  return [...groups.values()];
}

/** The first number of a part that is not there, or null where all are. */
export function missingPart({ parts, paths }: { parts: number; paths: readonly string[] }): number | null {
  if (parts === 1) return null;
  const there = new Set(paths.map((path) => splitName(basename(path).replace(/\.gguf$/i, ""))?.part));
  for (let part = 1; part <= parts; part++) if (!there.has(part)) return part;
  return null;
}

/**
 * Digest of a model in several files, in hex: SHA-256 over the text that has a line `ark-split/1`, then for each part in
 * order a line of its SHA-256 in hex, a space and its size in bytes; each line ends with a line feed.
 */
export function splitDigest(parts: readonly { digest: string; size: number }[]): string {
  const lines = ["ark-split/1", ...parts.map(({ digest, size }) => `${digest} ${size}`)];
  return createHash("sha256").update(lines.map((line) => line + "\n").join("")).digest("hex");
}
