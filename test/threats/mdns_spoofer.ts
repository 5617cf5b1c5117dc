/**
 * A neighbour who says that he is somebody else: `mdns_spoofer.ts ADDRESS VICTIM_ID`. He announces the victim's short id at
 * his own address, answers there with a key of his own, and prints a line of JSON for each connection that ends: whether
 * its handshake succeeded, and how many bytes of a request came.
 *
 * @module
 */
import { createServer } from "node:tls";
import { MdnsDiscovery } from "@ark/node/discovery";
import { generateIdentity } from "@ark/node/identity";
import { mintCertificate } from "../../src/transport/certificate.ts";

const [hostname = "", id = ""] = Deno.args;
const identity = generateIdentity();
const print = (line: unknown) => Deno.stdout.writeSync(new TextEncoder().encode(JSON.stringify(line) + "\n"));
const server = createServer({
  cert: mintCertificate(identity),
  key: identity.privateKeyPem(),
  minVersion: "TLSv1.3",
  ALPNProtocols: ["http/1.1"],
});
server.on("tlsClientError", () => print({ shaken: false, bytes: 0 }));
server.on("secureConnection", (socket) => {
  let bytes = 0;
  socket.on("error", () => {});
  socket.on("data", (chunk) => bytes += chunk.length);
  socket.once("close", () => print({ shaken: true, bytes }));
});
server.listen(8911, hostname);
for await (const _ of new MdnsDiscovery({ id, port: 8911 }).discover(new AbortController().signal));
