import type { Admitted } from "@ark/node/http";
import { escaped } from "@ark/node/telemetry";
import { type Command, EXIT, UsageError } from "../command.ts";
import { NodeClient } from "../node_client.ts";
import { CHOICE_FLAGS, choiceOf } from "../permission_choice.ts";

/** Accepts an invitation. */
export const PEERS_ACCEPT: Command = {
  name: "peers accept",
  summary: "Accept an invitation, so that you may use the node that sent it",
  usage: "LINK",
  flags: {
    ...CHOICE_FLAGS,
    expires: { value: "TIME", help: "12h, 30d, 4w or never (default: 30d for ask, else never)" },
  },
  details: `
LINK is ark:1:…, in quotes. The flags say what the node that invites may do here: nothing, unless you choose a preset.`,
  async run(context) {
    const { out, words, json } = context;
    // A link that a mail program has wrapped arrives as several words.
    const link = words.join("");
    if (link === "") throw new UsageError("Give the invitation: ark-node peers accept 'ark:1:…'");
    const node = await NodeClient.find(context);
    const choice = await choiceOf(context, { node, lasts: "expires" });
    const admitted = await node.call<Admitted>("/invites/accept", { link, ...choice });
    if (json) out.json(admitted);
    else {
      const { name } = admitted.approved;
      out.line(`You are let in by ${escaped(name, 100)}: 'ark-node models' shows what you may ask there.`);
      out.line(escaped(admitted.summary, 1_000));
      out.line("When you see each other, compare words: ark-node peers pair.");
    }
    if (!admitted.recorded) out.note("ark-node: It counts, but could not be recorded in the audit log.");
    return EXIT.ok;
  },
};
