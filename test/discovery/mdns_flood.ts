/**
 * Floods the network with mDNS packets: random bytes, headers that promise too much, announcements of services that do
 * not exist, goodbyes for ones that do not.
 *
 * @module
 */
import { createSocket } from "node:dgram";
import { once } from "node:events";
import { PacketCodec } from "../../src/discovery/packet_codec.ts";
import { announced } from "./network.ts";

const [address = ""] = Deno.args;
const socket = createSocket({ type: "udp4", reuseAddr: true });
socket.bind(5353, address);
await once(socket, "listening");
socket.setMulticastInterface(address);
const carry = (packet: Uint8Array) =>
  new Promise<void>((done) => socket.send(packet, 5353, "224.0.0.251", () => done()));
const codec = new PacketCodec({ carry, receive() {} });
const to = { address: "224.0.0.251", port: 5353 };
for (let round = 0;; round++) {
  await carry(new Uint8Array(12).fill(0xff));
  await carry(crypto.getRandomValues(new Uint8Array(round % 400)));
  const answers = announced({ label: `flood${round}`, port: 1_024 + round % 60_000, ttl: round % 3 === 0 ? 0 : 120 });
  await codec.send({ response: true, answers }, to);
  await codec.send({ questions: [{ name: "_arknet._tcp.local", type: "ANY", unicast: true }] }, to);
  // As fast as it can, but with a breath: the machine has other tests to run.
  if (round % 20 === 0) await new Promise((resolve) => setTimeout(resolve, 1));
}
