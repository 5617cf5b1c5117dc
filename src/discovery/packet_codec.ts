import { Buffer } from "node:buffer";
import { EventEmitter } from "node:events";
import multicastDns from "multicast-dns";
import { type DnsMessage, type DnsQuestion, type DnsRecord, isPlausible, readMessage } from "./dns_message.ts";

/** IP address and port of a socket. */
export interface Endpoint {
  /** IP address. */
  address: string;
  /** UDP port. */
  port: number;
}

/** A message to send; what is left out is empty. */
export interface OutgoingMessage {
  /** Whether it answers rather than asks. @default {false} */
  response?: boolean;
  /** Number that a legacy resolver wants to see again. @default {0} */
  id?: number;
  /** What is asked. */
  questions?: readonly DnsQuestion[];
  /** Answers, or in a query what is known already. */
  answers?: readonly DnsRecord[];
  /** In a query, records that are about to be claimed. */
  authorities?: readonly DnsRecord[];
  /** What comes along with the answers. */
  additionals?: readonly DnsRecord[];
}

/** The part of `multicast-dns` that is used; the package has no types. */
interface MulticastDns extends EventEmitter {
  send(message: Record<string, unknown>, to: Endpoint, callback: (error?: Error | null) => void): void;
}

type OpenMulticastDns = (
  options: { socket: EventEmitter; port: number; bind: false; multicast: false },
) => MulticastDns;

const AUTHORITATIVE = 1 << 10;

/** Options of {@linkcode PacketCodec}. */
export interface PacketCodecOptions {
  /** Sends a packet; rejects with the system's error. */
  carry(packet: Uint8Array, to: Endpoint): Promise<void>;
  /** Takes a message that was read. */
  receive(message: DnsMessage, from: Endpoint): void;
}

/**
 * Packets to messages and back, by `multicast-dns`. It is handed a stand-in for a socket, so that the real ones can be
 * one per interface, and nothing reaches its decoder that could cost it more than it cost the sender.
 */
export class PacketCodec {
  readonly #socket = new EventEmitter();
  readonly #multicastDns: MulticastDns;

  /** Makes a codec between a way to send packets and a taker of messages. */
  constructor({ carry, receive }: PacketCodecOptions) {
    const send = (packet: Uint8Array, _offset: number, _length: number, ...rest: unknown[]) => {
      const [port, address, done] = rest as [number, string, (error?: Error | null) => void];
      carry(packet, { address, port }).then(() => done(), done);
    };
    const socket = Object.assign(this.#socket, { send });
    this.#multicastDns = (multicastDns as OpenMulticastDns)({ socket, port: 5353, bind: false, multicast: false });
    this.#multicastDns.on("packet", (decoded: unknown, from: Endpoint) => {
      const message = readMessage(decoded);
      if (message !== null) receive(message, from);
    });
  }

  /** Reads a packet; what cannot be read is dropped without a word, since anybody can send it. */
  accept(packet: Uint8Array, from: Endpoint): void {
    if (isPlausible(packet)) this.#socket.emit("message", Buffer.from(packet), from);
  }

  /** Sends a message; rejects with the system's error. */
  send(message: OutgoingMessage, to: Endpoint): Promise<void> {
    const { response = false, id = 0, questions = [], answers = [], authorities = [], additionals = [] } = message;
    // Only answers are authoritative. The encoder changes what it is given, so it is given copies.
    const outgoing = {
      type: response ? "response" : "query",
      id,
      flags: response ? AUTHORITATIVE : 0,
      questions: questions.map(({ name, type }) => ({ name, type, class: "IN" })),
      answers: structuredClone(answers),
      authorities: structuredClone(authorities),
      additionals: structuredClone(additionals),
    };
    return new Promise((resolve, reject) => {
      this.#multicastDns.send(outgoing, to, (error) => error ? reject(error) : resolve());
    });
  }
}
