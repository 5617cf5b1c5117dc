import { networkInterfaces } from "node:os";
import type { AuditLog } from "@ark/node/audit";
import { type Config, isLoopback } from "@ark/node/config";
import type { ApiKeyBook, Finding } from "@ark/node/http";
import type { NodeId } from "@ark/node/identity";
import { readMemory } from "@ark/node/inference";
import type { Neighbourhood, PeerBook, Rotations } from "@ark/node/peers";
import { reasonOf } from "@ark/node/protocol";
import type { PeerTable } from "@ark/node/routing";
import { formatAddress, type MeshClient, type PeerAddress } from "@ark/node/transport";
import type { OwnEngine } from "../role.ts";
import { type Check, runChecks } from "./check.ts";
import { exposure } from "./exposure.ts";
import type { ListenerFacts } from "./facts.ts";
import { openPort } from "./firewall.ts";
import type { GpuWish } from "./gpu.ts";
import { modelFindings } from "./models_here.ts";
import { ownAddresses, ownPort } from "./own_port.ts";
import { peerLinks } from "./peer_links.ts";
import { directoryChecks, settingsChecks } from "./surroundings_checks.ts";
import { clock } from "./surroundings.ts";
import { auditLog, trust } from "./trust.ts";

/** Entries of an audit log that are checked while somebody waits; a longer log is checked by `audit verify`. */
const MOST_ENTRIES = 200_000;
/** How long that may take, in milliseconds. */
const AUDIT_MS = 20_000;

/** What a {@linkcode Doctor} looks at. */
export interface DoctorOptions {
  /** This node. */
  self: NodeId;
  /** What the owner set. */
  config: Config;
  /** Reads the configuration anew, as the start did; without it nobody looks whether it changed. */
  reload: (() => Promise<Config>) | undefined;
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
  /** How they stand. */
  table: Pick<PeerTable, "list">;
  /** Nodes that were seen. */
  neighbourhood: Pick<Neighbourhood, "list" | "mirrors">;
  /** Peers that go on under another key. */
  rotations: Pick<Rotations, "list">;
  /** This node's own models, or null. */
  engine: {
    /** Runs them. */
    backend: Pick<OwnEngine["backend"], "loaded" | "gpuMemory" | "failure" | "fault">;
    /** Knows which there are. */
    catalogue: Pick<OwnEngine["catalogue"], "list" | "faults" | "find">;
  } | null;
  /** The audit log. */
  audit: Pick<AuditLog, "fault" | "tail" | "verify">;
  /** Knows what peers said of the clock. */
  client: Pick<MeshClient, "clockOffsetMs">;
}

/** Says what of a running node is exposed or wrong. */
export class Doctor {
  readonly #options: DoctorOptions;
  readonly #asked = new Set<NodeId>();
  #proxiedWithoutKey = false;
  #examining: Promise<Finding[]> | null = null;

  /** Makes a doctor for one node. */
  constructor(options: DoctorOptions) {
    this.#options = options;
  }

  /** Takes note that a reverse proxy passed a request on that was answered without a key. */
  noteProxied(): void {
    this.#proxiedWithoutKey = true;
  }

