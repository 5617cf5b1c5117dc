import { nextBeat } from "@ark/node/telemetry";
import type { Discovery, Sighting } from "./discovery.ts";
import { parseWireGuardPeers, type WireGuardPeer } from "./wireguard_peers.ts";

/** Options of {@linkcode WireGuardDiscovery}. */
export interface WireGuardDiscoveryOptions {
  /** Port of mesh listeners, at which every peer is looked for. @default {8911} */
  port?: number;
  /** Told once, in a sentence, when WireGuard is there and its peers may not be read; and again only after they could. */
  unavailable?: (sentence: string) => void;
  /** Time between two looks at the list of peers, in milliseconds. @default {5000} */
  everyMs?: number;
  /** Program that lists the peers. @default {"wg"} */
  program?: string;
}

/** What a look at WireGuard's list came to: peers, or why there are none; null where this machine has no WireGuard. */
export type WireGuardLook = { peers: WireGuardPeer[] } | { fault: string } | null;

const MOST_BYTES = 256 << 10;
const MOST_ERROR_BYTES = 4 << 10;
/** A list that is not there by then is not coming. */
const LOOK_MS = 5_000;

/**
 * Peers of this machine's WireGuard interfaces, since multicast does not cross a tunnel. Each peer that stands at an
 * address of its own is told when it is first seen and at every look, and taken back when it is in the list no more. That
 * a tunnel leads somewhere says nothing about who may do what: the node there is dialled and approved like any other.
 *
 * A peer is told whether or not its tunnel was used lately: a tunnel is silent until somebody speaks.
 *
 * It asks the `wg` program for keys and addresses of peers, and never for the tunnel's own secrets.
 */
export class WireGuardDiscovery implements Discovery {
  /** Always `wireguard`. */
  readonly name = "wireguard";
  readonly #options: Required<WireGuardDiscoveryOptions>;

  /** Looks for nothing until it is told to discover. */
  constructor(options: WireGuardDiscoveryOptions = {}) {
    this.#options = { port: 8911, unavailable: () => {}, everyMs: 5_000, program: "wg", ...options };
  }

  /** Yields every peer at once and at each look, until the signal fires. */
  async *discover(signal: AbortSignal): AsyncGenerator<Sighting> {
    const { everyMs, port, program, unavailable } = this.#options;
    let told = new Map<string, WireGuardPeer>();
    let fault: string | null = null;
    while (!signal.aborted) {
      const look = await lookAtWireGuard(signal, program);
      if (signal.aborted) return;
      const peers = look !== null && "peers" in look ? look.peers : [];
      const now = new Map(peers.map((peer) => [peer.hostname, peer]));
      for (const { hostname, key } of told.values()) {
        if (!now.has(hostname)) yield { ...sighting({ hostname, key }, port), gone: true };
      }
      told = now;
      for (const peer of peers) {
        yield sighting(peer, port);
        if (signal.aborted) return;
      }
      const news = look !== null && "fault" in look ? look.fault : null;
      if (news !== null && fault === null) unavailable(news);
      fault = news;
      await nextBeat(everyMs, { signal });
    }
  }
}

function sighting({ hostname, key }: WireGuardPeer, port: number): Sighting {
  return { source: "wireguard", shortId: null, address: { hostname, port }, gone: false, tunnelKey: key };
}

/** Asks the program for all peers of all interfaces. Never rejects. */
export async function lookAtWireGuard(signal: AbortSignal, program = "wg"): Promise<WireGuardLook> {
  const enough = AbortSignal.any([signal, AbortSignal.timeout(LOOK_MS)]);
  let child: Deno.ChildProcess;
  try {
    child = new Deno.Command(program, {
      // Not `dump`, which prints the private key of the tunnel.
      args: ["show", "all", "allowed-ips"],
      stdin: "null",
      stdout: "piped",
      stderr: "piped",
      signal: enough,
    }).spawn();
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return null;
    return { fault: sentenceOf("this program may not run wg") };
  }
  const [stdout, stderr, { success }] = await Promise.all([
    readSome(child.stdout, MOST_BYTES),
    readSome(child.stderr, MOST_ERROR_BYTES),
    child.status,
  ]);
  if (success) return { peers: parseWireGuardPeers(stdout) };
  const refused = /not permitted|permission denied/i.test(stderr);
  return { fault: sentenceOf(refused ? "only root may ask wg for them" : "wg does not list them") };
}

function sentenceOf(why: string): string {
  return `Peers of WireGuard are not looked for: ${why}; name them with --peer HOST:PORT, or use --wireguard off`;
}

/** Reads a stream to its end, and keeps its beginning. */
async function readSome(stream: ReadableStream<Uint8Array>, most: number): Promise<string> {
  const decoder = new TextDecoder();
  let text = "";
  for await (const chunk of stream) {
    if (text.length <= most) text += decoder.decode(chunk, { stream: true });
  }
  return text;
}
