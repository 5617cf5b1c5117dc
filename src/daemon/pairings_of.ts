import type { AuditLog } from "@ark/node/audit";
import {
  type IgnoredNodes,
  isOpen,
  type Neighbourhood,
  Pairings,
  type PairingsOptions,
  type PairingView,
} from "@ark/node/peers";
import type { ErrorCode } from "@ark/node/protocol";
import type { Events, Logger } from "@ark/node/telemetry";
import { presentedKey } from "@ark/node/transport";

/** What pairings are made of. */
export interface PairingsOf extends Pick<PairingsOptions, "identity" | "name" | "client" | "ownPort" | "addresses"> {
  /** Nodes that were seen. */
  neighbourhood: Neighbourhood;
  /** Whom the owner wants to hear nothing of. */
  ignored: IgnoredNodes;
  /** Records how pairings ended. */
  audit: Pick<AuditLog, "append">;
  /** Told of every change. */
  events: Pick<Events, "emit">;
  /** Says what happens. */
  logger: Logger;
}

/** How the end of a pairing stands in the audit log. */
const OUTCOMES: Partial<Record<PairingView["phase"], "ok" | ErrorCode>> = {
  connected: "ok",
  different: "forbidden",
  cancelled: "cancelled",
  expired: "cancelled",
  failed: "unavailable",
};

/** The pairings of a node, joined to what else it knows and records. */
export function pairingsOf(parts: PairingsOf): Pairings {
  const { identity, name, client, ownPort, addresses, neighbourhood, ignored, audit, events, logger } = parts;
  return new Pairings({
    identity,
    name,
    client,
    ownPort,
    addresses,
    ignored,
    logger,
    probe: (address, { signal }) => presentedKey(address, { signal }),
    changed: ({ session, id, phase, direction, address }) => {
      if (address !== null && isOpen(phase)) {
        if (direction === "in") neighbourhood.asked(id, address);
        else neighbourhood.paired(id, address);
      }
      events.emit({ type: "pair", session, phase, peer: id });
    },
    ended: ({ id, phase, direction }) => {
      logger.info(`A pairing ended: ${phase}`, { peer: id });
      const outcome = OUTCOMES[phase] ?? null;
      audit.append({ kind: "pair", direction, peer: id, outcome }).catch(() => {
        logger.warn("The end of a pairing could not be recorded", { peer: id });
      });
    },
  });
}
