import { networkInterfaces } from "node:os";
import { setTimeout as pause } from "node:timers/promises";
import { linksFor } from "./link.ts";
import { MdnsSockets } from "./mdns_sockets.ts";
import { SERVICE } from "./own_records.ts";

/** What a look at multicast found. */
export interface MulticastLook {
  /** Names of the network interfaces that were tried. */
  readonly tried: readonly string[];
  /** Whether this machine is in no network but its own loopback, which then was tried. */
  readonly alone: boolean;
  /** Those of them on which our own question came back, as it does where multicast works. */
  readonly heard: readonly string[];
  /** The system's code such as `EADDRINUSE` where nothing could be sent at all, or null. */
  readonly code: string | null;
}

/** How long our own question may take to come back, in milliseconds, and how often it is asked. */
const TRY_MS = 400;
const TRIES = 4;

/**
 * Asks for neighbours on every network that a mesh listener at `hostname` is in, as mDNS does, and hears whether its own
 * question comes back. That takes at most two seconds. Never rejects.
 *
 * It says nothing about other machines: an access point may keep from them what this machine sends.
 */
export async function probeMulticast(hostname: string, signal: AbortSignal): Promise<MulticastLook> {
  const links = linksFor(hostname === "localhost" ? "127.0.0.1" : hostname, networkInterfaces());
  const tried = links.map(({ name }) => name);
  const alone = links.every(({ loopback }) => loopback);
  if (links.length === 0) return { tried, alone, heard: [], code: null };
  const heard = new Set<string>();
  let code: string | null = null;
  try {
    await using sockets = await MdnsSockets.open({
      links,
      receive(_, from) {
        const link = links.find(({ address }) => address === from.address);
        if (link !== undefined) heard.add(link.name);
      },
    });
    for (let attempt = 0; attempt < TRIES && heard.size < links.length && !signal.aborted; attempt++) {
      for (const link of sockets.links) {
        await sockets.send(link, { questions: [{ name: SERVICE, type: "PTR", unicast: false }] }).catch((error) => {
          code = codeOf(error);
        });
      }
      await pause(TRY_MS, undefined, { signal }).catch(() => {});
    }
  } catch (error) {
    code = codeOf(error);
  }
  return { tried, alone, heard: [...heard], code: heard.size > 0 ? null : code };
}

function codeOf(error: unknown): string {
  const { code } = Object(error) as { code?: unknown };
  return typeof code === "string" ? code : "UNKNOWN";
}
