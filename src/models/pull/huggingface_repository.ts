import { ArkError } from "@ark/node/protocol";
import { splitName } from "../split_model.ts";
import { requestText } from "./http_source.ts";
import { folderOf, type PullRef } from "./pull_ref.ts";
import type { PullPlan } from "./pull_plan.ts";
import { safeParts, shown } from "./safe_name.ts";

const LIST_BYTES = 16 << 20;
const MOST_FILES = 10_000;

/** What is taken where nobody chose, the first that is there. */
const USUAL = ["q4_k_m", "q4_0", "q4_k_s", "q5_k_m", "q5_0", "q6_k", "q8_0", "bf16", "f16"];

interface ListedFile {
  path: string;
  size: number;
  sha256: string | null;
}

/** Options of {@linkcode planHuggingFace}. */
export interface HuggingFaceOptions {
  /** Base URL, without a slash at its end. */
  endpoint: string;
  /** The owner's token for it, or null. */
  token: string | null;
  /** Ends it. */
  signal: AbortSignal;
}

/**
 * Chooses the files of a repository of Hugging Face, at the revision that is there now.
 *
 * @throws {ArkError} with a sentence that names what there is to choose from.
 */
export async function planHuggingFace(
  ref: Extract<PullRef, { kind: "huggingface" }>,
  { endpoint, token, signal }: HuggingFaceOptions,
): Promise<PullPlan> {
  const { organization, repository, choice, text } = ref;
  const path = `${organization}/${repository}`;
  const list = await requestText(new URL(`${endpoint}/api/models/${path}/revision/main?blobs=true`), {
    token,
    limit: LIST_BYTES,
    what: `the list of files of ${path}`,
    signal,
  });
  const { revision, files } = parseList(list, path);
  const chosen = choose(groups(files), { choice, path });
  return {
    files: chosen.map((file) => ({
      url: new URL(`${endpoint}/${path}/resolve/${revision}/${file.path.split("/").map(encodeURIComponent).join("/")}`),
      name: [folderOf(ref), ...safeParts(file.path)].join("/"),
      size: file.size,
      sha256: file.sha256,
      token,
    })),
    record: { ref: text, name: null, template: null, system: null, defaults: {} },
  };
}

function parseList(text: string, path: string): { revision: string; files: ListedFile[] } {
  let list: { sha?: unknown; siblings?: unknown };
  try {
    list = Object(JSON.parse(text));
  } catch {
    list = {};
  }
  const { sha, siblings } = list;
  if (
    typeof sha !== "string" || !/^[0-9a-f]{40}$/.test(sha) || !Array.isArray(siblings) || siblings.length > MOST_FILES
  ) {
    throw new ArkError("unavailable", `What was sent as the list of files of ${path} is none`);
  }
  const files = siblings.flatMap((sibling: unknown): ListedFile[] => {
    const { rfilename, size, lfs } = Object(sibling) as Record<string, unknown>;
    const sha256 = (Object(lfs) as Record<string, unknown>).sha256;
    if (typeof rfilename !== "string" || !/\.gguf$/i.test(rfilename)) return [];
    if (typeof size !== "number" || !Number.isSafeInteger(size) || size < 0) return [];
    return [{
      path: rfilename,
      size,
      sha256: typeof sha256 === "string" && /^[0-9a-f]{64}$/.test(sha256) ? sha256 : null,
    }];
  });
  // Additions to models, such as the eyes of one that sees, are no models.
  return { revision: sha, files: files.filter(({ path }) => !/(?:^|\/)(?:mmproj|imatrix)[^/]*$/i.test(path)) };
}

/** Models by their name without `.gguf` and the number of a part. */
function groups(files: readonly ListedFile[]): Map<string, ListedFile[]> {
  const found = new Map<string, { parts: number; files: ListedFile[] }>();
  for (const file of files) {
    const stem = file.path.replace(/\.gguf$/i, "");
    const split = splitName(stem);
    const key = split?.stem ?? stem;
    const group = found.get(key) ?? { parts: split?.parts ?? 1, files: [] };
    group.files.push(file);
    found.set(key, group);
  }
  const whole = [...found].filter(([, { parts, files }]) => files.length === parts);
  return new Map(
    whole.map(([stem, { files }]) => [stem, files.toSorted((a, b) => a.path < b.path ? -1 : 1)] as const)
      .toSorted(([a], [b]) => a < b ? -1 : 1),
  );
}

function choose(
  models: ReadonlyMap<string, ListedFile[]>,
  { choice, path }: { choice: string | null; path: string },
): ListedFile[] {
  if (models.size === 0) {
    throw new ArkError(
      "model_not_found",
      `${path} has no whole GGUF file: look for a repository whose name ends with GGUF`,
    );
  }
  const named = (label: string) => {
    const wanted = label.toLowerCase().replace(/\.gguf$/, "");
    const stems = [...models.keys()];
    const exact = stems.find((stem) => stem.toLowerCase() === wanted || stem.toLowerCase().endsWith(`/${wanted}`));
    // A label stands by itself: q4_k must not mean q4_k_m.
    const label_ = new RegExp(`(?:^|[-._/])${RegExp.escape(wanted)}(?:$|[-./])`);
    return exact ?? stems.find((stem) => label_.test(stem.toLowerCase()));
  };
  const stem = choice === null
    ? USUAL.map(named).find((found) => found !== undefined) ?? [...models.keys()][0]
    : named(choice);
  const files = stem === undefined ? undefined : models.get(stem);
  if (files !== undefined) return files;
  const names = [...models.keys()].slice(0, 24).map((name) => shown(name).slice(1, -1)).join(", ");
  throw new ArkError("model_not_found", `${path} has no ${shown(choice ?? "")}; it has ${names}`);
}
