import type { InferenceEvent, InferenceRequest } from "@ark/node/protocol";
import type { Route, RoutedModel, RouteOptions } from "@ark/node/routing";

/** A model within reach, as the APIs list it. */
export type ApiModel = Omit<RoutedModel, "peer" | "source" | "aliases">;

/** Who answers, as far as the client is told. */
export type AnsweringNode = Omit<Route, "attempt">;

/** How a question is asked. */
export interface AskOptions extends Omit<RouteOptions, "step"> {
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
