import type { NodeId } from "@ark/node/identity";
import type { ApprovedPeer } from "@ark/node/peers";
import { ArkError } from "@ark/node/protocol";
import { boundedBytes, type MeshClient, type MeshResponse, type PeerAddress } from "@ark/node/transport";
import { ByteCache } from "./byte_cache.ts";
import { Lane } from "./lane.ts";
import {
  contentType,
  decodeHits,
  decodePacks,
  type PackAnswer,
  type PackHit,
  type PackInfo,
  PATH_LENGTH,
} from "./pack_info.ts";
import { MOST_BODY_BYTES } from "./zim/zim_clusters.ts";

/** Options of {@linkcode ContentPeers}. */
export interface ContentPeersOptions {
  /** Approved peers. */
  approved(): readonly ApprovedPeer[];
  /** Where a peer may be dialled. */
  addresses(id: NodeId): PeerAddress[];
  /** Talks to them. */
  client: Pick<MeshClient, "request">;
  /** Monotonic time in milliseconds. @default {performance.now} */
  now?: () => number;
}

/** Packs of one peer. */
export interface PeerPacks {
  /** Who has them. */
  readonly peer: { readonly id: NodeId; readonly name: string };
  /** What it lets this node read. */
  readonly packs: readonly PackInfo[];
}

/** A page as it is kept. */
interface Kept {
  bytes: number;
  answer: PackAnswer;
  /** When the peer last said that it is so. */
  at: number;
}

interface Listed {
  packs: readonly PackInfo[];
  at: number;
}

/** How long a peer's word on its packs holds, in milliseconds. */
const LIST_MS = 30_000;
/** How long a page is shown without asking whether it is the same. */
const FRESH_MS = 60_000;
const LIST_BYTES = 512 << 10;
const [LIST_DEADLINE_MS, PAGE_DEADLINE_MS] = [3_000, 30_000];
/** Longest that a peer's word to wait is waited for. */
const PATIENCE_MS = 3_000;

/**
 * Content packs of approved peers. Pages are asked of the peer that has the pack, and kept in memory: 64 MB, what was used last.
 * What is kept is kept by peer, pack, path and tag, so that no peer can put a page into another one's pack.
 */
export class ContentPeers {
  readonly #options: ContentPeersOptions;
  readonly #now: () => number;
  readonly #lists = new Map<NodeId, Listed>();
  readonly #lanes = new Map<NodeId, Lane>();
  readonly #cache = new ByteCache<Kept>({ bytes: 64 << 20, things: 20_000 });

  /** Makes a reader that has asked nobody yet. */
  constructor(options: ContentPeersOptions) {
    this.#options = options;
    this.#now = options.now ?? (() => performance.now());
  }

  /** What each approved peer lets this node read; peers that do not answer in three seconds are left out. */
  async list(signal: AbortSignal): Promise<PeerPacks[]> {
    const approved = this.#options.approved().filter(({ paused }) => !paused);
    const known = new Set(approved.map(({ node_id: id }) => id));
    for (const id of this.#lists.keys()) if (!known.has(id)) this.#lists.delete(id);
    for (const id of this.#lanes.keys()) if (!known.has(id)) this.#lanes.delete(id);
    const lists = await Promise.all(approved.map(async ({ node_id: id, name }) => {
      const packs = await this.#packsOf(id, signal).catch(() => []);
      return { peer: { id, name }, packs };
    }));
    signal.throwIfAborted();
    return lists.filter(({ packs }) => packs.length > 0);
  }

  /**
   * Something of a pack that a peer has. Where several have one of that name, the newest counts, and of the same pack each is
   * asked until one answers.
   *
   * @throws {ArkError} `model_not_found` where nobody has it, `busy`, `unavailable`, `cancelled`.
   */
  async page(name: string, path: string, signal: AbortSignal): Promise<PackAnswer> {
    if (path.length > PATH_LENGTH) throw new ArkError("model_not_found", "There is no such page in this pack");
    return await this.#fromHolder(name, {
      signal,
      ask: (id, pack) => this.#page(id, pack, { path, signal }),
    });
  }

