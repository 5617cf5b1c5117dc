import type { Server, Socket } from "node:net";

/**
 * Has a server with TLS ask of each connection whether it is taken, before anything else is done with it. The server's own
 * listeners begin with TLS, which costs more than everything else about a connection: one that is turned away must not get
 * that far, or a flood of them takes the processor from everybody.
 */
export function admitFirst(server: Server, admits: (socket: Socket) => boolean): void {
  const listeners = server.listeners("connection");
  server.removeAllListeners("connection");
  server.on("connection", (socket: Socket) => {
    if (admits(socket)) { for (const listener of listeners) listener.call(server, socket); }
  });
}

/**
 * Tells a connection from all others that are open: the TCP socket and the TLS socket over it have this in common. Both ends
 * count: one port of a caller may lead to several addresses of ours.
 */
export function connectionName(socket: Socket): string {
  return `${socket.remoteAddress}|${socket.remotePort}|${socket.localAddress}|${socket.localPort}`;
}
