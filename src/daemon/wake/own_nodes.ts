import type { Config } from "@ark/node/config";
import type { WakeControl, WakeResult } from "@ark/node/http";
import type { NodeId } from "@ark/node/identity";
import type { PeerBook } from "@ark/node/peers";
import { ArkError, decodeWakeFacts, type ModelRef, type WakeFacts } from "@ark/node/protocol";
import { ANSWERING, type AsleepModel, type PeerTable, type PeerView, type Sleepers } from "@ark/node/routing";
import { type Logger, nextBeat } from "@ark/node/telemetry";
import type { MeshClient } from "@ark/node/transport";
import { KnownNodes } from "./known_nodes.ts";
import { ownAddresses, sendMagic, wakeTargets } from "./magic_packet.ts";
import { Waker, type WakerTimes } from "./waker.ts";

/** What {@linkcode OwnNodes} stands on. */
export interface OwnNodesGround {
  /** What the owner set. */
  config: Pick<Config, "paths" | "wakeMs">;
  /** Which peers are the owner's own. */
  book: Pick<PeerBook, "get" | "list">;
  /** How they stand. */
  table: Pick<PeerTable, "list" | "addresses" | "ask" | "offering">;
  /** Talks to them. */
  client: Pick<MeshClient, "request">;
  /** The node's log. */
  logger: Pick<Logger, "info" | "warn">;
  /** Sends packets; the default does. */
  send?: typeof sendMagic;
  /** Times of a test. */
  times?: Partial<WakerTimes>;
}

/** How often it is looked what they offer, and asked how they are woken, in milliseconds. */
const LOOK_MS = 2_000;
const ASK_AGAIN_MS = 600_000;
const DEADLINE_MS = 5_000;
const ANSWER_BYTES = 4_096;
/** Longest wait when the owner himself wakes a node while requests wake none, in milliseconds. */
const LEAST_WAKE_MS = 60_000;

/**
 * Remembers what the owner's other nodes offer and how they are woken, and wakes them for requests of the owner. Only
 * nodes that he approved as his own are ever asked how they are woken, and each tells that only to nodes that its own approval
 * says the same of; whoever is taken off the list is forgotten. Peers' requests never come here: they are answered by
 * this node itself or not at all.
 */
export class OwnNodes implements Sleepers, WakeControl, AsyncDisposable {
  readonly #ground: OwnNodesGround;
  readonly #known: KnownNodes;
  readonly #waker: Waker;
  readonly #closing = new AbortController();
  readonly #askedAt = new Map<NodeId, number>();
  /** The offers that were noted. */
  readonly #noted = new WeakSet<object>();

