/** A request for a model of this node, as it comes. */
export interface AskedModel {
  /** Id of the model. */
  readonly model: string;
  /** Who asks. */
  readonly priority: "owner" | "peer";
  /** Of a peer, its node id. */
  readonly principal: string;
  /** Whether the model was in memory for what is asked. */
  readonly warm: boolean;
}
