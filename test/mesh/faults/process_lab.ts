/** A gateway and peers, each a process of its own: on this host's loopback, or each in a network namespace. */
import { until } from "../../inference/local_fixture.ts";
import { NetworkLab } from "../../support/netns.ts";
import { NodeProcess } from "../../support/node_process.ts";
import { FIXTURES, MODEL } from "../test_node.ts";
import { type Clients, type ClientsOptions, startClients, startClientsOn } from "./chain_clients.ts";

const CHAIN_NODE = [Deno.execPath(), "run", "-A", new URL("../../support/chain_node.ts", import.meta.url).pathname];

/** A peer of the lab. */
export interface LabProcess {
  /** Label, which is also its host's name. */
  readonly name: string;
  /** The process that runs now. */
  node: NodeProcess;
  /** Its data directory, which outlives it. */
  readonly data: string;
  /** Where it listens, whichever process it is. */
  readonly mesh: string;
}

/** Options of {@linkcode ProcessLab.start}. */
export interface ProcessLabOptions {
  /** How many peers. @default {3} */
  peers?: number;
  /** Whether each node has a network namespace of its own. @default {false} */
  namespaces?: boolean;
  /** Program of all nodes; the default has the chain engine. */
  program?: readonly string[];
  /** More flags of the gateway. */
  flags?: readonly string[];
}

/** The processes. */
export class ProcessLab implements AsyncDisposable {
  /** Whom clients ask. */
  readonly gateway: NodeProcess;
  /** Who answers. */
  readonly peers: readonly LabProcess[];
  /** Machines of the nodes, where each has its own. */
  readonly network: NetworkLab | null;
  readonly #program: readonly string[];

  private constructor(
    parts: { gateway: NodeProcess; peers: LabProcess[]; network: NetworkLab | null; program: readonly string[] },
  ) {
    this.gateway = parts.gateway;
    this.peers = parts.peers;
    this.network = parts.network;
    this.#program = parts.program;
  }

  /** Starts all processes, approves, and waits until each peer has its model in memory and the gateway knows. */
  static async start(options: ProcessLabOptions = {}): Promise<ProcessLab> {
    const { peers: count = 3, namespaces = false, program = CHAIN_NODE, flags = [] } = options;
    await using opened = new AsyncDisposableStack();
    const names = Array.from({ length: count }, (_, index) => `Peer${index}`);
    const network = namespaces ? opened.use(await NetworkLab.create(["Gateway", ...names])) : null;
    const peers = await Promise.all(names.map(async (name): Promise<LabProcess> => {
      const data = await Deno.makeTempDir({ prefix: "ark-lab-" });
      opened.defer(() => Deno.remove(data, { recursive: true }));
      const meshListen = network === null ? "127.0.0.1:0" : `${network.host(name).address}:8911`;
      const node = await startPeer({ name, data, meshListen, command: commandOn(network, { name, program }) });
      return { name, node, data, mesh: node.ready.mesh };
    }));
    for (const peer of peers) opened.defer(() => peer.node[Symbol.asyncDispose]());
    const gateway = opened.use(
      await NodeProcess.start({
        name: "Gateway",
        command: commandOn(network, { name: "Gateway", program }),
        ...network === null ? {} : { meshListen: `${network.host("Gateway").address}:8911` },
        args: ["--no-mdns", "--log-level", "warn", ...peers.flatMap(({ mesh }) => ["--peer", mesh]), ...flags],
      }),
    );
    const lab = new ProcessLab({ gateway, peers: [...peers], network, program });
    await Promise.all(peers.map(async ({ name }) => {
      await lab.approveGateway(name);
      await lab.approvePeer(name);
    }));
    await lab.settled();
    opened.move();
    return lab;
  }

  /** Lets the gateway ask a peer: also after it was revoked. */
  async approveGateway(name: string): Promise<void> {
    const { node } = this.peer(name);
    const key = this.gateway.ready.public_key;
    await node.json("peers", "approve", key, "--name", "Gateway", "--max", "16");
  }