  /** Pages of a pack of a peer whose title begins so. @throws {ArkError} as {@linkcode page} does. */
  async search(name: string, text: string, signal: AbortSignal): Promise<PackHit[]> {
    return await this.#fromHolder(name, {
      signal,
      ask: async (id, pack) => {
        const query = new URLSearchParams({ pack: pack.name, q: text.slice(0, 200) });
        const { status, body } = await this.#ask(id, {
          path: `/ark/v1/content/search?${query}`,
          signal,
          most: LIST_BYTES,
        });
        if (status !== 200) throw refusal(status);
        return decodeHits(jsonOf(body));
      },
    });
  }

  async #fromHolder<T>(
    name: string,
    { signal, ask }: { signal: AbortSignal; ask(id: NodeId, pack: PackInfo): Promise<T> },
  ): Promise<T> {
    const wanted = name.toLowerCase();
    const lists = await this.list(signal);
    const all = lists.flatMap(({ peer, packs }) =>
      packs.filter((pack) => pack.name.toLowerCase() === wanted).map((pack) => ({ id: peer.id, pack }))
    );
    const [best] = all.toSorted((a, b) =>
      a.pack.date === b.pack.date ? (a.pack.uuid < b.pack.uuid ? -1 : 1) : a.pack.date > b.pack.date ? -1 : 1
    );
    let failure = new ArkError("model_not_found", "No node within reach has this pack for you");
    for (const { id, pack } of all.filter(({ pack }) => pack.uuid === best?.pack.uuid)) {
      try {
        return await ask(id, pack);
      } catch (error) {
        if (!(error instanceof ArkError) || error.code === "cancelled") throw error;
        // What a pack does not have, its copies do not have either.
        if (error.code === "model_not_found" && this.#lists.has(id)) throw error;
        failure = error;
      }
    }
    throw failure;
  }

  async #packsOf(id: NodeId, signal: AbortSignal): Promise<readonly PackInfo[]> {
    const known = this.#lists.get(id);
    if (known !== undefined && this.#now() - known.at < LIST_MS) return known.packs;
    let packs: readonly PackInfo[] = [];
    try {
      const { status, body } = await this.#ask(id, {
        path: "/ark/v1/content",
        signal,
        most: LIST_BYTES,
        deadlineMs: LIST_DEADLINE_MS,
      });
      packs = status === 200 ? decodePacks(jsonOf(body)) : [];
    } catch {
      // A peer that is not there now may be there for what is kept of it.
      if (signal.aborted) return [];
      packs = known?.packs ?? [];
    }
    this.#lists.set(id, { packs, at: this.#now() });
    return packs;
  }

  async #page(
    id: NodeId,
    pack: PackInfo,
    { path, signal }: { path: string; signal: AbortSignal },
  ): Promise<PackAnswer> {
    const key = `${id} ${pack.uuid} ${path}`;
    const kept = this.#cache.get(key);
    if (kept !== undefined && this.#now() - kept.at < FRESH_MS) return kept.answer;
    const query = new URLSearchParams({ pack: pack.name, path });
    if (kept?.answer.kind === "page") query.set("tag", kept.answer.tag);
    let got: Got;
    try {
      got = await this.#ask(id, { path: `/ark/v1/content/page?${query}`, signal, most: MOST_BODY_BYTES });
    } catch (error) {
      // Whoever was let read it once may go on while the peer is away; a peer that says no is heard below.
      if (kept !== undefined && !signal.aborted) return kept.answer;
      throw error;
    }
    if (got.status === 304 && kept !== undefined) {
      kept.at = this.#now();
      return kept.answer;
    }
    this.#cache.delete(key);
    if (got.status !== 200 && got.status !== 302) {
      if (got.status === 403 || got.status === 404) this.#lists.delete(id);
      throw refusal(got.status);
    }
    const answer = got.status === 302 ? elsewhere(got.body) : pageOf(got);
    this.#cache.set(key, {
      bytes: (answer.kind === "page" ? answer.body.length : 0) + 2 * key.length,
      answer,
      at: this.#now(),
    });
    return answer;
  }

  async #ask(
    id: NodeId,
    { path, signal, most, deadlineMs = PAGE_DEADLINE_MS }: {
      path: string;
      signal: AbortSignal;
      most: number;
      deadlineMs?: number;
    },
  ): Promise<Got> {
    const lane = this.#lanes.get(id) ?? new Lane();
    this.#lanes.set(id, lane);
    using _place = await lane.enter();
    for (let attempt = 1;; attempt++) {
      signal.throwIfAborted();
      const addresses = this.#options.addresses(id);
      if (addresses.length === 0) throw new ArkError("unavailable", "It is not known where that peer is now");
      // Hanging up is the only way to stop a body that is too long.
      const hangUp = new AbortController();
      const both = AbortSignal.any([signal, hangUp.signal]);
      const response = await this.#options.client.request({ id, addresses }, {
        method: "GET",
        path,
        deadlineMs,
        signal: both,
      });
      const waitMs = response.status === 429 ? waitOf(response) : null;
      const body = await bodyOf(response, { most, deadlineMs, hangUp });
      if (waitMs === null || attempt === 3) {
        const { status, headers } = response;
        return { status, body, type: headers.get("content-type"), tag: headers.get("etag") };
      }
      await new Promise((resolve) => setTimeout(resolve, waitMs));
    }
  }
}

