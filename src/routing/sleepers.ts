import type { NodeId } from "@ark/node/identity";
import type { ModelRef, OfferedModel } from "@ark/node/protocol";

/** A model at one of the owner's other nodes, which sleeps. */
export interface AsleepModel {
  /** That node. */
  readonly peer: NodeId;
  /** Its label. */
  readonly name: string;
  /** The model, as it was offered last. */
  readonly model: OfferedModel;
}

/** The owner's other nodes that sleep and can be woken. */
export interface Sleepers {
  /** Their models, those first whose node was there last. */
  models(): readonly AsleepModel[];
  /**
   * Wakes a node and waits until it offers a model; false where it does not in time, where it was woken in vain a moment
   * ago, and when the signal fires.
   */
  wake(asleep: { peer: NodeId; model: ModelRef }, signal: AbortSignal): Promise<boolean>;
}
