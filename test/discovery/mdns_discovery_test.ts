import assert from "node:assert/strict";
import { createSocket } from "node:dgram";
import { once } from "node:events";
import { MdnsDiscovery, type Sighting } from "@ark/node/discovery";
import type { DnsMessage } from "../../src/discovery/dns_message.ts";
import { PacketCodec } from "../../src/discovery/packet_codec.ts";
import { discoveryContract } from "./discovery_contract.ts";
import { drawId } from "./mdns_node.ts";

const hostname = "127.0.0.1";

function make(port: number, id = drawId()): MdnsDiscovery {
  return new MdnsDiscovery({ id, port, hostname, unavailable: (sentence) => assert.fail(sentence) });
}

// Whether it finds something depends on what else runs on this machine, so the contract is told that it finds nothing.
// It is satisfied by the lab's and by the tests below.
discoveryContract("MdnsDiscovery", {
  make: () => new OnlyOwn(make(20_000), []),
  finds: false,
});

/** Leaves out what other tests on this machine announce. */
class OnlyOwn {
  readonly name = "mdns";
  readonly #discovery: MdnsDiscovery;
  readonly #shortIds: readonly string[];

  constructor(discovery: MdnsDiscovery, shortIds: readonly string[]) {
    this.#discovery = discovery;
    this.#shortIds = shortIds;
  }

  async *discover(signal: AbortSignal): AsyncGenerator<Sighting> {
    for await (const sighting of this.#discovery.discover(signal)) {
      if (sighting.shortId !== null && this.#shortIds.includes(sighting.shortId)) yield sighting;
    }
  }
}

Deno.test("MdnsDiscovery.discover() sees another node in this process, and hears its goodbye", async () => {
  const [one, other] = [drawId(), drawId()];
  const shortIds = [one.slice(0, 8), other.slice(0, 8)];
  const stop = new AbortController();
  const stopOther = new AbortController();
  const seen: Sighting[] = [];
  const there = Array.fromAsync(make(20_002, other).discover(stopOther.signal));
  for await (const sighting of new OnlyOwn(make(20_001, one), shortIds).discover(stop.signal)) {
    seen.push(sighting);
    if (sighting.gone) stop.abort();
    else stopOther.abort();
  }
  await there;
  const expected = { source: "mdns", shortId: other.slice(0, 8), address: { hostname, port: 20_002 } };
  assert.deepEqual(seen, [{ ...expected, gone: false }, { ...expected, gone: true }]);
});

Deno.test("MdnsDiscovery answers a resolver that knows nothing of mDNS, by unicast and for 10 s", async () => {
  const stop = new AbortController();
  const port = 20_003;
  const running = Array.fromAsync(make(port).discover(stop.signal));
  const socket = createSocket("udp4");
  socket.bind(0, hostname);
  await once(socket, "listening");
  socket.setMulticastInterface(hostname);
  const { promise, resolve } = Promise.withResolvers<DnsMessage>();
  const codec = new PacketCodec({
    carry: (packet, to) => new Promise((done) => socket.send(packet, to.port, to.address, () => done())),
    receive(message) {
      if (message.additionals.some((record) => record.type === "SRV" && record.data.port === port)) resolve(message);
    },
  });
  socket.on("message", (packet, from) => codec.accept(packet, from));
  const questions = [{ name: "_arknet._tcp.local", type: "PTR", unicast: false }];
  const asking = setInterval(() => codec.send({ id: 4_711, questions }, { address: "224.0.0.251", port: 5353 }), 200);
  const message = await promise;
  clearInterval(asking);
  stop.abort();
  await running;
  await new Promise<void>((done) => socket.close(() => done()));
  assert.equal(message.id, 4_711);
  assert.ok(message.response);
  assert.deepEqual(message.questions, questions);
  for (const record of [...message.answers, ...message.additionals]) {
    assert.equal(record.ttl, 10);
    assert.ok(!record.flush);
  }
});

Deno.test("MdnsDiscovery() refuses what cannot be announced", () => {
  for (const port of [0, -1, 65_536, 8911.5]) {
    assert.throws(() => new MdnsDiscovery({ id: drawId(), port }), RangeError);
  }
  assert.throws(() => new MdnsDiscovery({ id: drawId(), port: 8911, hostname: "attic.local" }), TypeError);
});
