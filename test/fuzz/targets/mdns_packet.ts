import assert from "node:assert/strict";
import { isIP } from "node:net";
import { type DnsMessage, type DnsRecord, isPlausible } from "../../../src/discovery/dns_message.ts";
import { type OutgoingMessage, PacketCodec } from "../../../src/discovery/packet_codec.ts";
import { ServiceCache } from "../../../src/discovery/service_cache.ts";
import { announced, link } from "../../discovery/network.ts";
import { mutateBytes } from "../mutate.ts";
import { type FuzzTarget, showBytes, shrinkBytes } from "../target.ts";

const FROM = { address: "192.168.1.7", port: 5353 };
const NAME = /^(?=.{1,253}$)[!-\-/-@[-~]{1,63}(\.[!-\-/-@[-~]{1,63})*$/;

let read: DnsMessage[] = [];
let sent = new Uint8Array(0);
const codec = new PacketCodec({
  carry(packet) {
    sent = Uint8Array.from(packet);
    return Promise.resolve();
  },
  receive: (message) => void read.push(message),
});

function decode(packet: Uint8Array): DnsMessage | null {
  read = [];
  codec.accept(packet, FROM);
  assert.ok(read.length <= 1, "A packet is one message");
  return read[0] ?? null;
}

async function encode(message: OutgoingMessage): Promise<Uint8Array> {
  await codec.send(message, FROM);
  return sent;
}

const OTHERS: DnsRecord[] = [
  { type: "AAAA", name: "other.local", ttl: 120, flush: true, data: "fd00::7" },
  { type: "TXT", name: "other.local", ttl: 4_500, flush: true, data: ["txtvers=1", "id=ccccdddd", "p=1", ""] },
];
const CORPUS = [
  await encode({ response: true, answers: announced(), additionals: OTHERS }),
  await encode({ response: true, answers: announced({ ttl: 0 }) }),
  await encode({ questions: [{ name: "_arknet._tcp.local", type: "PTR", unicast: false }], answers: announced() }),
  await encode({
    questions: [{ name: "x._arknet._tcp.local", type: "ANY", unicast: false }],
    authorities: announced({ label: "x" }),
  }),
];

const own = { instance: "me._arknet._tcp.local", host: "me.local" };

function checkRecord({ name, type, ttl, data }: DnsRecord): void {
  assert.match(name, NAME);
  assert.ok(Number.isInteger(ttl) && ttl >= 0 && ttl <= 0xffff_ffff);
  if (type === "PTR") assert.match(data, NAME);
  else if (type === "SRV") {
    assert.match(data.target, NAME);
    assert.ok(Number.isInteger(data.port) && data.port >= 0 && data.port <= 65_535);
  } else if (type === "TXT") assert.ok(data.every((text) => typeof text === "string"));
  else assert.equal(isIP(data), type === "A" ? 4 : 6);
}

/** A packet of mDNS, from anybody. */
export const mdnsPacket: FuzzTarget<Uint8Array> = {
  name: "mdns_packet",
  promise:
    "A packet is dropped or read as records of five types, which say the same when they are written and read again.",
  corpus: CORPUS,
  covers: ["/src/discovery/", "/multicast-dns/", "/dns-packet/"],
  mutate: (random, packet, other) => mutateBytes(random, packet, other),
  check(packet) {
    const message = decode(packet);
    if (message === null) return false;
    assert.ok(isPlausible(packet));
    const records = [...message.answers, ...message.additionals, ...message.authorities];
    assert.ok(12 + records.length * 11 + message.questions.length * 5 <= packet.length, "More records than bytes");
    for (const record of records) checkRecord(record);
    for (const question of message.questions) assert.match(question.name, NAME);
    const cache = new ServiceCache(8911);
    cache.observe(message, { source: FROM.address, link: link() }, { own, now: 1_000 });
    assert.ok(cache.size <= 3, "One sender has three services");
    cache.questions(2_000);
    return again(message, records);
  },
  show: showBytes,
  shrink: shrinkBytes,
};

/** Writing and reading again gives the same, where texts were UTF-8 and so could be written. */
function again(message: DnsMessage, records: DnsRecord[]): boolean | Promise<boolean> {
  if (records.some(({ type, data }) => type === "TXT" && data.some((text) => /\ufffd/.test(text)))) return true;
  const { answers, additionals, authorities, response } = message;
  return encode({ response, answers, additionals, authorities }).then((packet) => {
    const second = decode(packet);
    // What no longer fits into one packet cannot come back.
    if (packet.length > 9_000) return true;
    assert.deepEqual([second?.answers, second?.additionals, second?.authorities], [answers, additionals, authorities]);
    return true;
  });
}
