import type { InferOptions } from "@ark/node/inference";
import type { Capability, InferenceEvent, InferenceRequest } from "@ark/node/protocol";

/** A model within reach, as the APIs list it. */
export interface ApiModel {
  /** `name:tag`. */
  readonly id: string;
  /** Label of the node that has it. */
  readonly owner: string;
  /** Whether it is on this node. */
  readonly local: boolean;
  /** Whether it is in memory now. */
  readonly loaded: boolean;
  /** SHA-256 of its file in hex, or null while it is not known. */
  readonly digest: string | null;
  /** Size of its file in bytes. */
  readonly size: number;
  /** Tokens of context that a request may use. */
  readonly context_length: number;
  /** Size label such as `8b`, or null. */
  readonly parameters: string | null;
  /** Quantisation such as `q4_0`, or null. */
  readonly quantization: string | null;
  /** What it can do; absent where its node does not say. */
  readonly capabilities?: readonly Capability[];
  /** When it was changed last, RFC 3339 in UTC; absent where its node does not say. */
  readonly modified_at?: string;
  /** Family, such as `llama`; absent where its node does not say. */
  readonly family?: string;
}

/** Who answers, as far as the client is told. */
export interface AnsweringNode {
  /** Label of the node. */
  readonly name: string;
  /** The peer's id, or null for this node. */
  readonly peer: string | null;
  /** Whether an upstream server of this node answers. */
  readonly upstream?: boolean;
  /** Why this node was chosen, in a few words without names: `local: this node has the model`. */
  readonly reason?: string;
}

/** How a question is asked. */
export interface AskOptions extends InferOptions {
  /** Told who answers, before the first event. */
  chosen?(route: AnsweringNode & { readonly attempt: number }): void;
  /** Whether the question must stay on this machine. */
  localOnly?: boolean;
  /** Only a model that it lets pass answers. */
  permits?(model: string): boolean;
  /** The `x-request-id` of the client's request that this is a part of. */
  request?: string;
  /** Label of the API key that it was sent with. */
  key?: string;
}

/** Who asks, as far as what is kept for later requests goes. */
export interface AnswersSender {
  /** Id of its API key, or null where it sent none. */
  readonly key: string | null;
  /** Whether its questions must not leave this machine. */
  readonly localOnly: boolean;
}

/** What answers questions of the owner's programs; the router is one. */
export interface Answers {
  /** Whose answers these are; absent where they are everybody's. */
  readonly sender?: AnswersSender;
  /**
   * Answers a request.
   *
   * @throws {ArkError} from the iteration.
   */
  infer(request: InferenceRequest, options: AskOptions): AsyncIterable<InferenceEvent>;
  /** Models within reach, this node's first. The same id may occur more than once. */
  models(): readonly ApiModel[];
}
