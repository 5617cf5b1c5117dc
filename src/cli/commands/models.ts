import type { ModelFault, ModelSource } from "@ark/node/models";
import type { RoutedModel } from "@ark/node/routing";
import { type Command, EXIT } from "../command.ts";
import { byteCount } from "../byte_count.ts";
import { NodeClient } from "../node_client.ts";

/** What is said of where a model of this node lies. */
const HERE: Readonly<Record<ModelSource, string>> = {
  own: "here",
  folder: "here",
  ollama: "here (Ollama)",
  huggingface: "here (Hugging Face)",
};

/** Shows models within reach. */
export const MODELS_LIST: Command = {
  name: "models list",
  summary: "Show the models of this node and of approved peers",
  usage: "",
  flags: {},
  async run(context) {
    const { out } = context;
    const node = await NodeClient.find(context);
    const { models, faults } = await node.call<{ models: RoutedModel[]; faults: ModelFault[] }>("/models");
    if (context.json) {
      out.json({ models, faults });
      return EXIT.ok;
    }
    for (const { path, reason } of faults) out.note(`ark-node: ${path}: ${reason}`);
    if (models.length === 0) {
      out.line(
        "There is no model: fetch one with 'ark-node models pull', put a GGUF file into a folder of --models, or approve a " +
          "peer that has one.",
      );
      return EXIT.ok;
    }
    out.table(
      ["MODEL", "SIZE", "QUANT", "CONTEXT", "CAN", "WHERE", "IN MEMORY"],
      models.map((model) => [
        [model.id, ...model.aliases ?? []].join(" = "),
        byteCount(model.size),
        model.quantization ?? "-",
        String(model.context_length),
        model.capabilities?.join(",") ?? "-",
        model.local ? HERE[model.source ?? "folder"] : model.owner,
        model.loaded ? "yes" : "-",
      ]),
    );
    return EXIT.ok;
  },
};
