import { join } from "node:path";
import { setTimeout as pause } from "node:timers/promises";
import type { Config } from "@ark/node/config";
import { registryApp } from "@ark/node/http";
import { openRegistryStore, type RegistryStore } from "@ark/node/store";
import { listenPlain, type PeerAddress, type PlainListener } from "@ark/node/transport";

const EXPIRE_MS = 60_000;

/** This node as a registry. */
export class RegistryServer implements AsyncDisposable {
  /** Where it listens. */
  readonly address: PeerAddress;
  readonly #store: RegistryStore;
  readonly #listener: PlainListener;

  private constructor(store: RegistryStore, listener: PlainListener) {
    this.#store = store;
    this.#listener = listener;
    this.address = { hostname: listener.hostname, port: listener.port };
  }

  /** Opens its database and listens. Rejects where one of both cannot be. */
  static async start({ registry: { listen, tls, database }, paths }: Config): Promise<RegistryServer> {
    const store = await openRegistryStore(database ?? join(paths.root, "registry.db"));
    try {
      const app = registryApp({ store });
      const listener = await listenPlain({
        ...listen,
        handler: app,
        ...tls === null ? {} : { tls },
        // Strangers come here: nobody needs many connections, or long ones.
        limits: { connections: 1_024, idleMs: 30_000, headMs: 5_000 },
      });
      return new RegistryServer(store, listener);
    } catch (error) {
      await store[Symbol.asyncDispose]();
      throw error;
    }
  }

  /** Forgets what has ended, until the signal fires. */
  async run(signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      while (await this.#store.expire(Date.now()) > 0 && !signal.aborted);
      await pause(EXPIRE_MS, undefined, { signal }).catch(() => {});
    }
  }

  /** Cuts what still runs. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.#listener[Symbol.asyncDispose]();
    await this.#store[Symbol.asyncDispose]();
  }
}
