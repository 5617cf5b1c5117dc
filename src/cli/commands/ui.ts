import { type Command, EXIT } from "../command.ts";
import { NodeClient } from "../node_client.ts";

/** Prints a link to the dashboard. */
export const UI: Command = {
  name: "ui",
  summary: "Print a link that opens the dashboard in a browser of this machine",
  usage: "",
  flags: {},
  details: `
The link counts once, for five minutes. The browser that opens it is logged in until it is closed, or
until the node stops.`,
  async run(context) {
    const node = await NodeClient.find(context);
    const { code } = await node.call<{ code: string }>("/ui/code", {});
    const url = `${node.api}/ui/#code=${code}`;
    if (context.json) context.out.json({ url });
    else context.out.line(url);
    return EXIT.ok;
  },
};
