import type { Identity, NodeId } from "@ark/node/identity";
import type { ErrorCode } from "@ark/node/protocol";
import type { Standing } from "./authenticator.ts";
import type { Caller } from "./caller.ts";
import type { Clock } from "./clock.ts";
import type { MeshLimits } from "./mesh_limits.ts";
import type { MeshRequest } from "./mesh_request.ts";

/** Something that a listener turned away. */
export interface Refusal {
  /** Why. */
  code: ErrorCode;
  /** IP address that it came from. */
  remote: string;
  /** Who it was, where a valid signature proves it; else null. */
  nodeId: NodeId | null;
}

/** Options of {@linkcode listenMesh}. */
export interface MeshListenOptions {
  /** This node. */
  identity: Identity;
  /** Address to listen on. */
  hostname: string;
  /** Port to listen on; 0 takes a free one. */
  port: number;
  /** How a key stands with the owner now. Asked for every request, so a change counts at once. */
  standing(id: NodeId): Standing;
  /**
   * Answers a request of an approved caller; called for no other. `request.signal` aborts when the caller is gone. Reading
   * the body fails when it is not the one that was signed; the caller then gets the refusal whatever is answered.
   */
  handler(request: MeshRequest, caller: Caller): Promise<Response>;
  /**
   * Where every proven key is heard, whether the owner approved it or not: this is how nodes get to know each other. The
   * handler is called instead of `handler`, and must give away nothing about who is approved.
   */
  introductions?: Introductions;
  /** Told of validly signed requests of unknown keys, which get the same refusal as everybody else. */
  knock?(caller: Caller, url: URL): void;
  /** Told of everything that is turned away. */
  refused?(refusal: Refusal): void;
  /** Limits that differ from {@linkcode MESH_LIMITS}. */
  limits?: Partial<MeshLimits>;
  /** Where time comes from. */
  clock?: Clock;
}

/** What {@linkcode MeshListenOptions.introductions} names. */
export interface Introductions {
  /** Paths, without a query: all its methods, and nothing below it. */
  paths: ReadonlySet<string>;
  /** Answers a request whose sender is proven and perhaps a stranger. */
  handler(request: MeshRequest, caller: Caller): Promise<Response>;
}
