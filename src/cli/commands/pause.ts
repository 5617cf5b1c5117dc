import type { SharingDetails } from "@ark/node/http";
import { type Command, type CommandContext, EXIT, UsageError } from "../command.ts";
import { NodeClient } from "../node_client.ts";
import { pauseWish } from "../pause_length.ts";

/** Pauses sharing. */
export const PAUSE: Command = {
  name: "pause",
  summary: "Pause sharing: neighbours may use nothing here until then",
  usage: "[1h | 30m | until 18:00]",
  flags: {},
  details:
    `Without a time it is paused until 'ark-node resume'. A pause survives a restart. Your own questions go on as before,
and so do those of your own nodes ('peers approve --own'). What neighbours' answers do that run is --on-yield.`,
  run: (context) => call(context, { path: "/sharing/pause", body: pauseWish(context.words) }),
};

/** Shares again. */
export const RESUME: Command = {
  name: "resume",
  summary: "End a pause: share again",
  usage: "",
  flags: {},
  run(context) {
    if (context.words.length > 0) {
      throw new UsageError(
        "This ends the pause of the whole node: ark-node resume; for one peer: ark-node peers resume",
      );
    }
    return call(context, { path: "/sharing/resume", body: {} });
  },
};

async function call(context: CommandContext, { path, body }: { path: string; body: unknown }): Promise<number> {
  const { out, json } = context;
  const node = await NodeClient.find(context);
  const answer = await node.call<SharingDetails & { recorded: boolean }>(path, body);
  if (json) out.json(answer);
  else out.line(`${answer.sentence}.`);
  if (!answer.recorded) out.note("ark-node: It counts, but could not be recorded in the audit log.");
  return EXIT.ok;
}
