import { setTimeout as pause } from "node:timers/promises";
import type { PeerAddress } from "@ark/node/transport";
import { type Discovery, REPEAT_MS, type Sighting } from "./discovery.ts";

/** Options of {@linkcode FixedDiscovery}. */
export interface FixedDiscoveryOptions {
  /** Time after which all addresses are told again, in milliseconds. @default {30000} */
  repeatMs?: number;
}

/**
 * Addresses that the owner named. Each is told at once and again every 30 s, so that a neighbour which starts later is
 * found; host names are passed on as they are.
 */
export class FixedDiscovery implements Discovery {
  /** Always `fixed`. */
  readonly name = "fixed";
  readonly #addresses: readonly PeerAddress[];
  readonly #repeatMs: number;

  /**
   * Takes the addresses; the same one twice counts once.
   *
   * @throws {RangeError} when a port cannot be dialled.
   */
  constructor(addresses: readonly PeerAddress[], { repeatMs = REPEAT_MS }: FixedDiscoveryOptions = {}) {
    for (const { hostname, port } of addresses) {
      if (!Number.isInteger(port) || port < 1 || port > 65_535) {
        throw new RangeError(`Cannot dial ${hostname}: its port must be from 1 to 65535, current value is ${port}`);
      }
    }
    this.#addresses = [
      ...new Map(addresses.map((address) => [`${address.hostname} ${address.port}`, address])).values(),
    ];
    this.#repeatMs = repeatMs;
  }

  /** Yields every address at once and again every 30 s, until the signal fires. */
  async *discover(signal: AbortSignal): AsyncGenerator<Sighting> {
    while (!signal.aborted) {
      for (const { hostname, port } of this.#addresses) {
        yield { source: "fixed", shortId: null, address: { hostname, port }, gone: false };
        if (signal.aborted) return;
      }
      try {
        await pause(this.#repeatMs, undefined, { signal });
      } catch {
        return;
      }
    }
  }
}
