import type { CopiesView } from "@ark/node/http";
import { type Command, EXIT, textFlag, UsageError } from "../command.ts";
import { NodeClient } from "../node_client.ts";

/** Says on how many of the owner's nodes a model is to be. */
export const MODELS_KEEP: Command = {
  name: "models keep",
  summary: "Say on how many of your own nodes a model is to be, or show that",
  usage: "[MODEL]",
  flags: {
    copies: { value: "N", help: "how many of your nodes are to have it, this one among them; 0 takes the wish back" },
  },
  details: `
Without MODEL it shows the wishes of this node. Your own nodes are those that approved each other with
'peers approve … --own --pull'. One of them fetches a model by itself where it was started with --accept-copies
and has room for it, until as many have it; nothing is ever removed.`,
  async run(context) {
    const { out, flags, words: [model, ...more], json } = context;
    if (more.length > 0) throw new UsageError("Name one model: ark-node models keep MODEL --copies N");
    const text = textFlag(flags, "copies");
    if ((model === undefined) !== (text === undefined) || !/^\d{0,3}$/.test(text ?? "")) {
      throw new UsageError("Say how many: ark-node models keep MODEL --copies 2");
    }
    const node = await NodeClient.find(context);
    if (model !== undefined) {
      const copies = Number(text) === 0 ? null : Number(text);
      const answer = await node.call<{ model: string }>("/models/copies", { model, copies });
      if (json) out.json(answer);
      else if (copies === null) out.line(`As many nodes have ${answer.model} as have it.`);
      else out.line(`Of your own nodes, ${copies} ${copies === 1 ? "is" : "are"} to have ${answer.model}.`);
      return EXIT.ok;
    }
    const { wishes } = await node.call<{ wishes: CopiesView[] }>("/models/copies");
    if (json) out.json({ wishes });
    else if (wishes.length === 0) out.line("There is no wish: ark-node models keep MODEL --copies 2");
    else {
      out.table(
        ["MODEL", "COPIES", "THERE ARE", "COULD FETCH IT"],
        wishes.map(({ model, copies, holders, candidates }) => [
          model,
          String(copies),
          holders === null ? "it is not here" : String(holders.length),
          String(candidates.length),
        ]),
      );
    }
    return EXIT.ok;
  },
};
