import type { AuditLog } from "@ark/node/audit";
import type { Config } from "@ark/node/config";
import {
  finishRotation,
  type Identity,
  IdentityError,
  loadIdentity,
  readRotations,
  rotationHash,
  shortId,
  type SignedRotation,
} from "@ark/node/identity";
import { type LastAddresses, type PeerBook, Rotations, type Usage } from "@ark/node/peers";
import { reasonOf } from "@ark/node/protocol";
import type { Store } from "@ark/node/store";
import type { Events, Logger } from "@ark/node/telemetry";
import { checkPin } from "@ark/node/transport";
import { StartError } from "./start_error.ts";

/** Who a node is, and how it came to that key. */
export interface OwnIdentity {
  /** Its key. */
  identity: Identity;
  /** The rotations that led to it, oldest first. */
  chain: SignedRotation[];
}

/**
 * Loads the node's key, after a rotation that waits for a start was completed.
 *
 * @throws {StartError} exit status 78 where a key file is not as it must be.
 */
export async function identityOf(path: string, logger: Pick<Logger, "info" | "warn">): Promise<OwnIdentity> {
  try {
    const rotation = await finishRotation(path);
    const identity = await loadIdentity(path);
    if (rotation !== null) logger.info("This node goes on under its new key", { peer: identity.id });
    return { identity, chain: await rotationsTo(path, logger) };
  } catch (error) {
    if (error instanceof IdentityError) throw new StartError(error.message, { exitCode: 78, cause: error });
    throw new StartError(`Cannot read or make the key ${path}: ${reasonOf(error)}`, { cause: error });
  }
}

/** A node whose statements are damaged works as before for those who know its key. */
async function rotationsTo(path: string, logger: Pick<Logger, "warn">): Promise<SignedRotation[]> {
  try {
    return await readRotations(path);
  } catch (error) {
    logger.warn(reasonOf(error));
    return [];
  }
}

/**
 * Finds out whether this process pins its connections, which flags of the runtime can defeat.
 *
 * @throws {StartError} exit status 78 where it does not. Before it is awaited, this is no unhandled rejection.
 */
export function refuseBrokenPin(identity: Identity, logger: Pick<Logger, "warn">): Promise<void> {
  const checked = checkPin(identity).then((verdict) => {
    if (verdict === "unknown") {
      logger.warn("It could not be checked whether connections are pinned to the keys of peers");
    }
    if (verdict !== "broken") return;
    throw new StartError(
      "The runtime accepts any certificate, so every machine could pose as any peer: start ark-node without " +
        "--unsafely-ignore-certificate-errors",
      { exitCode: 78 },
    );
  });
  checked.catch(() => {});
  return checked;
}

/** What {@linkcode rotationsOf} needs. */
export interface RotationsContext extends OwnIdentity {
  /** Remembers what was heard. */
  store: Store;
  /** The approved peers. */
  book: PeerBook;
  /** What peers have used up, which follows them to their new key. */
  usage: Pick<Usage, "inherit">;
  /** Where peers are, which follows them, too. */
  lastAddresses: Pick<LastAddresses, "inherit">;
  /** Records each new key. */
  audit: Pick<AuditLog, "append">;
  /** Told of each. */
  events: Pick<Events, "emit">;
  /** Says what cannot be recorded. */
  logger: Pick<Logger, "info" | "warn">;
  /** Whether changes count without the owner's word. */
  config: Pick<Config, "autoRotate">;
}

/** Opens the changes of peers' keys, and records those of this node that are new. */
export async function rotationsOf(context: RotationsContext): Promise<Rotations> {
  const { store, book, identity, chain, usage, lastAddresses, audit, events, logger, config } = context;
  const record = async (entry: Parameters<AuditLog["append"]>[0]): Promise<void> => {
    try {
      await audit.append(entry);
    } catch (error) {
      // It counts whether or not it can be recorded: the old key must be shut out.
      logger.warn("A change of keys could not be recorded", { reason: reasonOf(error) });
    }
  };
  const rotations = await Rotations.open({
    store,
    book,
    self: identity.id,
    automatic: config.autoRotate,
    async accepted({ peer, old, statement }) {
      usage.inherit(old, peer.node_id);
      lastAddresses.inherit(old, peer.node_id);
      logger.info("A peer goes on under a new key", { peer: peer.node_id, reason: `it was ${shortId(old)}` });
      await record({ kind: "revoke", direction: null, peer: old });
      await record({ kind: "rotate", direction: "in", peer: peer.node_id, request: statement });
      events.emit({ type: "peer", change: "rotated", peer: peer.node_id });
    },
  });
  for (const rotation of await rotations.own(chain)) {
    await record({ kind: "rotate", direction: null, peer: rotation.new, request: rotationHash(rotation) });
  }
  return rotations;
}
