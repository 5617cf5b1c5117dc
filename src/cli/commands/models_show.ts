import type { OwnModelView } from "@ark/node/http";
import { type Command, EXIT, UsageError } from "../command.ts";
import { byteCount } from "../byte_count.ts";
import { NodeClient } from "../node_client.ts";

/** Shows all that is known of a model of this node. */
export const MODELS_SHOW: Command = {
  name: "models show",
  summary: "Show all that is known of a model of this node",
  usage: "MODEL",
  flags: {},
  async run(context) {
    const { out, words: [ref, ...more], json } = context;
    if (ref === undefined || more.length > 0) throw new UsageError("Name one model: ark-node models show MODEL");
    const node = await NodeClient.find(context);
    const answer = await node.call<{ model: OwnModelView }>(`/models/show?model=${encodeURIComponent(ref)}`);
    if (json) {
      out.json(answer.model);
      return EXIT.ok;
    }
    for (const [label, text] of rows(answer.model)) out.line(`${label.padEnd(13)} ${text}`);
    return EXIT.ok;
  },
};

function rows(model: OwnModelView): [label: string, text: string][] {
  const { files, size, template, system, defaults, aliases } = model;
  return [
    ["model", model.id],
    ...aliases.length === 0 ? [] : [["also called", aliases.join(", ")] as [string, string]],
    ["can", model.capabilities.join(", ")],
    ["family", model.family],
    ["parameters", `${model.parameterCount}${model.parameters === null ? "" : ` (${model.parameters})`}`],
    ["quantisation", model.quantization ?? "not known"],
    ["context", `${model.contextLength} tokens`],
    ["size", `${byteCount(size)}${files.length === 1 ? "" : ` in ${files.length} files`}`],
    ["sha256", model.digest ?? "not computed yet"],
    ["source", model.source],
    ["changed", new Date(model.modifiedAt).toISOString()],
    ...files.map((file, index): [string, string] => [index === 0 ? "file" : "", file]),
    ...model.license === undefined ? [] : [["licence", firstLine(model.license)] as [string, string]],
    ...Object.entries(defaults).map(([name, value]): [string, string] => [name, JSON.stringify(value)]),
    ...system === null ? [] : [["system", system] as [string, string]],
    ...template === null ? [] : [["template", goTemplateNote(model)] as [string, string]],
  ];
}

/** The beginning of a text that may be long. */
function firstLine(text: string): string {
  const [first = "", ...more] = text.trim().split("\n");
  return more.length === 0 && first.length <= 100 ? first : `${first.slice(0, 100)} …`;
}

/** Ollama's templates are not rendered here: what counts is the one in the file. */
function goTemplateNote({ capabilities }: OwnModelView): string {
  return capabilities.includes("chat") || capabilities.includes("embed") || capabilities.includes("rerank")
    ? "Ollama's own is not used: the one in the model's file counts"
    : "only Ollama's own, in Go's language, which this node cannot read: the model completes texts, and does not chat";
}
