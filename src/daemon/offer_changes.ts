import type { NodeId } from "@ark/node/identity";
import type { Offer } from "@ark/node/protocol";
import type { PeerTable } from "@ark/node/routing";
import { type Metrics, nextBeat } from "@ark/node/telemetry";

/** How often it is looked, in milliseconds. */
const EVERY_MS = 1_000;

/** Counts how often what peers offer was found changed, looked at once a second: several changes at once are one. */
export class OfferChanges {
  readonly #table: Pick<PeerTable, "list">;
  readonly #count: () => void;
  #known = new Map<NodeId, { offer: Offer | null; text: string }>();

  /** Declares what it counts. */
  constructor(metrics: Metrics, table: Pick<PeerTable, "list">) {
    const changes = metrics.counter("ark_offer_changes_total", "Times that the offer of a peer was found changed.");
    this.#count = () => changes.add();
    this.#table = table;
  }

  /** Looks once. A peer that is new has not changed; one that is gone is forgotten. */
  look(): void {
    const before = this.#known;
    this.#known = new Map(
      this.#table.list().map(({ peer: { node_id: id }, offer }) => {
        const known = before.get(id);
        if (known !== undefined && known.offer === offer) return [id, known];
        const text = JSON.stringify(offer);
        if (known !== undefined && known.text !== text) this.#count();
        return [id, { offer, text }];
      }),
    );
  }

  /** Looks until the signal fires. */
  async run(signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      this.look();
      await nextBeat(EVERY_MS, { signal });
    }
  }
}
