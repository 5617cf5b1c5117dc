import type { NodeId } from "@ark/node/identity";
import { ArkError } from "@ark/node/protocol";
import type { Charge, Cost, Obstacle } from "./account.ts";
import { type ApprovedPeer, sharesModel } from "./approved_peer.ts";
import { Usage } from "./usage.ts";

/** One admitted request; its slot comes back when it is disposed, however the request ended. */
export interface Lease extends Disposable {
  /** Who was admitted. */
  readonly peer: ApprovedPeer;
  /** Its tokens. A lease that is disposed before it was settled failed. */
  readonly charge: Charge;
}

/** What a peer wants to do with a model. */
export type Act = "infer" | "pull";

/** What a request is about. */
export interface Wish extends Partial<Cost> {
  /** `name:tag` */
  model: string;
}

/** Where the gate looks peers up. */
export interface PeerLookup {
  /** An approved peer that has not expired, or undefined. */
  get(id: NodeId): ApprovedPeer | undefined;
}

/** Decides whether one request of a peer may run now. Counts by key, never by connection. */
export class Gate {
  readonly #peers: PeerLookup;
  readonly #usage: Usage;
  readonly #held = new Map<NodeId, number>();

  /** Makes a gate over a book of approved peers, and what they have used up. */
  constructor(peers: PeerLookup, usage: Usage = new Usage()) {
    this.#peers = peers;
    this.#usage = usage;
  }

  /** Requests of a peer that run now. */
  held(id: NodeId): number {
    return this.#held.get(id) ?? 0;
  }

  /** What a peer has used up of its limits over time, so that it has to wait; null where nothing is. */
  obstacle(peer: ApprovedPeer): Obstacle | null {
    return this.#usage.of(peer.node_id).obstacle(peer.permissions);
  }

  /** Whether a peer may do something with a model, the number of its requests and other limits aside. Pure. */
  permits(peer: ApprovedPeer, act: Act, model: string): boolean {
    const { can_request_inference, can_pull_models, models_shared } = peer.permissions;
    const may = act === "infer" ? can_request_inference : can_pull_models;
    return may && !peer.paused && sharesModel(models_shared, model);
  }

  /**
   * Lends a peer a slot for one request, and opens its account.
   *
   * @throws {ArkError} `forbidden`, `model_not_shared` or `busy`. A model that exists and is not shared gets the same
   * answer as one that does not exist. What is refused uses up nothing.
   */
  admit(id: NodeId, act: Act, { model, promptTokens = 1, ...rest }: Wish): Lease {
    const peer = this.#peers.get(id);
    if (peer === undefined) throw new ArkError("forbidden", "This node has not approved you");
    if (peer.paused) throw new ArkError("forbidden", PAUSED);
    const { permissions } = peer;
    if (act === "infer" ? !permissions.can_request_inference : !permissions.can_pull_models) {
      throw new ArkError(
        "forbidden",
        `This node does not let you ${act === "infer" ? "ask its models" : "download models"}`,
      );
    }
    if (!sharesModel(permissions.models_shared, model)) {
      throw new ArkError("model_not_shared", "This node does not share that model with you");
    }
    const held = this.held(id);
    const most = permissions.max_concurrent_requests;
    if (held >= most) {
      throw new ArkError("busy", `This node answers ${most} of your requests at a time; try again when one has ended`, {
        retryAfterSeconds: 1,
      });
    }
    const account = this.#usage.of(id).open(permissions, { promptTokens, ...rest });
    const charge: Charge = {
      ...account,
      // Whom the owner cut off in the middle of an answer did not break it off.
      settle: (how, written) => account.settle(how === "broken_off" && this.#isCut(id) ? "failed" : how, written),
    };
    this.#held.set(id, held + 1);
    return {
      peer,
      charge,
      [Symbol.dispose]: once(() => {
        charge.settle("failed");
        this.#release(id);
      }),
    };
  }

  #isCut(id: NodeId): boolean {
    const peer = this.#peers.get(id);
    return peer === undefined || peer.paused === true;
  }

  #release(id: NodeId): void {
    const held = this.held(id) - 1;
    if (held > 0) this.#held.set(id, held);
    else this.#held.delete(id);
  }
}

/** What a paused peer is told. */
export const PAUSED = "The owner of this node has paused you: you stay paired, and may ask again when that is over";

function once(act: () => void): () => void {
  let done = false;
  return () => {
    if (done) return;
    done = true;
    act();
  };
}
