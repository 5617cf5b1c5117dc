import type { PairingJson } from "@ark/node/http";
import { type CommandContext, CommandError } from "./command.ts";
import { NodeClient } from "./node_client.ts";
import { PairingDialog } from "./pairing_dialog.ts";
import { sseData } from "./sse_data.ts";
import { mayAskAtTerminal, TerminalLines } from "./terminal_lines.ts";

/**
 * Lets the owner answer other nodes that want to pair right where the node was started, one after the other, until the
 * signal fires. Where nobody is at a terminal it does nothing: 'ark-node peers pair' and the dashboard are there, too.
 */
export async function hostPairings(
  context: CommandContext,
  { data, signal, mayAsk = mayAskAtTerminal }: { data: string; signal: AbortSignal; mayAsk?: () => boolean },
): Promise<void> {
  const { out, input, json, env } = context;
  if (json || !out.terminal || !input.isTerminal()) return;
  const lines = new TerminalLines(input);
  const seen = new Set<string>();
  try {
    const node = await NodeClient.find({ flags: { data }, env });
    while (!signal.aborted) {
      const session = await nextWaiting(node, { seen, signal });
      if (!mayAsk()) continue;
      out.line("\nAnother node wants to pair with this one.");
      await new PairingDialog({ context, node, session, choice: null, person: true, lines, signal }).run()
        .catch((error) => {
          if (!signal.aborted && error instanceof CommandError) out.note(`ark-node: ${error.message}`);
        });
      lines.drop();
    }
  } catch (error) {
    // With the node its stream ends.
    if (!signal.aborted && error instanceof CommandError) out.note(`ark-node: ${error.message}`);
  }
}

/** Waits for a pairing that another node began, and whose words this owner has not compared. */
async function nextWaiting(
  node: NodeClient,
  { seen, signal }: { seen: Set<string>; signal: AbortSignal },
): Promise<string> {
  const gone = new AbortController();
  try {
    const response = await node.open("/peers/pair/events", undefined, {
      signal: AbortSignal.any([gone.signal, signal]),
    });
    for await (const { pairings } of sseData<{ pairings: PairingJson[] }>(response.body ?? new ReadableStream())) {
      for (const session of seen) if (!pairings.some((one) => one.session === session)) seen.delete(session);
      const waiting = pairings.find(({ direction, phase, mine, session }) =>
        direction === "in" && phase === "comparing" && mine === "waiting" && !seen.has(session)
      );
      if (waiting === undefined) continue;
      seen.add(waiting.session);
      return waiting.session;
    }
    throw new CommandError("The node does not tell of pairings any more");
  } finally {
    gone.abort();
  }
}
