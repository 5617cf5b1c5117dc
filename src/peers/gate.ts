import type { NodeId } from "@ark/node/identity";
import { ArkError } from "@ark/node/protocol";
import { type ApprovedPeer, sharesModel } from "./approved_peer.ts";

/** One admitted request; its slot comes back when it is disposed, however the request ended. */
export interface Lease extends Disposable {
  /** Who was admitted. */
  readonly peer: ApprovedPeer;
}

/** What a peer wants to do with a model. */
export type Act = "infer" | "pull";

/** Where the gate looks peers up. */
export interface PeerLookup {
  /** An approved peer that has not expired, or undefined. */
  get(id: NodeId): ApprovedPeer | undefined;
}

/** Decides whether one request of a peer may run now. Counts by key, never by connection. */
export class Gate {
  readonly #peers: PeerLookup;
  readonly #held = new Map<NodeId, number>();

  /** Makes a gate over a book of approved peers. */
  constructor(peers: PeerLookup) {
    this.#peers = peers;
  }

  /** Requests of a peer that run now. */
  held(id: NodeId): number {
    return this.#held.get(id) ?? 0;
  }

  /** Whether a peer may do something with a model, its number of requests aside. Pure. */
  permits(peer: ApprovedPeer, act: Act, model: string): boolean {
    const { can_request_inference, can_pull_models, models_shared } = peer.permissions;
    return (act === "infer" ? can_request_inference : can_pull_models) && sharesModel(models_shared, model);
  }

  /**
   * Lends a peer a slot for one request.
   *
   * @throws {ArkError} `forbidden`, `model_not_shared` or `busy`. A model that exists and is not shared gets the same
   * answer as one that does not exist.
   */
  admit(id: NodeId, act: Act, model: string): Lease {
    const peer = this.#peers.get(id);
    if (peer === undefined) throw new ArkError("forbidden", "This node has not approved you");
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
    this.#held.set(id, held + 1);
    return { peer, [Symbol.dispose]: once(() => this.#release(id)) };
  }

  #release(id: NodeId): void {
    const held = this.held(id) - 1;
    if (held > 0) this.#held.set(id, held);
    else this.#held.delete(id);
  }
}

function once(act: () => void): () => void {
  let done = false;
  return () => {
    if (done) return;
    done = true;
    act();
  };
}
