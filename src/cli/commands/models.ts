import type { DiskUse, ModelFault, ModelSource, WaitingModel } from "@ark/node/models";
import type { RoutedModel } from "@ark/node/routing";
import { type Command, EXIT } from "../command.ts";
import { byteCount } from "../byte_count.ts";
import { NodeClient } from "../node_client.ts";
import type { Output } from "../output.ts";

/** What `GET /models` answers. */
interface ModelsAnswer {
  models: RoutedModel[];
  faults: ModelFault[];
  waiting: WaitingModel[];
  disk: DiskUse;
}

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
    const { models, faults, waiting, disk } = await node.call<ModelsAnswer>("/models");
    if (context.json) {
      out.json({ models, faults, waiting, disk });
      return EXIT.ok;
    }
    for (const { path, reason } of faults) out.note(`ark-node: ${path}: ${reason}`);
    if (models.length === 0) {
      out.line(
        "There is no model: fetch one with 'ark-node models pull', put a GGUF file into a folder of --models, or approve a " +
          "peer that has one.",
      );
      showUnfinished({ waiting, disk }, out);
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
        model.local ? HERE[model.source ?? "folder"] : model.asleep ? `${model.owner} (asleep)` : model.owner,
        model.loaded ? "yes" : "-",
      ]),
    );
    showUnfinished({ waiting, disk }, out);
    return EXIT.ok;
  },
};

/** Says what has not become a model, and what it takes of the disk. */
function showUnfinished({ waiting, disk }: Pick<ModelsAnswer, "waiting" | "disk">, out: Output): void {
  for (const { name, size, from } of waiting) {
    out.line(
      `Waiting for your approval: ${name} (${
        byteCount(size)
      }) from ${from}: ark-node models approve ${name}, or models rm ${name}`,
    );
  }
  if (disk.parts === 0) return;
  const files = disk.parts === 1 ? "1 file that is not whole takes" : `${disk.parts} files that are not whole take`;
  out.line(`${files} ${byteCount(disk.partBytes)}; what is not gone on with for 30 days is removed.`);
}
