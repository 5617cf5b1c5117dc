/** An approved provider that answers over real TLS with whatever a test gives it. */
import { formatPublicKey, generateIdentity, type Identity } from "@ark/node/identity";
import type { Offer } from "@ark/node/protocol";
import { type Caller, formatAddress, listenMesh, type MeshListener, type MeshRequest } from "@ark/node/transport";
import type { TestNode } from "../mesh/test_node.ts";
import { type Arrived, ScriptedPeer } from "../routing/scripted_peer.ts";

/** What a provider does with a question; the frames of an honest answer come from `peer.honest(arrived)`. */
export type Behaviour = (arrived: Arrived, provider: HostilePeer) => Response | Promise<Response>;

/** The provider. It is approved by whom it approves, and its key is its own: all that is wrong is what it says. */
export class HostilePeer implements AsyncDisposable {
  /** Makes frames that are signed right. */
  readonly peer: ScriptedPeer;
  /** What it does with the next question. */
  behaviour: Behaviour = (arrived, { peer }) => answer(peer.honest(arrived));
  /** Questions that arrived. */
  asked = 0;
  readonly #identity: Identity;
  #listener: MeshListener | null = null;
  #callers = new Set<string>();

  private constructor(name: string, { models, loaded }: { models: readonly string[]; loaded: boolean }) {
    this.#identity = generateIdentity();
    this.peer = new ScriptedPeer(name, models);
    Object.defineProperty(this.peer, "identity", { value: this.#identity });
    this.peer.offer.models = this.peer.offer.models.map((model) => ({ ...model, loaded }));
  }

  /** Starts to listen on the loopback. A provider that says `loaded` is asked before one that does not. */
  static async start(
    name: string,
    { models = ["tiny:1b"], loaded = true }: { models?: readonly string[]; loaded?: boolean } = {},
  ): Promise<HostilePeer> {
    const provider = new HostilePeer(name, { models, loaded });
    provider.#listener = await listenMesh({
      identity: provider.#identity,
      hostname: "127.0.0.1",
      port: 0,
      standing: () => "approved",
      handler: (request, caller) => provider.#handle(request, caller),
    });
    return provider;
  }

  /** What it offers; may be spoilt. */
  get offer(): Offer {
    return this.peer.offer;
  }

  /** Where it listens. */
  get address(): string {
    return formatAddress(this.#listener ?? { hostname: "", port: 0 });
  }

  /** Lets a node ask it. */
  approveBy(node: TestNode): Promise<void> {
    return node.approve({ publicKey: formatPublicKey(this.#identity.publicKey), name: this.peer.peer.name });
  }

  /** Cuts every connection, as if its cable were pulled. */
  die(): void {
    for (const id of this.#callers) this.#listener?.disconnect(id);
  }

  async #handle(request: MeshRequest, caller: Caller): Promise<Response> {
    this.#callers.add(caller.nodeId);
    const { pathname } = new URL(request.url);
    if (pathname === "/ark/v1/offer") return Response.json(this.offer);
    if (pathname === "/ark/v1/offers") return Response.json({}, { status: 400 });
    this.asked++;
    const body = await request.text();
    return await this.behaviour({ path: pathname, method: request.method, body, hash: caller.signature }, this);
  }

  /** Stops listening. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.#listener?.[Symbol.asyncDispose]();
  }
}

/** A streamed answer of these frames, with more header fields where a test wants them. */
export function answer(frames: Iterable<Uint8Array | string>, headers: Record<string, string> = {}): Response {
  const encoder = new TextEncoder();
  const bytes = [...frames].map((frame) => typeof frame === "string" ? encoder.encode(frame) : frame);
  const stream = new ReadableStream<Uint8Array>({
    start(controller) {
      for (const frame of bytes) controller.enqueue(frame);
      controller.close();
    },
  });
  return new Response(stream, { headers: { "content-type": "text/event-stream", ...headers } });
}
