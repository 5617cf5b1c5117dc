import { parsePeerAddress } from "@ark/node/discovery";
import { reasonOf } from "@ark/node/protocol";
import type { PeerAddress } from "@ark/node/transport";
import { ConfigError } from "./config_error.ts";

/** An address as it stands behind a flag, `HOST` or `HOST:PORT`. */
export function address(flag: string, text: string, defaultPort: number): PeerAddress {
  try {
    return parsePeerAddress(text, defaultPort);
  } catch (error) {
    throw new ConfigError(`Cannot use --${flag} ${text}: ${reasonOf(error)}`);
  }
}

/** Whether a host is this machine alone: what arrives there comes from the owner's own programs. */
export function isLoopback(hostname: string): boolean {
  return hostname === "localhost" || hostname === "::1" || /^127(\.\d{1,3}){3}$/.test(hostname);
}
