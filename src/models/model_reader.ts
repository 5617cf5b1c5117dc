import { capabilitiesOf } from "./capabilities.ts";
import type { FoundModel } from "./found_model.ts";
import { type GgufHeader, readGgufHeader } from "./gguf_header.ts";
import type { NamelessModel } from "./model_ids.ts";
import { modelName } from "./model_name.ts";
import { missingPart } from "./split_model.ts";

/**
 * Reads the headers of all files of a model.
 *
 * @throws {SyntaxError} with one sentence on why it is none.
 * @throws what opening or reading a file throws.
 */
export async function readModel(found: FoundModel, signal?: AbortSignal): Promise<NamelessModel> {
  const { files, parts } = found;
  const missing = missingPart({ parts, paths: files.map(({ path }) => path) });
  if (missing !== null) {
    throw new SyntaxError(`The model is in ${parts} files, and part ${missing} is missing: put it beside the others`);
  }
  const headers: GgufHeader[] = [];
  for (const { path } of files) headers.push(await readGgufHeader(path, signal === undefined ? {} : { signal }));
  checkParts(headers);
  const [header] = headers;
  if (header === undefined) throw new SyntaxError("The model has no file");
  return describe(header, { found, headers });
}

/** Whether the headers say of themselves what the names of their files say. */
function checkParts(headers: readonly GgufHeader[]): void {
  for (const [index, { metadata }] of headers.entries()) {
    const count = Number(metadata.get("split.count") ?? 1);
    if (count > 1 && headers.length === 1) {
      throw new SyntaxError(
        `The file is one part of a split model of ${
          Math.trunc(count)
        }: put all parts beside it, with names that end with -00001-of-` +
          String(Math.trunc(count)).padStart(5, "0") + " and so on",
      );
    }
    if (headers.length > 1 && (count !== headers.length || Number(metadata.get("split.no")) !== index)) {
      throw new SyntaxError(`The file that is called part ${index + 1} of ${headers.length} is not, by its own header`);
    }
  }
}

function describe(
  header: GgufHeader,
  { found, headers }: { found: FoundModel; headers: readonly GgufHeader[] },
): NamelessModel {
  const { metadata } = header;
  const { files, source, stem, modifiedAt, settings } = found;
  const type = metadata.get("general.type") ?? "model";
  if (type !== "model") throw new SyntaxError("The file is no model of its own but an addition to one");
  const architecture = metadata.get("general.architecture");
  if (typeof architecture !== "string" || !/^[\w.-]{1,64}$/.test(architecture)) {
    throw new SyntaxError("The file does not name the model's architecture");
  }
  if (headers.every(({ tensorCount }) => tensorCount === 0)) {
    throw new SyntaxError("The file has no tensors: it is a vocabulary, not a model");
  }
  const contextLength = natural(metadata.get(`${architecture}.context_length`));
  if (contextLength === 0) throw new SyntaxError("The file does not state the model's context length");
  const elementsByType = new Map<string, number>();
  for (const [type, elements] of headers.flatMap((header) => [...header.elementsByType])) {
    elementsByType.set(type, (elementsByType.get(type) ?? 0) + elements);
  }
  const tensors = new Set(headers.flatMap(({ tensors }) => [...tensors]));
  const labels = modelName({ metadata, elementsByType }, stem ?? settings.name ?? "model");
  return {
    ...labels,
    ...named(settings.name),
    stem: stem?.toLowerCase() ?? null,
    names: settings.names,
    path: files[0]?.path ?? "",
    files: files.map(({ path }) => path),
    size: files.reduce((sum, { size }) => sum + size, 0),
    mtimeMs: Math.max(...files.map(({ mtimeMs }) => mtimeMs)),
    modifiedAt,
    source,
    architecture,
    family: architecture,
    capabilities: capabilitiesOf({ header: { metadata, tensors }, architecture }),
    contextLength,
    blockCount: natural(metadata.get(`${architecture}.block_count`)),
    parameterCount: headers.reduce((sum, { parameterCount }) => sum + parameterCount, 0),
    template: settings.template,
    system: settings.system,
    defaults: settings.defaults,
    digest: null,
    ...licensed(settings.license ?? metadata.get("general.license")),
  };
}

/** A licence that states anything. */
function licensed(license: unknown): { license?: string } {
  return typeof license === "string" && license.trim() !== "" && license.isWellFormed() ? { license } : {};
}

/** The parts of a name that a store gave. */
function named(name: string | null): { name: string; tag: string } | Record<never, never> {
  if (name === null) return {};
  const colon = name.lastIndexOf(":");
  return colon > name.lastIndexOf("/")
    ? { name: name.slice(0, colon), tag: name.slice(colon + 1) }
    : { name, tag: "latest" };
}

/** A count in metadata, or 0 where there is none that makes sense. */
function natural(value: unknown): number {
  const number = typeof value === "bigint" ? Number(value) : value;
  return Number.isInteger(number) && (number as number) > 0 && (number as number) < 2 ** 31 ? number as number : 0;
}
