import { type Command, EXIT, UsageError } from "../command.ts";
import { followProgress } from "../follow_progress.ts";
import { NodeClient } from "../node_client.ts";

/** Has the node fetch a model, and shows how far it is. */
export const MODELS_PULL: Command = {
  name: "models pull",
  summary: "Fetch a model from approved peers, Hugging Face, a URL or a registry",
  usage: "REF",
  flags: { from: { value: "PEER", help: "approved peer that it is to come from: its name, or how its id begins" } },
  details: `
REF is one of
  hf.co/ORG/REPO:QUANT            a GGUF repository of Hugging Face (at $HF_ENDPOINT of the node, if set); without
                                  QUANT, Q4_K_M or what comes nearest
  https://HOST/FILE.gguf          a file of any web server; with #sha256=DIGEST behind it, nothing else is taken
  NAME:TAG                        what approved peers that let this node download it call so, else the registry of the
                                  node's --ollama-registry

Peers that have a file of the same digest help with all of these, several at once. Where they are slow or lack a part,
the origin helps. Each piece is checked before it is written, and the whole before it is a model.

The node fetches it as long as this command runs. Ctrl-C ends both; what came is kept, and the same command goes on
from there, also after a crash. Nothing becomes a model before its size, digest and header are as they should be.`,
  async run(context) {
    const { out, words: [ref, ...more], json, flags } = context;
    if (ref === undefined || more.length > 0) throw new UsageError("Name one model: ark-node models pull REF");
    const node = await NodeClient.find(context);
    const { from } = flags;
    const { body } = await node.open("/models/pull", { model: ref, ...typeof from === "string" ? { from } : {} });
    await followProgress(body, { out, json, what: "pull" });
    return EXIT.ok;
  },
};
