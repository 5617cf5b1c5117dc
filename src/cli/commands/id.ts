import { reasonOf } from "@ark/node/protocol";
import { formatNodeId, formatPublicKey, IdentityError, loadIdentity } from "@ark/node/identity";
import { type Command, CommandError, EXIT } from "../command.ts";
import { pathsOf } from "../node_client.ts";

/** Shows who this node is, whether it runs or not. */
export const ID: Command = {
  name: "id",
  summary: "Show this node's id and public key",
  usage: "",
  flags: {},
  details: "Tell the id to the owner of another node, who approves it with 'ark-node peers approve ID'.",
  async run(context) {
    const { key } = await pathsOf(context);
    const identity = await identityAt(key);
    const [node_id, public_key] = [formatNodeId(identity.id), formatPublicKey(identity.publicKey)];
    if (context.json) context.out.json({ node_id, public_key });
    else context.out.line(`${node_id}\n${public_key}`);
    return EXIT.ok;
  },
};

async function identityAt(path: string) {
  try {
    await Deno.stat(path);
  } catch {
    throw new CommandError(`There is no key at ${path} yet: the node makes one when it is started the first time`);
  }
  try {
    return await loadIdentity(path);
  } catch (error) {
    if (error instanceof IdentityError) throw new CommandError(error.message, EXIT.config);
    throw new CommandError(`Cannot read the key ${path}: ${reasonOf(error)}`);
  }
}
