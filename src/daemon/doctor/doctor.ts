import { networkInterfaces } from "node:os";
import type { AuditLog } from "@ark/node/audit";
import { type Config, isLoopback } from "@ark/node/config";
import type { ApiKeyBook, Finding } from "@ark/node/http";
import type { PeerBook } from "@ark/node/peers";
import { reasonOf } from "@ark/node/protocol";
import type { MeshClient, PeerAddress } from "@ark/node/transport";
import { examine } from "./examine.ts";
import { exposure } from "./exposure.ts";
import type { ListenerFacts } from "./facts.ts";
import { stillFacts } from "./still_facts.ts";

/** Entries of an audit log that are checked while somebody waits; a longer log is checked by `audit verify`. */
const MOST_ENTRIES = 200_000;

/** What a {@linkcode Doctor} looks at. */
export interface DoctorOptions {
  /** What the owner set. */
  config: Config;
  /** Reads the environment. */
  env(name: string): string | undefined;
  /** Where the owner's API listens. */
  local: PeerAddress;
  /** Where peers connect. */
  mesh: PeerAddress;
  /** API keys. */
  keys: Pick<ApiKeyBook, "inForce">;
  /** Approved peers. */
  book: Pick<PeerBook, "list" | "expired" | "fault">;
  /** The audit log. */
  audit: Pick<AuditLog, "fault" | "tail" | "verify">;
  /** Knows what peers said of the clock. */
  client: Pick<MeshClient, "clockOffsetMs">;
}

/** Says what of a running node is exposed or wrong. */
export class Doctor {
  readonly #options: DoctorOptions;
  #proxiedWithoutKey = false;

  /** Makes a doctor for one node. */
  constructor(options: DoctorOptions) {
    this.#options = options;
  }

  /** Takes note that a reverse proxy passed a request on that was answered without a key. */
  noteProxied(): void {
    this.#proxiedWithoutKey = true;
  }

  /** Who can reach the node, at once. */
  exposure(): Finding[] {
    return exposure(this.#listeners());
  }

  /** Everything, the worst first. */
  async examine(): Promise<Finding[]> {
    const { config, env, book, audit, client } = this.#options;
    const [still, auditDamage] = await Promise.all([stillFacts(config.paths, env), this.#auditDamage()]);
    const peers = book.list();
    return examine(still, {
      listeners: this.#listeners(),
      peers,
      expired: book.expired(),
      peersFault: book.fault,
      auditFault: audit.fault,
      auditDamage,
      clocks: peers.map(({ name, node_id }) => ({ name, offsetMs: client.clockOffsetMs(node_id) })),
    });
  }

  #listeners(): ListenerFacts {
    const { config, local, mesh, keys } = this.#options;
    return {
      local,
      loopback: isLoopback(local.hostname),
      tunnel: isTunnel(local.hostname),
      keysRequired: config.requireKeys,
      keys: keys.inForce,
      proxiedWithoutKey: this.#proxiedWithoutKey,
      origins: config.allowOrigins,
      mesh,
      meshLoopback: isLoopback(mesh.hostname),
    };
  }

  async #auditDamage(): Promise<string | null | undefined> {
    const { audit } = this.#options;
    try {
      const [newest] = await audit.tail(1);
      if ((newest?.seq ?? 0) > MOST_ENTRIES) return undefined;
      const verdict = await audit.verify();
      return verdict.ok ? null : verdict.reason;
    } catch (error) {
      return reasonOf(error);
    }
  }
}

/** Whether an address is that of a WireGuard interface, by the names that these usually have. */
function isTunnel(address: string): boolean {
  return Object.entries(networkInterfaces()).some(([name, found]) =>
    /^(wg|tailscale|utun)/.test(name) && found?.some((one) => one.address === address)
  );
}
