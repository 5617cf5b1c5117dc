import { decodeRotations, type SignedRotation } from "@ark/node/identity";
import type { Rotations } from "@ark/node/peers";
import { ArkError, reasonOf } from "@ark/node/protocol";
import type { Caller, PeerAddress } from "@ark/node/transport";
import { readJson } from "../api/request_json.ts";
import type { IntroductionRoute } from "./introductions.ts";
import { toldAddress } from "./mesh_app.ts";

/** Where a node tells that it goes on under another key. */
export const ROTATE_PATH = "/ark/v1/rotate";

/** What {@linkcode rotateRoute} needs. */
export interface RotateRouteOptions {
  /** Judges what is told. */
  rotations: Pick<Rotations, "hear">;
  /** Told where the caller says that it can be dialled. */
  asked(id: string, address: PeerAddress): void;
  /** Monotonic time in milliseconds. */
  now?: () => number;
}

const BODY_BYTES = 8 << 10;
const WINDOW_MS = 60_000;
/** A node tells each peer twice a minute while it waits. */
const MOST_PER_SOURCE = 12;
/** To check 16 rotations takes some milliseconds. */
const MOST_IN_ALL = 240;

/**
 * `POST /ark/v1/rotate` with `{"rotations":[…]}`, signed by the new key: answers `{"state":"accepted"}`, or `pending` or
 * `contested` while the owner has to decide. Of the old keys that a caller names it learns only what it could have asked
 * with them: every signature is checked before anything is looked up.
 */
export function rotateRoute(
  { rotations, asked, now = () => performance.now() }: RotateRouteOptions,
): IntroductionRoute {
  const heard = new Map<string, number>();
  let total = 0;
  let since = -Infinity;
  return async (request, caller) => {
    if (now() - since >= WINDOW_MS) {
      heard.clear();
      total = 0;
      since = now();
    }
    const count = heard.get(caller.remote) ?? 0;
    if (count >= MOST_PER_SOURCE || total >= MOST_IN_ALL) {
      throw new ArkError("busy", "This node hears of no more new keys now", { retryAfterSeconds: 60 });
    }
    heard.set(caller.remote, count + 1);
    total++;
    const chain = decoded(await readJson(request, BODY_BYTES), caller);
    const state = await rotations.hear(chain, caller.nodeId);
    const address = toldAddress(new URL(request.url), caller.remote);
    if (address !== null) asked(caller.nodeId, address);
    return Response.json({ state });
  };
}

function decoded(value: unknown, { nodeId }: Caller): SignedRotation[] {
  const last = (value as { rotations?: { new?: unknown }[] } | null)?.rotations;
  // Cheap, and before signatures are checked.
  if (Array.isArray(last) && last.at(-1)?.new !== nodeId) {
    throw new ArkError("forbidden", "Only the node that has the new key can say whom it follows");
  }
  try {
    return decodeRotations(value);
  } catch (error) {
    throw new ArkError("bad_request", reasonOf(error), { cause: error });
  }
}
