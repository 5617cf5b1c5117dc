import { ArkError, decodePeerError, toArkError } from "@ark/node/protocol";
import { boundedText } from "@ark/node/transport";
import type { PeerState } from "./peer_view.ts";

/** How a peer stands that did not make an offer, and why. */
export interface PeerRefusal {
  /** How it stands. */
  state: PeerState;
  /** Why, as a sentence. */
  reason: string;
}

/** What the status and the body of a peer's refusal mean. */
export function refusalIn(status: number, body: unknown): PeerRefusal {
  const code = (body as { error?: { code?: unknown } } | null)?.error?.code;
  if (code === "ark_revoked") return { state: "revoked", reason: "Its owner took our approval back" };
  if (code === "ark_forbidden") return { state: "draining", reason: `It answered: ${decodePeerError(body).message}` };
  if (status === 401) return { state: "not_approved", reason: "Its owner has not approved this node yet" };
  return { state: "unreachable", reason: `It answered with status ${status}` };
}

/** A refusal may also arrive as an error: answers of one who does not know us carry no signature. Null for other errors. */
export function refusalOf(error: unknown): PeerRefusal | null {
  if (!(error instanceof ArkError)) return null;
  if (error.code === "unauthenticated") return refusalIn(401, null);
  if (error.code === "revoked") return refusalIn(403, { error: { code: "ark_revoked" } });
  return null;
}

/** What it means that there was no answer at all. */
export function unreachable(error: unknown): PeerRefusal {
  return { state: "unreachable", reason: toArkError(error).message };
}

/** What it means that nothing came for so many milliseconds. */
export function silentFor(ms: number): PeerRefusal {
  return { state: "unreachable", reason: `It did not answer within ${Math.round(ms)} ms` };
}

/** Reads a short JSON body of a peer. */
export async function readJson(body: ReadableStream<Uint8Array>, limit: number): Promise<unknown> {
  const text = await boundedText(body, {
    most: limit,
    tooLong: () => new ArkError("unavailable", "The peer sent more than this answer may hold"),
  });
  try {
    return JSON.parse(text);
  } catch (error) {
    throw new ArkError("unavailable", "The peer sent an answer that is not JSON", { cause: error });
  }
}
