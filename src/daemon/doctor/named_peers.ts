import type { Config } from "@ark/node/config";
import type { Finding } from "@ark/node/http";
import { reasonOf } from "@ark/node/protocol";
import { formatAddress, presentedKey } from "@ark/node/transport";
import { isUnknownName } from "./servers.ts";

const MOST = 16;
const ANSWER_MS = 4_000;

/** Whether a node answers at each address that the owner named with `--peer`. */
export async function namedPeers({ peers }: Pick<Config, "peers">, signal: AbortSignal): Promise<Finding[]> {
  const check = "named-peers";
  const found = await Promise.all(
    peers.slice(0, MOST).map(async (address): Promise<Finding[]> => {
      const where = formatAddress(address);
      try {
        await presentedKey(address, { timeoutMs: ANSWER_MS, signal });
        return [];
      } catch (error) {
        if (await isUnknownName(address.hostname, signal)) {
          return [{
            check,
            level: "warning",
            sentence: `No name server knows ${address.hostname}, which --peer names`,
            fix: "Correct the name, put the address itself there, or see whether this machine's name servers answer",
          }];
        }
        const why = reasonOf(error).replace(/\.$/, "");
        return [{
          check,
          level: "warning",
          sentence: `No node answers at ${where}, which --peer names`,
          why: why.charAt(0).toUpperCase() + why.slice(1, 250),
          fix: "Start ark-node there, open the TCP port of its mesh listener in its firewall, or correct --peer",
        }];
      }
    }),
  );
  const faults = found.flat();
  if (faults.length > 0 || peers.length === 0) return faults;
  const sentence = peers.length === 1
    ? "A node answers where --peer says"
    : `All ${peers.length} nodes of --peer answer`;
  return [{ check, level: "ok", sentence }];
}