  private constructor(ground: OwnNodesGround, known: KnownNodes) {
    this.#ground = ground;
    this.#known = known;
    const { config, table, times } = ground;
    this.#waker = new Waker({
      wakeMs: Math.max(config.wakeMs, LEAST_WAKE_MS),
      send: (id) => this.#send(id),
      ask: (id, signal) => table.ask(id, signal),
      answers: (id) => {
        const view = this.#view(id);
        return view !== undefined && ANSWERING.has(view.state);
      },
      closing: this.#closing.signal,
      ...times === undefined ? {} : { times },
    });
  }

  /** Reads what is remembered. */
  static async open(ground: OwnNodesGround): Promise<OwnNodes> {
    return new OwnNodes(ground, await KnownNodes.open(ground.config.paths.ownNodes, ground.logger));
  }

  /** Models at nodes that sleep and can be woken, those first whose node was there last. */
  models(): readonly AsleepModel[] {
    if (this.#ground.config.wakeMs === 0) return [];
    return this.#known.list().flatMap(([peer, { models }]) => {
      const name = this.#ground.book.get(peer)?.name;
      return name === undefined || !this.asleep(peer) ? [] : models.map((model) => ({ peer, name, model }));
    });
  }

  /** Whether a node sleeps, as far as is known, and can be woken. */
  asleep(id: NodeId): boolean {
    const wake = this.#isOwn(id) ? this.#known.get(id)?.wake ?? null : null;
    if (wake === null || wake.possible === false || wake.macs.length === 0) return false;
    const state = this.#view(id)?.state;
    return state === "unreachable" || state === "unseen";
  }

  /** Wakes a node for a request of the owner. */
  async wake({ peer, model }: { peer: NodeId; model: ModelRef }, signal: AbortSignal): Promise<boolean> {
    const { table, config } = this.#ground;
    const there = () => table.offering(model).some(({ view }) => view.peer.node_id === peer);
    return await this.#waker.wake(peer, { there, signal, ms: config.wakeMs });
  }

  /** Wakes a node by the owner's own word, and waits for it. */
  async wakeNow(id: NodeId, signal: AbortSignal): Promise<WakeResult> {
    const peer = this.#ground.book.get(id);
    if (peer?.own !== true) {
      throw new ArkError(
        "bad_request",
        "Only nodes of your own are woken: 'ark-node peers approve … --own' says which are",
      );
    }
    const there = () => ANSWERING.has(this.#view(id)?.state ?? "unseen");
    if (there()) return { awake: true, sentence: `${peer.name} is awake` };
    const wake = this.#known.get(id)?.wake ?? null;
    if (wake === null || wake.macs.length === 0) {
      throw new ArkError(
        "bad_request",
        `${peer.name} has not said how it is woken: it must have been here once, and have approved this node with --own`,
      );
    }
    const began = performance.now();
    const awake = await this.#waker.wake(id, { there, signal, force: true });
    const seconds = Math.round((performance.now() - began) / 1_000);
    if (awake) return { awake, sentence: `${peer.name} is awake, after ${seconds} s` };
    const why = wake.possible === false
      ? ": its network card is not set to wake it"
      : wake.possible === null
      ? ": look whether Wake-on-LAN is switched on in its firmware and for its network card"
      : "";
    return { awake, sentence: `${peer.name} did not wake within ${seconds} s${why}` };
  }

  /** Looks at what the owner's nodes offer, and asks them how they are woken, until the signal fires. */
  async run(signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      this.#known.keepOnly(
        new Set(this.#ground.book.list().flatMap(({ node_id: id, own }) => own === true ? [id] : [])),
      );
      for (const view of this.#ground.table.list()) {
        if (view.peer.own === true && ANSWERING.has(view.state) && !signal.aborted) await this.#see(view, signal);
      }
      await nextBeat(LOOK_MS, { signal });
    }
  }

  /** Wakes nobody any more, and resolves when everything is on the disk. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#closing.abort();
    await this.#known.settled();
  }

  async #see({ peer: { node_id: id }, offer, address }: PeerView, signal: AbortSignal): Promise<void> {
    if (offer !== null && !this.#noted.has(offer) && offer.models.length > 0) {
      this.#noted.add(offer);
      this.#known.note(id, {
        models: offer.models,
        addresses: address === null ? [] : [plain(address.hostname)],
      });
    }
    if (this.#known.get(id) === undefined) return;
    if (performance.now() - (this.#askedAt.get(id) ?? -Infinity) < ASK_AGAIN_MS) return;
    const facts = await this.#ask(id, signal);
    if (facts === undefined) return;
    this.#askedAt.set(id, performance.now());
    this.#known.noteWake(id, facts);
  }

  /** How a node is woken; null where it does not say so to this one; undefined where it did not answer. */
  async #ask(id: NodeId, signal: AbortSignal): Promise<WakeFacts | null | undefined> {
    const { client, table } = this.#ground;
    try {
      const call = { method: "GET", path: "/ark/v1/wake", deadlineMs: DEADLINE_MS, signal };
      const { status, body } = await client.request({ id, addresses: table.addresses(id) }, call);
      const text = await beginning(body);
      return status === 200 ? decodeWakeFacts(JSON.parse(text)) : null;
    } catch {
      return undefined;
    }
  }

  /** Sends packets for a node that is the owner's own at this very moment. */
  async #send(id: NodeId): Promise<number> {
    const { send = sendMagic, logger } = this.#ground;
    const known = this.#isOwn(id) ? this.#known.get(id) : undefined;
    if (known === undefined || known.wake === null) return 0;
    logger.info("One of your nodes is being woken", { peer: id });
    return await send(known.wake.macs, wakeTargets(ownAddresses(), known.addresses));
  }

  #isOwn(id: NodeId): boolean {
    const peer = this.#ground.book.get(id);
    return peer?.own === true && peer.paused !== true;
  }

  #view(id: NodeId): PeerView | undefined {
    return this.#ground.table.list().find(({ peer }) => peer.node_id === id);
  }
}

/** An IPv4 address that came as an IPv6 one. */
function plain(hostname: string): string {
  return hostname.replace(/^::ffff:/i, "");
}

async function beginning(body: ReadableStream<Uint8Array>): Promise<string> {
  const decoder = new TextDecoder();
  let [text, size] = ["", 0];
  for await (const chunk of body) {
    size += chunk.length;
    if (size > ANSWER_BYTES) throw new ArkError("unavailable", "The node sent more than the protocol allows");
    text += decoder.decode(chunk, { stream: true });
  }
  return text;
}
