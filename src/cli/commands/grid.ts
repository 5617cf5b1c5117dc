import type { DensityGrid, GridNode } from "@ark/node/routing";
import { byteCount } from "../byte_count.ts";
import { type Command, EXIT } from "../command.ts";
import { NodeClient } from "../node_client.ts";
import { stateLook } from "../state_look.ts";

/** Most rare models that one line names. */
const MOST_NAMED = 3;

/** Shows what the nodes within reach have together. */
export const GRID: Command = {
  name: "grid",
  summary: "Show all nodes, copies of each model, and what is lost if a node leaves",
  usage: "",
  flags: {},
  details:
    `Of a peer it shows what that peer tells this node: its models for you, and its memory and GPU where its owner
started it with --show-hardware. Files count as the same by their digest, and by name while that is not known.`,
  async run(context) {
    const { out } = context;
    const node = await NodeClient.find(context);
    const grid = await node.call<DensityGrid>("/grid");
    if (context.json) {
      out.json(grid);
      return EXIT.ok;
    }
    const { nodes, models, totals } = grid;
    out.line(sentenceOf(totals));
    out.line();
    out.table(
      ["NODE", "STATE", "GPU", "MEMORY", "AT ONCE", "RUNNING", "MODELS", "IF IT LEFT"],
      nodes.map((one) => [
        one.kind === "own" ? `${one.name} (this node)` : one.kind === "upstream" ? `${one.name} (server)` : one.name,
        one.state.replace("_", " "),
        gpuOf(one),
        memoryOf(one),
        one.slots === null ? "?" : String(one.slots),
        one.queued ? `${one.running} + ${one.queued} wait` : String(one.running),
        String(one.models.length),
        lossOf(one),
      ]),
      { look: (cell, column) => column === 1 ? stateLook(cell) : "plain" },
    );
    if (models.length === 0) return EXIT.ok;
    out.line();
    out.table(
      ["MODEL", "SIZE", "COPIES", "IN MEMORY", "NODES", "DIGEST"],
      models.map((model) => [
        [model.id, ...model.aliases].join(" = "),
        byteCount(model.size),
        String(model.copies),
        String(model.loaded),
        model.nodes.join(", "),
        model.digest?.slice(0, 12) ?? "by name",
      ]),
    );
    return EXIT.ok;
  },
};

function sentenceOf(
  { nodes, ready, models, single_copies, slots, gpus, gpu_memory, memory, hardware_unknown }: DensityGrid["totals"],
): string {
  const copies = models === 0
    ? ""
    : single_copies === 0
    ? ", each on at least two nodes"
    : `, ${single_copies} of them on one node alone`;
  const hardware = [
    ...gpus === 0 ? [] : [`${counted(gpus, "GPU")}${gpu_memory > 0 ? ` with ${byteCount(gpu_memory)}` : ""}`],
    ...memory === 0 ? [] : [`${byteCount(memory)} of memory`],
    ...hardware_unknown === 0
      ? []
      : [`${counted(hardware_unknown, "node")} ${hardware_unknown === 1 ? "does" : "do"} not tell`],
  ].join(", ");
  return `${counted(nodes, "node")}, ${ready} ready for ${counted(slots, "request")} at once; ` +
    `${counted(models, "model")}${copies}${hardware === "" ? "" : `; ${hardware}`}.`;
}

function gpuOf({ hardware }: GridNode): string {
  if (hardware === null) return "?";
  if (hardware.gpu === null) return "-";
  const { layer, memory } = hardware.gpu;
  return memory === null ? layer : `${layer} ${byteCount(memory)}`;
}

function memoryOf({ hardware }: GridNode): string {
  if (hardware === null) return "?";
  return hardware.memory === null
    ? "?"
    : `${byteCount(hardware.memory.free)} of ${byteCount(hardware.memory.total)} free`;
}

function lossOf({ loss }: GridNode): string {
  if (loss.capacity_share === 0) return "-";
  const { models, capacity_share } = loss;
  const share = capacity_share === null ? "" : `${Math.round(capacity_share * 100)} % of requests at once`;
  if (models.length === 0) return share || "-";
  const named = models.slice(0, MOST_NAMED).join(", ") +
    (models.length > MOST_NAMED ? ` and ${models.length - MOST_NAMED} more` : "");
  return share === "" ? named : `${share}, ${named}`;
}

function counted(count: number, what: string): string {
  return `${count} ${what}${count === 1 ? "" : "s"}`;
}
