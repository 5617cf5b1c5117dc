import { type Command, type CommandContext, EXIT } from "../command.ts";
import { NODE_VALUES } from "../completion/spec.ts";
import { NodeClient } from "../node_client.ts";

/** Nobody waits longer at a tab. */
const PATIENCE_MS = 1_000;
const MOST_VALUES = 500;

/** What needs no quotes in any shell. Anything else is left out: a name may come from a peer, and is put into a command line. */
const PLAIN = /^[A-Za-z0-9][A-Za-z0-9._:/@+-]{0,199}$/;

/** What the shells' scripts ask while a command line is typed. It is quick and never says anything but values. */
export const COMPLETE: Command = {
  name: "__complete",
  summary: "Print the values that a shell may complete, a line each",
  usage: "KIND",
  flags: {},
  hidden: true,
  async run(context) {
    const [asked = ""] = context.words;
    const kind = NODE_VALUES.find((one) => one === asked);
    if (kind === undefined) return EXIT.ok;
    try {
      const values = new Set((await valuesOf(kind, context)).filter((value) => PLAIN.test(value)));
      for (const value of [...values].slice(0, MOST_VALUES)) context.out.line(value);
    } catch {
      // No node, no answer in time: there is nothing to complete.
    }
    return EXIT.ok;
  },
};

async function valuesOf(kind: typeof NODE_VALUES[number], context: CommandContext): Promise<string[]> {
  const node = await NodeClient.find(context);
  const ask = async <T>(path: string): Promise<T> =>
    await (await node.open(path, undefined, { signal: AbortSignal.timeout(PATIENCE_MS) })).json();
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