  /** Takes note that an approved peer reached this node by itself. */
  noteAsked(id: NodeId): void {
    this.#asked.add(id);
    if (this.#asked.size <= MOST_ASKED) return;
    const approved = new Set(this.#options.book.list().map(({ node_id }) => node_id));
    for (const one of this.#asked) if (!approved.has(one)) this.#asked.delete(one);
  }

  /** Who can reach the node, at once. */
  exposure(): Finding[] {
    return exposure(this.#listeners());
  }

  /** Everything, the worst first. Never rejects, and ends in time; who asks meanwhile gets the same. */
  examine(): Promise<Finding[]> {
    return this.#examining ??= runChecks(this.#checks()).finally(() => this.#examining = null);
  }

  #checks(): Check[] {
    const { config, env, engine, mesh } = this.#options;
    return [
      { name: "node", what: "the node", look: () => [this.#runs()] },
      { name: "local-listener", what: "who can reach the node", look: () => this.exposure() },
      { name: "approved-peers", what: "the approvals", look: () => this.#trust() },
      { name: "peer-links", what: "the peers", look: () => this.#links() },
      {
        name: "inbound",
        what: "the mesh listener",
        look: async (signal) => ownPort(mesh, { openMesh: await openPort(mesh.port, "tcp"), signal }),
      },
      { name: "clock", what: "the clock", look: () => this.#clock() },
      { name: "audit-log", what: "the audit log", ms: AUDIT_MS, look: () => this.#audit() },
      { name: "config", what: "the configuration", look: () => this.#config() },
      { name: "models", what: "the models", look: () => this.#models() },
      ...directoryChecks(config.paths, env),
      ...settingsChecks(config, env, { used: () => this.#usedGpu(), refusing: () => engine?.backend.fault ?? null }),
    ];
  }

  #runs(): Finding {
    const { config: { paths }, local } = this.#options;
    const sentence = `The node runs (process ${Deno.pid}, ${
      formatAddress(local)
    }) with the data directory ${paths.root}`;
    return { check: "node", level: "ok", sentence };
  }

  #trust(): Finding[] {
    const { book } = this.#options;
    return trust({
      peers: book.list(),
      expired: book.expired(),
      peersFault: book.fault,
      auditFault: null,
      auditDamage: undefined,
    });
  }

  async #links(): Promise<Finding[]> {
    const { self, table, neighbourhood, rotations, mesh, config } = this.#options;
    return peerLinks({
      self,
      peers: table.list(),
      neighbours: neighbourhood.list(),
      rotations: rotations.list(),
      asked: this.#asked,
      mesh,
      openMesh: await openPort(mesh.port, "tcp"),
      models: config.shareUpstreams ? null : this.#modelNames(),
      mirrors: neighbourhood.mirrors(),
      own: ownAddresses(),
    });
  }

  #modelNames(): string[] | null {
    return this.#options.engine?.catalogue.list().flatMap(({ id, aliases }) => [id, ...aliases]) ?? null;
  }

  async #clock(): Promise<Finding[]> {
    const { book, client, audit } = this.#options;
    const [newest] = await audit.tail(1);
    const recordedMs = newest === undefined ? NaN : Date.parse(newest.at);
    return clock({
      clocks: book.list().map(({ name, node_id }) => ({ name, offsetMs: client.clockOffsetMs(node_id) })),
      recordedMs: Number.isFinite(recordedMs) ? recordedMs : null,
    });
  }

  async #audit(): Promise<Finding[]> {
    return auditLog({ auditFault: this.#options.audit.fault, auditDamage: await this.#auditDamage() });
  }

  async #config(): Promise<Finding[]> {
    const { reload, config: { file } } = this.#options;
    if (file === null || reload === undefined) return [];
    try {
      await reload();
      return [{ check: "config", level: "ok", sentence: `The configuration ${file} can be used` }];
    } catch (error) {
      return [{
        check: "config",
        level: "danger",
        sentence: reasonOf(error).replace(/\.$/, ""),
        why: "It was changed since the node started, which would not start again like that",
        fix: "Correct it; 'ark-node config check' says whether it can be used then",
      }];
    }
  }

  async #models(): Promise<Finding[]> {
    const { engine, config } = this.#options;
    if (engine === null) return [];
    const { backend, catalogue } = engine;
    const { totalBytes } = await readMemory();
    // A GPU that has not loaded a model yet has not said how much memory it has.
    const unsure = backend.gpuMemory === null && this.#usedGpu() !== false && config.gpu !== "off";
    return modelFindings({
      models: catalogue.list(),
      faults: catalogue.faults(),
      memoryBytes: unsure || totalBytes === null ? null : Math.max(totalBytes, backend.gpuMemory ?? 0),
      wanted: [...config.preload, ...config.pinned],
      has: (name) => catalogue.find(name) !== undefined,
      failure: (name) => backend.failure(name),
    });
  }

  /** What computes, as far as a model was loaded. */
  #usedGpu(): GpuWish["used"] {
    const loaded = this.#options.engine?.backend.loaded() ?? [];
    const [layer] = loaded.flatMap(({ gpu }) => typeof gpu === "string" ? [gpu] : []);
    return layer ?? (loaded.length === 0 ? null : false);
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

/** Peers that are remembered as having come here, at most, before those are forgotten that are approved no more. */
const MOST_ASKED = 4_096;

/** Whether an address is that of a WireGuard interface, by the names that these usually have. */
function isTunnel(address: string): boolean {
  return Object.entries(networkInterfaces()).some(([name, found]) =>
    /^(wg|tailscale|utun)/.test(name) && found?.some((one) => one.address === address)
  );
}
