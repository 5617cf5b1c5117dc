import assert from "node:assert/strict";
import fc from "fast-check";
import { answerTo, isConflict } from "../../src/discovery/answer.ts";
import type { DnsMessage } from "../../src/discovery/dns_message.ts";
import { ownRecords } from "../../src/discovery/own_records.ts";
import { type OutgoingMessage, PacketCodec } from "../../src/discovery/packet_codec.ts";
import { ServiceCache } from "../../src/discovery/service_cache.ts";
import { announced, ID, link } from "./network.ts";

const GROUP = { address: "224.0.0.251", port: 5353 };
const FROM = { address: "192.168.1.7", port: 5353 };

async function packetOf(message: OutgoingMessage): Promise<Uint8Array> {
  let sent: Uint8Array | null = null;
  const codec = new PacketCodec({
    carry(packet, to) {
      assert.deepEqual(to, GROUP);
      sent = packet;
      return Promise.resolve();
    },
    receive() {},
  });
  await codec.send(message, GROUP);
  assert.ok(sent !== null);
  return sent;
}

function read(packet: Uint8Array): DnsMessage[] {
  const messages: DnsMessage[] = [];
  const codec = new PacketCodec({ carry: () => Promise.resolve(), receive: (message) => messages.push(message) });
  codec.accept(packet, FROM);
  return messages;
}

const RESPONSE = { response: true, answers: announced(), additionals: announced({ address: "fd00::7" }).slice(3) };
const QUERY = {
  questions: [{ name: "_arknet._tcp.local", type: "PTR", unicast: false }],
  answers: announced().slice(0, 1),
};

Deno.test("PacketCodec reads what it sent", async () => {
  const empty = { id: 0, truncated: false, questions: [], answers: [], additionals: [], authorities: [] };
  assert.deepEqual(read(await packetOf(RESPONSE)), [{ ...empty, ...RESPONSE }]);
  assert.deepEqual(read(await packetOf(QUERY)), [{ ...empty, response: false, ...QUERY }]);
});

Deno.test("PacketCodec sets the cache-flush bit of what is ours alone, and the authoritative bit of answers only", async () => {
  const packet = await packetOf(RESPONSE);
  const classAfter = (name: string, type: number) => {
    const labels = name.split(".").flatMap((label) => [label.length, ...new TextEncoder().encode(label)]);
    const wanted = [...labels, 0, 0, type];
    const at = packet.findIndex((_, index) => wanted.every((byte, offset) => packet[index + offset] === byte));
    return [packet[at + wanted.length], packet[at + wanted.length + 1]];
  };
  assert.deepEqual(classAfter("_arknet._tcp.local", 12), [0x00, 0x01]);
  assert.deepEqual(classAfter("other._arknet._tcp.local", 33), [0x80, 0x01]);
  assert.deepEqual(classAfter("other.local", 1), [0x80, 0x01]);
  assert.deepEqual([...packet.subarray(0, 4)], [0, 0, 0x84, 0]);
  assert.deepEqual([...(await packetOf(QUERY)).subarray(0, 4)], [0, 0, 0, 0]);
});

Deno.test("PacketCodec leaves the caller's records as they are", async () => {
  const answers = announced();
  await packetOf({ response: true, answers });
  assert.deepEqual(answers, announced());
});

Deno.test("PacketCodec.send() rejects with the error of the system", async () => {
  const fault = new Error("ENETUNREACH");
  const codec = new PacketCodec({ carry: () => Promise.reject(fault), receive() {} });
  await assert.rejects(codec.send(QUERY, GROUP), fault);
});

Deno.test("PacketCodec.accept() survives compression pointers that point at themselves, forwards and in circles", () => {
  for (const name of [[0xc0, 12], [0xc0, 14, 0xc0, 12], [1, 97, 0xc0, 12], [0xff, 0xff], [0x40, 1], [63]]) {
    const packet = new Uint8Array([0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, ...name, 0, 12, 0, 1, 0, 0, 0, 0]);
    read(packet);
  }
});

Deno.test("PacketCodec.accept() and all that decides about it survive random and mutated packets", async () => {
  const seeds = await Promise.all([RESPONSE, QUERY].map(packetOf));
  const names = { instance: "mine._arknet._tcp.local", host: "mine.local" };
  const lan = link();
  const records = ownRecords(names, { id: ID, port: 8911, link: lan });
  const cache = new ServiceCache(8911);
  let messages = 0;
  const codec = new PacketCodec({
    carry: () => Promise.resolve(),
    receive(message, { address: source }) {
      messages++;
      answerTo(message, records);
      isConflict(message, [records]);
      cache.observe(message, { source, link: lan }, { own: names, now: messages * 1_000 });
      cache.questions(messages * 1_000);
      assert.ok(cache.size <= 64);
    },
  });
  const mutated = fc.tuple(
    fc.constantFrom(...seeds),
    fc.array(fc.tuple(fc.nat(600), fc.nat(255)), { minLength: 1, maxLength: 4 }),
    fc.oneof({ weight: 4, arbitrary: fc.constant(600) }, { weight: 1, arbitrary: fc.nat(600) }),
  ).map(([seed, changes, cut]) => {
    const packet = Uint8Array.from(seed.subarray(0, cut));
    for (const [at, byte] of changes) packet[at % Math.max(packet.length, 1)] = byte;
    return packet;
  });
  const random = fc.uint8Array({ maxLength: 300 });
  fc.assert(
    fc.property(fc.oneof(mutated, random), (packet) => codec.accept(packet, FROM)),
    { numRuns: 3_000 },
  );
  // Most mutations leave something that can be read; were it none, this test would prove nothing.
  assert.ok(messages > 500, `${messages} messages read`);
});
