import { resolve } from "node:path";
import { type Command, EXIT, UsageError } from "../command.ts";
import { followProgress } from "../follow_progress.ts";
import { NodeClient } from "../node_client.ts";

/** Has the node write a model into a folder. */
export const MODELS_EXPORT: Command = {
  name: "models export",
  summary: "Write a model into a folder, to carry it to a machine without a network",
  usage: "MODEL DIR",
  flags: {},
  details: `
DIR gets manifest.json, signed by this node, and blobs/ with the model's files under their SHA-256. One folder holds
one model. Ctrl-C ends it; the same command goes on from there. A stick with FAT takes no file of 4 GiB or more: use
exFAT.`,
  async run(context) {
    const { out, words: [model, directory, ...more], json } = context;
    if (model === undefined || directory === undefined || more.length > 0) {
      throw new UsageError("Name a model and a folder: ark-node models export MODEL DIR");
    }
    const node = await NodeClient.find(context);
    const { body } = await node.open("/models/export", { model, directory: resolve(directory) });
    await followProgress(body, { out, json, what: "export" });
    return EXIT.ok;
  },
};

/** Has the node take a model from a folder. */
export const MODELS_IMPORT: Command = {
  name: "models import",
  summary: "Take a model from a folder that 'models export' wrote",
  usage: "DIR",
  flags: {},
  details: `
It is checked as one that comes from a peer: each piece, the SHA-256 of each file, the header. Who signed the manifest
is shown: the signature says who calls these files by that name, and nothing of what is in them. What is right is kept
when something is damaged, and the same command goes on from there.`,
  async run(context) {
    const { out, words: [directory, ...more], json } = context;
    if (directory === undefined || more.length > 0) {
      throw new UsageError("Name one folder: ark-node models import DIR");
    }
    const node = await NodeClient.find(context);
    const { body } = await node.open("/models/import", { directory: resolve(directory) });
    await followProgress(body, { out, json, what: "import" });
    return EXIT.ok;
  },
};

/** Approves a model that waits. */
export const MODELS_APPROVE: Command = {
  name: "models approve",
  summary: "Let a model in that waits for your approval (--approve-models)",
  usage: "MODEL",
  flags: {},
  details: `
'ark-node models' lists what waits, with who gave it; 'ark-node models rm MODEL' removes it instead. Until then nothing
loads it, and no peer is offered it.`,
  async run(context) {
    const { out, words: [model, ...more], json } = context;
    if (model === undefined || more.length > 0) throw new UsageError("Name one model: ark-node models approve MODEL");
    const node = await NodeClient.find(context);
    const answer = await node.call<{ approved: string; from: string }>("/models/approve", { model });
    if (json) out.json(answer);
    else out.line(`Approved ${answer.approved}, which came from ${answer.from}.`);
    return EXIT.ok;
  },
};
