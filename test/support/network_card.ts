/**
 * The network card of a machine that sleeps: prints a line for each packet that comes to port 9, as JSON with the hardware
 * address that it is meant for, or null where it is no magic packet. `deno run -A network_card.ts`.
 */
import { createSocket } from "node:dgram";

const socket = createSocket({ type: "udp4" });
socket.on("message", (packet, { address }) => {
  const bytes = new Uint8Array(packet);
  const mac = bytes.slice(6, 12);
  const magic = bytes.length === 102 && bytes.slice(0, 6).every((byte) => byte === 255) &&
    bytes.slice(6).every((byte, index) => byte === mac[index % 6]);
  const named = [...mac].map((byte) => byte.toString(16).padStart(2, "0")).join(":");
  // deno-lint-ignore no-console
  console.log(JSON.stringify({ mac: magic ? named : null, from: address }));
});
// deno-lint-ignore no-console
socket.bind(9, "0.0.0.0", () => console.log(JSON.stringify({ listening: true })));
