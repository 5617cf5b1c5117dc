import type { Socket } from "node:net";
import { createServer, type Server, type TlsOptions } from "node:tls";
import type { Identity } from "@ark/node/identity";
import { mintCertificate } from "./certificate.ts";
import { admitFirst } from "./connection_gate.ts";
import type { MeshLimits } from "./mesh_limits.ts";

/** How long nothing comes before the system asks whether the other side is still there. */
const KEEP_ALIVE_MS = 10_000;

/** A server for peers that listens nowhere yet: TLS 1.3 with this node's certificate. It asks of each connection whether it is taken. */
export function meshServer(
  identity: Identity,
  { limits, admits }: { limits: MeshLimits; admits(socket: Socket): boolean },
): Server {
  const options: TlsOptions = {
    cert: mintCertificate(identity),
    key: identity.privateKeyPem(),
    minVersion: "TLSv1.3",
    ALPNProtocols: ["http/1.1"],
    // Ends in "tlsClientError", and closes nothing by itself.
    handshakeTimeout: limits.handshakeMs,
  };
  const server = createServer(options);
  admitFirst(server, (socket) => {
    if (!admits(socket)) return false;
    // Deno 2.9 does not do what the options of a server say about this.
    const isAsked = true;
    socket.setKeepAlive(isAsked, KEEP_ALIVE_MS);
    return true;
  });
  return server;
}
