/** A gateway without a model and peers that have one, each behind a link that can be broken; in this very process. */
import { until } from "../../inference/local_fixture.ts";
import { FaultProxy } from "../../support/fault_proxy.ts";
import { FIXTURES, MODEL, TestNode, type TestNodeOptions } from "../test_node.ts";

/** A peer and the link that leads to it. */
export interface LabPeer {
  /** Label. */
  readonly name: string;
  /** The node. */
  readonly node: TestNode;
  /** The only way from the gateway to it. */
  readonly link: FaultProxy;
}

/** Options of {@linkcode FaultLab.start}. */
export interface FaultLabOptions {
  /** How many peers. @default {2} */
  peers?: number;
  /** Variables of a peer's workers, by its number. */
  environment?(index: number): Record<string, string>;
  /** More flags of the gateway. */
  flags?: Record<string, string | boolean | string[]>;
  /** Workers of the peers. @default {"chain_worker"} */
  worker?: TestNodeOptions["worker"];
}

/** What a peer's worker wrote when it began an answer. */
interface Begun {
  type: string;
  tag: string | null;
}

/**
 * Peers listen on an address of the loopback that nobody guesses from theirs, so that the gateway dials the link and
 * nothing else. Linux has all of 127.0.0.0/8.
 */
const ELSEWHERE = "127.0.0.2:0";

/** The nodes and links. */
export class FaultLab implements AsyncDisposable {
  /** Whom clients ask. */
  readonly gateway: TestNode;
  /** Who answers. */
  readonly peers: readonly LabPeer[];

  private constructor(gateway: TestNode, peers: readonly LabPeer[]) {
    this.gateway = gateway;
    this.peers = peers;
  }

  /** Starts all, approves, and waits until the gateway knows the weights of every peer and all have them in memory. */
  static async start(options: FaultLabOptions = {}): Promise<FaultLab> {
    const { peers: count = 2, environment = () => ({}), flags = {}, worker = "chain_worker" } = options;
    await using opened = new AsyncDisposableStack();
    const peers: LabPeer[] = [];
    for (let index = 0; index < count; index++) {
      const name = `Peer ${index}`;
      const node = opened.use(
        await TestNode.start({
          name,
          models: [FIXTURES],
          worker,
          environment: environment(index),
          role: "compute",
          flags: { "mesh-listen": ELSEWHERE, slots: "8" },
        }),
      );
      const link = opened.use(await FaultProxy.listen(node.daemon.mesh, { seed: index + 1 }));
      peers.push({ name, node, link });
    }
    const gateway = opened.use(
      await TestNode.start({ name: "gateway", peers: peers.map(({ link }) => link.address), flags }),
    );
    for (const { name, node } of peers) {
      await node.approve({ publicKey: gateway.publicKey, name: "gateway" }, { max_concurrent_requests: 16 });
      await gateway.approve({ publicKey: node.publicKey, name });
    }
    const lab = new FaultLab(gateway, peers);
    await Promise.all(peers.map(({ node }) => node.daemon.engine?.backend.load(MODEL)));
    await lab.settled();
    opened.move();
    return lab;
  }

  /** Where clients ask. */
  get api(): string {
    return this.gateway.api;
  }

  /** Waits until every peer is within reach, warm, and known by its weights. */
  async settled(): Promise<void> {
    await until(async () => {
      const { body } = await this.gateway.admin<{ models: { id: string; digest: string | null; loaded: boolean }[] }>(
        "/models",
      );
      const warm = body.models.filter(({ id, digest, loaded }) => id === MODEL && digest !== null && loaded);
      return warm.length === this.peers.length;
    });
  }

  /** Waits until a peer's worker begins with a question of this tag, and returns that peer. */
  async begun(tag: string): Promise<LabPeer> {
    let found: LabPeer | undefined;
    await until(() => {
      found = this.peers.find(({ node }) =>
        node.workerLog().split("\n").filter(Boolean).map((line): Begun => JSON.parse(line))
          .some((line) => line.type === "chain:begin" && line.tag === tag)
      );
      return found !== undefined;
    });
    if (found === undefined) throw new RangeError("No peer began");
    return found;
  }

  /** How many answers were taken from a node in their middle so far: whether it had failed, or was only taken to have. */
  get failovers(): number {
    return this.gateway.log.filter((line) => line.includes("broke off its answer")).length;
  }

  /** How many answers the peers' workers began. */
  get begins(): number {
    return this.peers.reduce((sum, { node }) => sum + (node.workerLog().match(/chain:begin/g)?.length ?? 0), 0);
  }

  /** The peer with a label. */
  peer(name: string | null): LabPeer {
    const found = this.peers.find((each) => each.name === name);
    if (found === undefined) throw new RangeError(`There is no peer ${name}`);
    return found;
  }

  /** Stops all. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.gateway[Symbol.asyncDispose]();
    for (const { node, link } of this.peers) {
      await node[Symbol.asyncDispose]();
      await link[Symbol.asyncDispose]();
    }
  }
}
