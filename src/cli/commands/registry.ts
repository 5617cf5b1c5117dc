import { RegistryClient, type RegistryNodes } from "@ark/node/discovery";
import { formatNodeId } from "@ark/node/identity";
import { reasonOf, type SignedRegistration } from "@ark/node/protocol";
import { type Command, CommandError, EXIT, textFlag, UsageError } from "../command.ts";

/** Shows who is listed in a registry. */
export const REGISTRY_LIST: Command = {
  name: "registry list",
  summary: "Show nodes of a registry, all or those that have a model",
  usage: "[MODEL]",
  flags: { registry: { value: "URL", help: "the registry (default: $ARK_REGISTRY)" } },
  details: `
MODEL may end with *. What a registry says is a hint: each entry is signed by its own node, and to be listed
lets nobody in. 'ark-node peers pair ADDRESS' is how one gets to know a node.`,
  async run({ words, flags, env, json, out }) {
    const [model, ...more] = words;
    if (more.length > 0) throw new UsageError("Name one model: ark-node registry list [MODEL]");
    const url = URL.parse(textFlag(flags, "registry") ?? env("ARK_REGISTRY") ?? "");
    if (url === null) throw new UsageError("Name the registry: --registry https://registry.example");
    const found: SignedRegistration[] = [];
    try {
      const client = new RegistryClient(url);
      let after: string | null | undefined;
      while (after !== null && found.length < 1_000) {
        const page: RegistryNodes = await client.list({
          ...model === undefined ? {} : { model: model.toLowerCase() },
          ...after === undefined ? {} : { after },
        });
        found.push(...page.nodes);
        after = page.next;
      }
    } catch (error) {
      throw new CommandError(reasonOf(error));
    }
    if (json) {
      out.json({ nodes: found });
      return EXIT.ok;
    }
    if (found.length === 0) out.line(model === undefined ? "No node is listed there" : `No node there has ${model}`);
    else {
      out.table(
        ["NODE", "ADDRESSES", "MODELS"],
        found.map(({ node_id, endpoints, models }) => [
          formatNodeId(node_id).slice(0, 17),
          endpoints.join(", "),
          models.join(", "),
        ]),
      );
    }
    return EXIT.ok;
  },
};
