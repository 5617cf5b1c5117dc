import { ArkError } from "@ark/node/protocol";
import { sameToken } from "../admin/admin_token.ts";
import { bearerOf } from "../admin/bearer.ts";
import type { OwnerSessions } from "../dashboard/owner_sessions.ts";
import { isLoopbackAddress } from "../middleware/host_names.ts";
import { isProxied } from "../middleware/proxied.ts";
import type { ApiKeyBook } from "./api_key_book.ts";
import type { Sender } from "./keyed_answers.ts";

/** What {@linkcode senderOf} goes by. */
export interface SenderOptions {
  /** The keys. */
  keys: Pick<ApiKeyBook, "find">;
  /** Whether a request without a key is refused. */
  required: boolean;
  /** The admin token: the owner's command line asks with it, on this machine. */
  token: string;
  /** The owner's browsers: the dashboard's chat asks with their tokens. */
  sessions?: Pick<OwnerSessions, "holds">;
  /** IP address of the connection's other end. */
  remote: string;
}

/** How our own keys begin. What begins so and is none was meant to be one. */
const OURS = "ark-";

/**
 * Who sends a request to the API for programs. Clients always send some key: one that is not ours says nothing, one that
 * is ours counts everywhere, also on the loopback.
 *
 * @throws {ArkError} `unauthenticated` without a key that is in force, where one is needed; `bad_request`.
 */
export function senderOf({ headers }: Request, options: SenderOptions): Sender {
  const { keys, required } = options;
  const bearer = bearerOf(headers);
  const header = headers.get("x-api-key") ?? "";
  const ours = [bearer, header].find((text) => text.startsWith(OURS));
  const localOnly = asksToStay(headers.get("x-ark-local-only"));
  if (ours !== undefined) {
    const held = keys.find(ours);
    return { held, localOnly: localOnly || held.key.local_only };
  }
  if (required && !isOwner(headers, { ...options, bearer })) {
    throw new ArkError(
      "unauthenticated",
      "This API needs a key, sent as 'Authorization: Bearer KEY': its owner makes one with 'ark-node keys create NAME'",
    );
  }
  return { held: null, localOnly };
}

function isOwner(
  headers: Headers,
  { bearer, token, remote, sessions }: Omit<SenderOptions, "keys" | "required"> & { bearer: string },
): boolean {
  if (!isLoopbackAddress(remote) || isProxied(headers)) return false;
  // Of pages only the dashboard has a session, and no page has the admin token.
  return headers.has("origin") ? sessions?.holds(bearer) === true : sameToken(bearer, token);
}

/** A value that cannot be read is refused: to guess wrongly would send the prompt away. */
function asksToStay(value: string | null): boolean {
  if (value === null || /^(0|false)$/i.test(value)) return false;
  if (/^(1|true)$/i.test(value)) return true;
  throw new ArkError("bad_request", "Header x-ark-local-only must be 1 or 0");
}
