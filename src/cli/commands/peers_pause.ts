import type { PeerStatus } from "@ark/node/http";
import type { ApprovedPeer } from "@ark/node/peers";
import { type Command, type CommandContext, EXIT, UsageError } from "../command.ts";
import { findPeer } from "../find_peer.ts";
import { NodeClient } from "../node_client.ts";

/** Sets a peer aside. */
export const PEERS_PAUSE: Command = {
  name: "peers pause",
  summary: "Set a peer aside; it stays paired, and its running requests are cut",
  usage: "KEY|ID|NAME",
  flags: {},
  run: (context) =>
    call(context, {
      act: "pause",
      said: (name) => `${name} is paused: it may ask nothing here, and is asked nothing.`,
    }),
};

/** Takes a peer in again. */
export const PEERS_RESUME: Command = {
  name: "peers resume",
  summary: "Let a paused peer ask again",
  usage: "KEY|ID|NAME",
  flags: {},
  run: (context) => call(context, { act: "resume", said: (name) => `${name} may ask again, as you approved it.` }),
};

async function call(
  context: CommandContext,
  { act, said }: { act: "pause" | "resume"; said: (name: string) => string },
): Promise<number> {
  const { out, words, json } = context;
  const [typed, ...more] = words;
  if (typed === undefined || more.length > 0) {
    throw new UsageError(`Name one peer: ark-node peers ${act} KEY|ID|NAME`);
  }
  const node = await NodeClient.find(context);
  const { peers } = await node.call<{ peers: PeerStatus[] }>("/peers/status");
  const answer = await node.call<{ peer: ApprovedPeer; recorded: boolean }>(`/peers/${act}`, {
    node_id: findPeer(typed, peers),
  });
  if (json) out.json(answer);
  else out.line(said(answer.peer.name));
  if (!answer.recorded) out.note("ark-node: It counts, but could not be recorded in the audit log.");
  return EXIT.ok;
}
