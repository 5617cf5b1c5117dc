import { createServer, type Server } from "node:https";
import type { Socket } from "node:net";
import type { Identity } from "@ark/node/identity";
import { mintCertificate } from "./certificate.ts";
import { admitFirst } from "./connection_gate.ts";
import type { MeshLimits } from "./mesh_limits.ts";

/** A server for peers that listens nowhere yet: TLS 1.3 with this node's certificate. It asks of each connection whether it is taken. */
export function meshServer(
  identity: Identity,
  { limits, admits }: { limits: MeshLimits; admits(socket: Socket): boolean },
): Server {
  const server = createServer({
    cert: mintCertificate(identity),
    key: identity.privateKeyPem(),
    minVersion: "TLSv1.3",
    ALPNProtocols: ["http/1.1"],
    noDelay: true,
    keepAlive: true,
    keepAliveInitialDelay: 10_000,
    handshakeTimeout: limits.handshakeMs,
    headersTimeout: limits.headersMs,
    requestTimeout: limits.requestMs,
    keepAliveTimeout: limits.keepAliveMs,
    connectionsCheckingInterval: limits.checkMs,
    maxHeaderSize: limits.headerBytes,
    // Without it, node:http has an answer of its own, and keeps the connection.
    requireHostHeader: false,
  });
  admitFirst(server, admits);
  return server;
}
