import { createHash } from "node:crypto";
import { type NodeId, parseNodeId } from "@ark/node/identity";
import { ArkError, LIMITS } from "@ark/node/protocol";
import { parsePullRef } from "../pull/pull_ref.ts";

/** What an owner wishes: that so many of his nodes have a model's file. */
export interface CopyWish {
  /** `name:tag` */
  readonly model: string;
  /** How many nodes, this one among them. */
  readonly copies: number;
}

/** A wish as it is told to the owner's other nodes. */
export interface ToldWish extends CopyWish {
  /** SHA-256 of the model, hex. */
  readonly digest: string;
  /** Bytes of its files. */
  readonly size: number;
  /** Nodes that have it or are fetching it. */
  readonly holders: readonly NodeId[];
  /** Nodes that could fetch it. */
  readonly candidates: readonly NodeId[];
}

/** What one of an owner's nodes tells another one about copies. */
export interface CopyState {
  /** Whether it takes copies. */
  readonly accepts: boolean;
  /** Bytes that it has room for. */
  readonly free: number;
  /** Digests of the models that the other one may know of, hex. */
  readonly has: readonly string[];
  /** Digests of those that it is fetching. */
  readonly coming: readonly string[];
  /** Digests of those that it cannot fetch now. */
  readonly cannot: readonly string[];
  /** Wishes that it was given itself. */
  readonly wishes: readonly ToldWish[];
}

/** Most wishes of a node. */
export const MOST_WISHES = 256;
/** Most copies that can be wished for. */
export const MOST_COPIES = 64;
const MOST_NODES = 256;

/**
 * The candidates that are to fetch a model, so that as many have it as are wished for. Whoever reads the same wish comes to the
 * same; the order is by a hash of node and model, so that no node gets everything.
 */
export function keepersOf({ copies, digest, holders, candidates }: ToldWish): NodeId[] {
  const missing = Math.max(0, copies - new Set(holders).size);
  const place = (id: NodeId) => createHash("sha256").update(`ark-copies/1 ${id} ${digest}`).digest("hex");
  return [...new Set(candidates)].filter((id) => !holders.includes(id))
    .map((id) => ({ id, at: place(id) }))
    .sort((a, b) => a.at < b.at ? -1 : 1)
    .slice(0, missing)
    .map(({ id }) => id);
}

/**
 * What another node told, rebuilt from known fields; what makes no sense is left out.
 *
 * @throws {ArkError} `unavailable` where it is none at all.
 */
export function decodeCopyState(value: unknown): CopyState {
  const { accepts, free, has, coming, cannot, wishes } = Object(value) as Record<string, unknown>;
  if (!Array.isArray(has) || !Array.isArray(wishes)) {
    throw new ArkError("unavailable", "The node sent a list of copies that is not part of the protocol");
  }
  return {
    accepts: accepts === true,
    free: size(free) ?? 0,
    has: digests(has),
    coming: Array.isArray(coming) ? digests(coming) : [],
    cannot: Array.isArray(cannot) ? digests(cannot) : [],
    wishes: wishes.slice(0, MOST_WISHES).flatMap((wish: unknown): ToldWish[] => {
      const fields = Object(wish) as Record<string, unknown>;
      const { model, copies, digest } = fields;
      const bytes = size(fields.size);
      if (typeof model !== "string" || !isModelId(model) || !isCopies(copies) || !isDigest(digest) || bytes === null) {
        return [];
      }
      return [{
        model,
        copies,
        digest,
        size: bytes,
        holders: nodes(fields.holders),
        candidates: nodes(fields.candidates),
      }];
    }),
  };
}

/** Whether a number of copies can be wished for. */
export function isCopies(value: unknown): value is number {
  return Number.isInteger(value) && (value as number) >= 1 && (value as number) <= MOST_COPIES;
}

/** A plain name and its tag: what another node says never becomes an address that is fetched. */
function isModelId(text: string): boolean {
  if (text.length > LIMITS.modelRefLength || !/^[^\s:]+:[^\s:]+$/.test(text)) return false;
  try {
    return parsePullRef(text).kind === "ollama";
  } catch {
    return false;
  }
}

function isDigest(value: unknown): value is string {
  return typeof value === "string" && /^[0-9a-f]{64}$/.test(value);
}

function digests(values: unknown[]): string[] {
  return values.slice(0, LIMITS.offeredModels).filter(isDigest);
}

function size(value: unknown): number | null {
  return Number.isSafeInteger(value) && (value as number) >= 0 ? value as number : null;
}

function nodes(value: unknown): NodeId[] {
  if (!Array.isArray(value)) return [];
  return value.slice(0, MOST_NODES).flatMap((id: unknown): NodeId[] => {
    try {
      return typeof id === "string" ? [parseNodeId(id)] : [];
    } catch {
      return [];
    }
  });
}