interface Got {
  status: number;
  body: Uint8Array<ArrayBuffer>;
  type: string | null;
  tag: string | null;
}

/** Null where it would take longer than a person waits. */
function waitOf({ headers }: MeshResponse): number | null {
  const seconds = Number(headers.get("retry-after") ?? NaN);
  return seconds >= 0 && seconds * 1_000 <= PATIENCE_MS ? Math.max(50, seconds * 1_000) : null;
}

async function bodyOf(
  { body }: MeshResponse,
  { most, deadlineMs, hangUp }: { most: number; deadlineMs: number; hangUp: AbortController },
): Promise<Uint8Array<ArrayBuffer>> {
  const late = setTimeout(() => hangUp.abort(new ArkError("unavailable", "The peer sends too slowly")), deadlineMs);
  try {
    return await boundedBytes(body, {
      most,
      tooLong() {
        hangUp.abort();
        return new ArkError("unavailable", "The peer sent more than the protocol allows");
      },
    });
  } finally {
    clearTimeout(late);
  }
}

function jsonOf(body: Uint8Array): unknown {
  try {
    return JSON.parse(new TextDecoder().decode(body));
  } catch (cause) {
    throw new ArkError("unavailable", "The peer sent an answer that is not part of the protocol", { cause });
  }
}

function elsewhere(body: Uint8Array): PackAnswer {
  const { path } = Object(jsonOf(body)) as { path?: unknown };
  if (typeof path !== "string" || path === "" || path.length > PATH_LENGTH) {
    throw new ArkError("unavailable", "The peer sent an answer that is not part of the protocol");
  }
  return { kind: "elsewhere", path };
}

function pageOf({ type, tag, body }: Got): PackAnswer {
  const [, plain = ""] = /^"([\w-]{1,100})"$/.exec(tag ?? "") ?? [];
  return { kind: "page", type: contentType(type), tag: plain, body };
}

function refusal(status: number): ArkError {
  if (status === 404) return new ArkError("model_not_found", "There is no such page in this pack");
  if (status === 403) return new ArkError("forbidden", "The peer does not let this node read that pack now");
  if (status === 429) {
    return new ArkError("busy", "The peer gives no more pages now: try again in a minute", { retryAfterSeconds: 30 });
  }
  return new ArkError("unavailable", "The peer could not give the page; its owner can see why");
}
