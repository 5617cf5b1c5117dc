import type { Socket } from "node:net";
import type { NodeId } from "@ark/node/identity";
import { connectionName } from "./connection_gate.ts";
import { type Admission, plainAddress, type SourceLimiter } from "./source_limiter.ts";

interface Connected {
  socket: Socket;
  admission: Admission;
  ids: Set<NodeId>;
  /** Whether no approved peer proved itself on it. */
  stranger: boolean;
}

/** Every open connection of a listener, and the keys that proved themselves on it. */
export class MeshSockets {
  readonly #limiter: SourceLimiter;
  readonly #most: number;
  readonly #mostStrangers: number;
  #strangers = 0;
  #closed = false;
  readonly #connected = new Map<string, Connected>();

  /** Starts with no connection; takes at most `most` in all, and of these no more than `strangers` from strangers. */
  constructor(limiter: SourceLimiter, { most, strangers = most }: { most: number; strangers?: number }) {
    this.#limiter = limiter;
    this.#most = most;
    this.#mostStrangers = strangers;
  }

  /** Takes a new TCP connection, or destroys it when there are too many, of its source or in all; says which. */
  admit(socket: Socket): boolean {
    const room = !this.#closed && this.#connected.size < this.#most && this.#strangers < this.#mostStrangers;
    const admission = room ? this.#limiter.admit(plainAddress(socket.remoteAddress ?? "")) : null;
    if (admission === null) {
      socket.destroy();
      return false;
    }
    socket.setNoDelay();
    const name = connectionName(socket);
    const entry: Connected = { socket, admission, ids: new Set(), stranger: true };
    this.#connected.set(name, entry);
    this.#strangers++;
    socket.once("close", () => {
      admission[Symbol.dispose]();
      this.#known(entry);
      if (this.#connected.get(name) === entry) this.#connected.delete(name);
    });
    return true;
  }

  /** Notes that a key proved itself on a connection; `approved` frees the connection from the limits for strangers. */
  proven(socket: Socket, id: NodeId): void {
    const entry = this.#connected.get(connectionName(socket));
    entry?.ids.add(id);
    entry?.admission.proven();
    if (entry !== undefined) this.#known(entry);
  }

  /**
   * Resets every connection on which a key has proved itself; returns how many. What waits in the system's own buffer for a
   * slow reader, megabytes perhaps, is thrown away: a plain close would still deliver it.
   */
  destroy(id: NodeId): number {
    let count = 0;
    for (const { socket, ids } of this.#connected.values()) {
      if (!ids.has(id)) continue;
      socket.resetAndDestroy();
      count++;
    }
    return count;
  }

  #known(entry: Connected): void {
    if (entry.stranger) this.#strangers--;
    entry.stranger = false;
  }

  /** Destroys every connection, and each that was accepted before the listener was closed and is told of later. */
  destroyAll(): void {
    this.#closed = true;
    for (const { socket } of this.#connected.values()) socket.destroy();
  }
}
