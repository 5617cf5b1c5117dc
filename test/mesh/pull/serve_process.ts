/** Serves one model in a process of its own, which a test may kill: KEY BYTES RATE PORT. Prints where it listens. */
import { loadIdentity } from "@ark/node/identity";
import { FilePeer, modelFile } from "./file_peer.ts";

const [key = "", bytes = "", rate = "", port = ""] = Deno.args;
await using peer = await FilePeer.start({
  name: "B",
  bytes: modelFile(Number(bytes)),
  rate: Number(rate),
  port: Number(port),
  identity: await loadIdentity(key),
});
// deno-lint-ignore no-console
console.log(JSON.stringify({ id: peer.identity.id, port: peer.address.port }));
// Until it is killed.
await new Promise(() => {});
