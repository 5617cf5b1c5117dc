import type { NodeId } from "@ark/node/identity";
import { ArkError } from "@ark/node/protocol";
import { sharesContent } from "./approved_peer.ts";
import { PAUSED, type PeerLookup } from "./gate.ts";
import type { Usage } from "./usage.ts";

/** Requests for pages that one peer may have at once: as many as a browser makes, and few enough that none starves others. */
const AT_ONCE = 6;

/**
 * Decides whether a peer may read something of a content pack now. Its requests count in its rate, as questions do; they take
 * none of its slots and none of its tokens.
 */
export class ContentGate {
  readonly #peers: PeerLookup;
  readonly #usage: Pick<Usage, "of">;
  readonly #held = new Map<NodeId, number>();

  /** Makes a gate over a book of approved peers, and what they have used up. */
  constructor(peers: PeerLookup, usage: Pick<Usage, "of">) {
    this.#peers = peers;
    this.#usage = usage;
  }

  /**
   * The names that a peer may know, out of some.
   *
   * @throws {ArkError} `forbidden`
   */
  shown(id: NodeId, packs: readonly string[]): string[] {
    const { permissions } = this.#peer(id);
    return packs.filter((pack) => sharesContent(permissions, pack));
  }

  /**
   * Lends a peer a place for one request; it comes back when it is disposed.
   *
   * @throws {ArkError} `forbidden`, `busy`, and `model_not_found` for what is not shared as for what is not there.
   */
  admit(id: NodeId, pack: string): Disposable {
    const { permissions } = this.#peer(id);
    const held = this.#held.get(id) ?? 0;
    if (held >= AT_ONCE) {
      throw new ArkError("busy", `This node gives you ${AT_ONCE} pages at a time`, { retryAfterSeconds: 1 });
    }
    const { max_tokens_per_day: _, ...rate } = permissions;
    // A failed one gives back all but its place in the rate.
    this.#usage.of(id).open(rate, { promptTokens: 1, maxTokens: 1 }).settle("failed");
    if (!sharesContent(permissions, pack)) throw new ArkError("model_not_found", NOT_THERE);
    this.#held.set(id, held + 1);
    let over = false;
    return {
      [Symbol.dispose]: () => {
        if (over) return;
        over = true;
        const left = (this.#held.get(id) ?? 1) - 1;
        if (left > 0) this.#held.set(id, left);
        else this.#held.delete(id);
      },
    };
  }

  #peer(id: NodeId) {
    const peer = this.#peers.get(id);
    if (peer === undefined) throw new ArkError("forbidden", "This node has not approved you");
    if (peer.paused) throw new ArkError("forbidden", PAUSED);
    return peer;
  }
}

/** What a peer is told of a pack that is not there, or not for it. */
export const NOT_THERE = "This node has no such pack for you";
