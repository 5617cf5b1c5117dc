import type { NODE_VALUES } from "./spec.ts";

/** Nobody waits longer at a tab, in milliseconds. */
export const PATIENCE_MS = 1_000;
const MOST_VALUES = 500;

/** What needs no quotes in any shell. Anything else is left out: a name may come from a peer, and is put into a command line. */
const PLAIN = /^[A-Za-z0-9][A-Za-z0-9._:/@+-]{0,199}$/;

/** Values of a kind, of which a shell may put each into a command line as it is. `ask` makes an admin call of the node. */
export async function completionValues(
  kind: typeof NODE_VALUES[number],
  ask: <T>(path: string) => Promise<T>,
): Promise<string[]> {
  const values = new Set((await valuesOf(kind, ask)).filter((value) => PLAIN.test(value)));
  return [...values].slice(0, MOST_VALUES);
}

async function valuesOf(
  kind: typeof NODE_VALUES[number],
  ask: <T>(path: string) => Promise<T>,
): Promise<string[]> {
  switch (kind) {
    case "models": {
      const { models } = await ask<{ models: { id: string; aliases?: string[] }[] }>("/models");
      return models.flatMap(({ id, aliases = [] }) => [id, ...aliases]);
    }
    case "peers": {
      const { peers } = await ask<{ peers: { name: string; node_id: string }[] }>("/peers/status");
      return peers.map(({ name, node_id }) => PLAIN.test(name) ? name : node_id.slice(0, 8));
    }
    case "nodes": {
      const { peers } = await ask<{ peers: { node_id: string }[] }>("/peers/discovered");
      return peers.map(({ node_id }) => node_id.slice(0, 8));
    }
    case "keys": {
      const { keys } = await ask<{ keys: { name: string; revoked_at: string | null }[] }>("/keys");
      return keys.filter(({ revoked_at }) => revoked_at === null).map(({ name }) => name);
    }
    case "invites": {
      const { invitations } = await ask<{ invitations: { name: string }[] }>("/invites");
      return invitations.map(({ name }) => name);
    }
    case "requests": {
      const { requests } = await ask<{ requests: { id: string }[] }>("/api/v1/requests?count=50");
      return requests.map(({ id }) => id).reverse();
    }
  }
}
