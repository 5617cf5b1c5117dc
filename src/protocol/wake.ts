import { ArkError } from "./errors.ts";

/** How a node is woken, as it tells the other nodes of its owner: the answer of `GET /ark/v1/wake`. */
export interface WakeFacts {
  /** Hardware addresses of its network cards, such as `02:fc:00:00:00:01`, lower case: at most 8. */
  macs: string[];
  /** Whether one of them wakes the machine: true and false as the system says, null where it does not say. */
  possible: boolean | null;
}

/** Most hardware addresses of one node. */
export const MOST_MACS = 8;

/**
 * Reads {@linkcode WakeFacts} from any JSON value; unknown fields are dropped.
 *
 * @throws {ArkError} `unavailable`
 */
export function decodeWakeFacts(value: unknown): WakeFacts {
  const { macs, possible } = Object(value) as Record<string, unknown>;
  const sound = Array.isArray(macs) && macs.length <= MOST_MACS && macs.every(isMac);
  if (!sound || (possible !== null && typeof possible !== "boolean")) {
    throw new ArkError("unavailable", "The node sent what is not part of the protocol");
  }
  return { macs: [...macs], possible };
}

/** Whether a value is the hardware address of one card, in the form of {@linkcode WakeFacts}: no group, and not nothing. */
export function isMac(value: unknown): value is string {
  return typeof value === "string" && /^[0-9a-f][02468ace](:[0-9a-f]{2}){5}$/.test(value) &&
    value !== "00:00:00:00:00:00";
}
