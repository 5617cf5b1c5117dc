import { type Command, EXIT, UsageError } from "../command.ts";
import { NodeClient } from "../node_client.ts";

/** Removes a model of the node's own store. */
export const MODELS_RM: Command = {
  name: "models rm",
  summary: "Remove a model that this node fetched, or a second name",
  usage: "MODEL",
  flags: {},
  details: `
Only models in the node's own store (models/ in its data directory) are removed; those of Ollama, of Hugging Face's
tools and of --models are left to whom they belong.`,
  async run(context) {
    const { out, words: [model, ...more], json } = context;
    if (model === undefined || more.length > 0) throw new UsageError("Name one model: ark-node models rm MODEL");
    const node = await NodeClient.find(context);
    const answer = await node.call<{ removed: string }>("/models/remove", { model });
    if (json) out.json(answer);
    else out.line(`Removed ${answer.removed}.`);
    return EXIT.ok;
  },
};
