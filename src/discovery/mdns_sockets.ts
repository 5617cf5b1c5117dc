import { createSocket, type Socket } from "node:dgram";
import type { DnsMessage } from "./dns_message.ts";
import type { Link } from "./link.ts";
import { type Endpoint, type OutgoingMessage, PacketCodec } from "./packet_codec.ts";

/** Port of mDNS. */
export const MDNS_PORT = 5353;
/** The group that all of mDNS on IPv4 listens to. */
export const MDNS_GROUP = "224.0.0.251";

/** Options of {@linkcode MdnsSockets.open}. */
export interface MdnsSocketsOptions {
  /** Networks to join. */
  links: readonly Link[];
  /** Takes a message that was read. */
  receive(message: DnsMessage, from: Endpoint): void;
}

/**
 * One socket that hears the group on all links, and one per link that speaks there. They share port 5353 with
 * `avahi-daemon` and other nodes on this machine.
 *
 * The hearing socket is bound to the group, so it never takes a packet that was meant for somebody else here. The
 * speaking ones are bound to the link's address: packets leave by that link with that address, even where no route for
 * multicast exists, and several links never hear the same packet several times.
 */
export class MdnsSockets implements AsyncDisposable {
  readonly #sockets: Socket[] = [];
  readonly #speakers = new Map<Link, PacketCodec>();

  private constructor() {}

  /**
   * Opens them. A link where it does not work is left out.
   *
   * @throws {Error} with the system's `code` when the port cannot be had, or none of the links joined.
   */
  static async open({ links, receive }: MdnsSocketsOptions): Promise<MdnsSockets> {
    await using opening = new AsyncDisposableStack();
    const sockets = opening.use(new MdnsSockets());
    let fault: unknown = new Error("no network interface");
    // Windows cannot bind to a group.
    const listener = await sockets.#bind(Deno.build.os === "windows" ? "0.0.0.0" : MDNS_GROUP);
    const reader = new PacketCodec({ carry: () => Promise.resolve(), receive });
    listener.on("message", (packet, from) => reader.accept(packet, from));
    for (const link of links) {
      try {
        listener.addMembership(MDNS_GROUP, link.address);
        const speaker = await sockets.#bind(link.address);
        speaker.setMulticastInterface(link.address);
        speaker.setMulticastTTL(255);
        const codec = new PacketCodec({ carry: (packet, to) => carry(speaker, packet, to), receive });
        speaker.on("message", (packet, from) => codec.accept(packet, from));
        sockets.#speakers.set(link, codec);
      } catch (error) {
        fault = error;
      }
    }
    if (sockets.#speakers.size === 0) throw fault;
    opening.move();
    return sockets;
  }

  /** Links that can be spoken on. */
  get links(): Link[] {
    return [...this.#speakers.keys()];
  }

  /** Sends to the group on a link, or to one host there; rejects with the system's error. */
  async send(
    link: Link,
    message: OutgoingMessage,
    to: Endpoint = { address: MDNS_GROUP, port: MDNS_PORT },
  ): Promise<void> {
    await this.#speakers.get(link)?.send(message, to);
  }

  /** Closes all of them. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#speakers.clear();
    await Promise.all(this.#sockets.splice(0).map(close));
  }

  async #bind(address: string): Promise<Socket> {
    const socket = createSocket({ type: "udp4", reuseAddr: true });
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    socket.on("error", reject);
    socket.bind(MDNS_PORT, address, resolve);
    try {
      await promise;
    } catch (error) {
      await close(socket);
      throw error;
    }
    this.#sockets.push(socket);
    return socket;
  }
}

function carry(socket: Socket, packet: Uint8Array, { address, port }: Endpoint): Promise<void> {
  return new Promise((resolve, reject) => {
    socket.send(packet, 0, packet.length, port, address, (error) => error ? reject(error) : resolve());
  });
}

function close(socket: Socket): Promise<void> {
  return new Promise((resolve) => {
    try {
      socket.close(() => resolve());
    } catch {
      resolve(); // Never opened.
    }
  });
}