  /** Lets the gateway ask it, from the gateway's side: also after it was revoked. */
  async approvePeer(name: string): Promise<void> {
    await this.gateway.json("peers", "approve", this.peer(name).node.ready.public_key, "--name", name);
  }

  /** The peer with a label. */
  peer(name: string | null): LabProcess {
    const found = this.peers.find((each) => each.name === name);
    if (found === undefined) throw new RangeError(`There is no peer ${name}`);
    return found;
  }

  /** Starts a peer again that was killed: the same node, at the same place. */
  async restart(name: string): Promise<void> {
    const peer = this.peer(name);
    await peer.node[Symbol.asyncDispose]();
    const command = commandOn(this.network, { name, program: this.#program });
    peer.node = await startPeer({ name, data: peer.data, meshListen: peer.mesh, command });
  }

  /** The gateway's owner revokes a peer, or, of the `gateway`, the peer's owner the gateway. */
  async revoke(whose: "gateway" | "peer", name: string): Promise<void> {
    const { node } = this.peer(name);
    const [at, other] = whose === "peer" ? [this.gateway, node] : [node, this.gateway];
    // Not by a command: that is a process, and takes longer than an answer has left.
    await told(at, { path: "peers/revoke", body: { node_id: other.ready.node_id } });
  }

  /** What a node tells its owner. */
  async #told<T>(node: NodeProcess, path: "models" | "status"): Promise<T> {
    return this.network === null ? await told<T>(node, { path }) : await node.json<T>(path);
  }

  /** Waits until all peers are within reach of the gateway, warm, and known by their weights. */
  async settled(): Promise<void> {
    await until(async () => {
      const { models } = await this.#told<{ models: { id: string; digest: string | null; loaded: boolean }[] }>(
        this.gateway,
        "models",
      );
      return models.filter(({ id, digest, loaded }) => id === MODEL && digest !== null && loaded).length ===
        this.peers.length;
    });
  }

  /** Starts clients of the gateway. */
  clients(options: ClientsOptions): Clients {
    const { api } = this.gateway.ready;
    return this.network === null
      ? startClients(api, options)
      : startClientsOn(this.network.host("Gateway"), api, options);
  }

  /** Ids of a peer's worker processes. */
  async workers(name: string): Promise<number[]> {
    const { models } = await this.#told<{ models: { loaded: { pid: number }[] } }>(this.peer(name).node, "status");
    return models.loaded.map(({ pid }) => pid);
  }

  /** Ends all processes. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.gateway[Symbol.asyncDispose]();
    await Promise.all(this.peers.map(({ node }) => node[Symbol.asyncDispose]()));
    for (const { data } of this.peers) await Deno.remove(data, { recursive: true });
    await this.network?.[Symbol.asyncDispose]();
  }
}

async function told<T>(node: NodeProcess, { path, body }: { path: string; body?: unknown }): Promise<T> {
  const token = (await Deno.readTextFile(`${node.ready.data}/admin.token`)).trim();
  const response = await fetch(`${node.ready.api}/${path}`, {
    headers: { authorization: `Bearer ${token}`, "content-type": "application/json" },
    ...body === undefined ? {} : { method: "POST", body: JSON.stringify(body) },
  });
  if (!response.ok) throw new Error(`${path} failed: ${await response.text()}`);
  return await response.json();
}

function commandOn(
  network: NetworkLab | null,
  { name, program }: { name: string; program: readonly string[] },
): readonly string[] {
  return network === null ? program : ["ip", "netns", "exec", network.host(name).namespace, ...program];
}

function startPeer(
  { name, data, meshListen, command }: { name: string; data: string; meshListen: string; command: readonly string[] },
): Promise<NodeProcess> {
  const args = ["--no-mdns", "--role", "compute", "--models", FIXTURES, "--slots", "8", "--pin", MODEL];
  return NodeProcess.start({ name, data, meshListen, command, args: [...args, "--log-level", "warn"] });
}
