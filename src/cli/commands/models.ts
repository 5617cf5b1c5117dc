import type { ModelFault } from "@ark/node/models";
import type { RoutedModel } from "@ark/node/routing";
import { type Command, EXIT } from "../command.ts";
import { NodeClient } from "../node_client.ts";

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
      out.line("There is no model: put a GGUF file into a folder of --models, or approve a peer that has one.");
      return EXIT.ok;
    }
    out.table(
      ["MODEL", "SIZE", "CONTEXT", "WHERE", "IN MEMORY"],
      models.map(({ id, size, context_length, owner, local, loaded }) => [
        id,
        bytes(size),
        String(context_length),
        local ? "here" : owner,
        loaded ? "yes" : "-",
      ]),
    );
    return EXIT.ok;
  },
};

function bytes(count: number): string {
  const units = ["B", "kB", "MB", "GB", "TB"];
  const power = Math.min(units.length - 1, Math.floor(Math.log10(Math.max(1, count)) / 3));
  const amount = count / 1_000 ** power;
  return `${amount.toFixed(power > 0 && amount < 100 ? 1 : 0)} ${units[power]}`;
}
