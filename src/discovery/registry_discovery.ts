import type { NodeId } from "@ark/node/identity";
import { reasonOf } from "@ark/node/protocol";
import { nextBeat } from "@ark/node/telemetry";
import type { Discovery, Sighting } from "./discovery.ts";
import { parsePeerAddress } from "./peer_address.ts";
import type { RegistryClient } from "./registry_client.ts";

/** What {@linkcode RegistryDiscovery} needs. */
export interface RegistryDiscoveryOptions {
  /** The registry. */
  client: Pick<RegistryClient, "find">;
  /** Nodes that are looked for: approved ones that are not in reach. */
  wanted(): readonly NodeId[];
  /** Told once why it cannot be asked, and again after it could. */
  unavailable?(sentence: string): void;
  /** Time until the same node is looked for again, in milliseconds. @default {60000} */
  everyMs?: number;
}

/** How often it is looked whether somebody new is wanted, in milliseconds. */
const LOOK_MS = 1_000;
/** Most nodes that are looked for at a time. */
const MOST_ASKED = 32;

/** Where approved nodes say that they are, by a registry. Nobody else is looked for: to be listed grants nothing. */
export class RegistryDiscovery implements Discovery {
  /** Always `registry`. */
  readonly name = "registry";
  readonly #options: RegistryDiscoveryOptions;
  #failing = false;

  /** Looks where it is told. */
  constructor(options: RegistryDiscoveryOptions) {
    this.#options = options;
  }

  /** Yields addresses until the signal fires. */
  async *discover(signal: AbortSignal): AsyncGenerator<Sighting> {
    const { everyMs = 60_000 } = this.#options;
    let asked = new Map<NodeId, number>();
    while (!signal.aborted) {
      const now = performance.now();
      const wanted = this.#options.wanted().slice(0, MOST_ASKED);
      // Whom nobody wants any more is forgotten; who was just approved is looked for at once.
      asked = new Map([...asked].filter(([id, at]) => wanted.includes(id) && now - at < everyMs));
      for (const id of wanted) {
        if (asked.has(id)) continue;
        asked.set(id, now);
        for (const address of await this.#find(id)) {
          yield { source: "registry", shortId: id.slice(0, 8), address: parsePeerAddress(address, 8911), gone: false };
        }
        if (signal.aborted) return;
      }
      await nextBeat(LOOK_MS, { signal });
    }
  }

  async #find(id: NodeId): Promise<readonly string[]> {
    try {
      const found = await this.#options.client.find(id);
      this.#failing = false;
      return found?.endpoints ?? [];
    } catch (error) {
      if (!this.#failing) this.#options.unavailable?.(reasonOf(error));
      this.#failing = true;
      return [];
    }
  }
}
