import { rotateKey } from "@ark/node/daemon";
import { formatNodeId } from "@ark/node/identity";
import { type Command, EXIT, UsageError } from "../command.ts";
import { NodeClient, pathsOf } from "../node_client.ts";

/** Gives this node a new key. */
export const ID_ROTATE: Command = {
  name: "id rotate",
  summary: "Give this node a new key, signed by the old one",
  usage: "",
  flags: {},
  details: `
Do this when somebody may have copied the key. Approved peers are told, and their owners let this node
go on with the same permissions; until then it cannot ask them. A running node uses the new key from
its next start on. The old key stays in the data directory, as node.key.old-N.`,
  async run(context) {
    const { out, json, words } = context;
    if (words.length > 0) throw new UsageError("This command takes no words: ark-node id rotate");
    const running = await NodeClient.runs(context);
    const { old, new: next, seq, created } = running
      ? await (await NodeClient.find(context)).call<{ old: string; new: string; seq: number; created: string }>(
        "/identity/rotate",
        {},
      )
      : await rotateKey(await pathsOf(context));
    const node_id = running ? next : formatNodeId(next);
    if (json) {
      out.json({ old: running ? old : formatNodeId(old), new: node_id, seq, created, restart: running });
      return EXIT.ok;
    }
    out.line(node_id);
    out.line(
      running
        ? "The new key is made and signed: restart the node to use it. It tells its peers then."
        : "The node uses the new key when it is started, and tells its peers then.",
    );
    return EXIT.ok;
  },
};
