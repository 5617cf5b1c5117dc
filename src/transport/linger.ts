import type { IncomingMessage, ServerResponse } from "node:http";
import type { MeshLimits } from "./mesh_limits.ts";

/** A request and its answer, as `node:http` has them. */
export interface Exchange {
  /** The request. */
  incoming: IncomingMessage;
  /** The answer. */
  outgoing: ServerResponse;
}

/** Ends a refused exchange. Closing while the body still arrives would reset the connection and lose the refusal. */
export function linger(
  { incoming, outgoing }: Exchange,
  { refusal, limits }: { refusal: Uint8Array; limits: Pick<MeshLimits, "lingerMs" | "bodyBytes"> },
): void {
  const { socket, headers } = incoming;
  if (socket.destroyed) return;
  // Whatever the caller does, or leaves undone.
  const timer = setTimeout(() => socket.destroy(), limits.lingerMs);
  socket.once("close", () => clearTimeout(timer));
  const { "content-length": length, "transfer-encoding": encoding } = headers;
  // No peer sends chunks, each of which costs far more than it weighs: whoever does gets no answer, as if malformed.
  if (encoding !== undefined) return void socket.destroy();
  const noBody = length === undefined || length === "0";
  if (noBody || incoming.readableEnded || incoming.destroyed) return void outgoing.end(refusal);
  // Deno 2.9 never finishes an answer over TLS that is ended while its last bytes are being written.
  let awaited = 2;
  const end = () => {
    if (--awaited === 0) outgoing.end();
  };
  outgoing.write(refusal, end);
  incoming.once("end", end);
  // Nobody who keeps to the rules sends more than this, and taking it in would cost memory until the time is over.
  let left = limits.bodyBytes;
  incoming.on("data", (bytes: Uint8Array) => {
    left -= bytes.length;
    if (left < 0) socket.destroy();
  });
}
