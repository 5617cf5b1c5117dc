import type { InferOptions } from "@ark/node/inference";
import type { NodeId } from "@ark/node/identity";
import type { ErrorCode } from "@ark/node/protocol";

/** Who answers a request. */
export interface Route {
  /** Label of the node. */
  readonly name: string;
  /** The peer's id, or null when this node answers itself or by an upstream server. */
  readonly peer: NodeId | null;
  /** Whether an upstream server answers. */
  readonly upstream?: boolean;
  /** How many had been asked before. */
  readonly attempt: number;
  /** Why it was chosen, in a few words without names. */
  readonly reason?: string;
}

/** Options of {@linkcode Router.infer}. */
export interface RouteOptions extends InferOptions {
  /**
   * Told who answers, once for each candidate that begins to answer and before any of its events is passed on. It is
   * told again, with a higher `attempt`, when that candidate failed before its first text, when another one was faster,
   * and when another one goes on with the answer.
   */
  chosen?(route: Route): void;
  /** Told each step of the request's way, in its order. */
  step?(step: RouteStep): void;
  /** Whether the request must stay on this machine. */
  localOnly?: boolean;
  /** Whether the sender may use a model, by its whole id; without it, any. */
  permits?(model: string): boolean;
}

/** A candidate as a {@linkcode RouteStep} tells it. */
export interface RankedCandidate {
  /** What it is known by: the id of a peer's node, `local`, or `upstream:NAME`. */
  readonly key: string;
  /** Label. */
  readonly name: string;
  /** The peer's id, or null. */
  readonly peer: NodeId | null;
  /** How long the whole answer would take there, in milliseconds. */
  readonly estimateMs: number;
  /** Whether the model is in its memory. */
  readonly loaded: boolean;
  /** Requests of ours that it is answering. */
  readonly inFlight: number;
  /** Requests that wait there. */
  readonly queued: number;
}

/**
 * One step of a request's way; never anything of what was asked or answered. `ms` is the time since the request came.
 *
 * | type | meaning |
 * |---|---|
 * | `ranked` | the candidates, best first |
 * | `woken` | one of the owner's nodes is being woken, since only it has the model |
 * | `asked` | one of them is asked; with `hedge`, beside another one |
 * | `began` | its first token leads |
 * | `failed` | it failed, after so many tokens had been shown |
 * | `continued` | it goes on after so many tokens; `gapMs` is how long the reader waited; with `moved`, because it is faster |
 * | `ended` | nothing more comes; `tokens` is how many were shown |
 *
 * `ended` is the last one on every path, and there is exactly one.
 */
export type RouteStep =
  & { ms: number }
  & (
    | { type: "ranked"; candidates: readonly RankedCandidate[] }
    | { type: "woken"; key: string; name: string }
    | { type: "asked"; key: string; name: string; attempt: number; hedge?: true }
    | { type: "began"; key: string; name: string }
    | { type: "failed"; key: string; name: string; code: ErrorCode; tokens: number }
    | { type: "continued"; key: string; name: string; tokens: number; gapMs: number; moved?: true }
    | { type: "ended"; outcome: "ok" | ErrorCode; tokens: number }
  );
