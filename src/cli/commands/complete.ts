import { type Command, EXIT } from "../command.ts";
import { NODE_VALUES } from "../completion/spec.ts";
import { completionValues, PATIENCE_MS } from "../completion/values.ts";
import { NodeClient } from "../node_client.ts";

/** What the shells' scripts ask while a command line is typed. It is quick and never says anything but values. */
export const COMPLETE: Command = {
  name: "__complete",
  summary: "Print the values that a shell may complete, a line each",
  usage: "KIND",
  flags: {},
  hidden: true,
  async run(context) {
    const [asked = ""] = context.words;
    const kind = NODE_VALUES.find((one) => one === asked);
    if (kind === undefined) return EXIT.ok;
    try {
      const node = await NodeClient.find(context);
      const values = await completionValues(kind, async (path) => {
        return await (await node.open(path, undefined, { signal: AbortSignal.timeout(PATIENCE_MS) })).json();
      });
      for (const value of values) context.out.line(value);
    } catch {
      // No node, no answer in time: there is nothing to complete.
    }
    return EXIT.ok;
  },
};
