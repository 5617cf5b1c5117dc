/// <reference lib="deno.worker" />
/**
 * Peers that ask again as soon as they have their answer, in a thread of their own: what they receive is nothing that the
 * owner's client waits for. Told `{id, mesh, peers}`, they answer with their keys; told `{go}` they ask, and told
 * `{stop: true}` they leave all they asked for, and say so.
 */
import { MeshPeer } from "../mesh/mesh_peer.ts";

/** What the thread is told. */
export type GreedyOrder =
  | { id: string; mesh: { hostname: string; port: number }; peers: number }
  | { go: Record<string, unknown> }
  | { stop: true };

let peers: MeshPeer[] = [];
let enough = new AbortController();
let work: Promise<unknown> = Promise.resolve();

addEventListener("message", async ({ data }: MessageEvent<GreedyOrder>) => {
  if ("peers" in data) {
    peers = Array.from({ length: data.peers }, () => new MeshPeer(data.id as MeshPeer["identity"]["id"], data.mesh));
    postMessage(peers.map(({ publicKey }) => publicKey));
  } else if ("go" in data) {
    enough = new AbortController();
    work = Promise.all(peers.map((peer) => ask(peer, data.go)));
  } else {
    enough.abort();
    await work;
    postMessage("left");
  }
});

async function ask(peer: MeshPeer, question: Record<string, unknown>): Promise<void> {
  const { signal } = enough;
  while (!signal.aborted) {
    try {
      const { body, status } = await peer.open(question, signal);
      for await (const chunk of body) void chunk;
      if (status !== 200) await new Promise((resolve) => setTimeout(resolve, 20));
    } catch {
      // Refused, or left.
    }
  }
}
