import { ArkError } from "@ark/node/protocol";
import type { Caller, Introductions, MeshRequest } from "@ark/node/transport";
import { arkErrorResponse } from "../ark_error.ts";
import { peerFailure } from "./peer_failure.ts";

/** Answers a request whose sender is proven and perhaps a stranger. What it throws becomes an error for the sender. */
export type IntroductionRoute = (request: MeshRequest, caller: Caller) => Promise<Response>;

/**
 * What a mesh listener hears of every proven key, by path. Each is a POST: an answer that depended on nothing but the
 * address would be a way to ask this node about itself.
 */
export function introductions(routes: Readonly<Record<string, IntroductionRoute>>): Introductions {
  const byPath = new Map(Object.entries(routes));
  return {
    paths: new Set(byPath.keys()),
    async handler(request, caller) {
      try {
        const route = byPath.get(new URL(request.url).pathname);
        if (route === undefined || request.method !== "POST") {
          throw new ArkError("bad_request", "This node has no such request");
        }
        return await route(request, caller);
      } catch (error) {
        return arkErrorResponse(peerFailure(error));
      }
    },
  };
}
