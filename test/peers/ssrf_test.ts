/** Others who say where to dial: what they name must not be a door of this machine, or of one that is no node. */
import assert from "node:assert/strict";
import { generateIdentity } from "@ark/node/identity";
import { toldAddress } from "@ark/node/http";
import { Neighbourhood } from "@ark/node/peers";
import { Logger } from "@ark/node/telemetry";
import { MeshClient, type PeerAddress, presentedKey } from "@ark/node/transport";
import type { Sighting } from "@ark/node/discovery";
import { readMessage } from "../../src/discovery/dns_message.ts";
import { ServiceCache } from "../../src/discovery/service_cache.ts";
import { link } from "../discovery/network.ts";
import { ScriptedNode } from "../transport/scripted_node.ts";

const SOURCE = "192.168.1.7";
const lan = link();
const lo = link({ loopback: true });

/** Listens on both loopback addresses at one port, and counts who comes. */
class Canary implements AsyncDisposable {
  connections = 0;
  readonly port: number;
  readonly #listeners: Deno.TcpListener[];
  readonly #accepting: Promise<void>[];

  constructor() {
    const first = Deno.listen({ hostname: "127.0.0.1", port: 0 });
    this.port = first.addr.port;
    this.#listeners = [first];
    try {
      this.#listeners.push(Deno.listen({ hostname: "::1", port: this.port }));
    } catch {
      // A machine without IPv6.
    }
    this.#accepting = this.#listeners.map(async (listener) => {
      for await (const conn of listener) {
        this.connections++;
        conn.close();
      }
    });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const listener of this.#listeners) listener.close();
    await Promise.all(this.#accepting);
  }
}

/** What becomes of an announcement of a service at an address and a port, as a decoder hands it on. */
function announced(
  type: "A" | "AAAA",
  data: string,
  { port, on = lan }: { port: number; on?: typeof lan },
): Sighting[] {
  const record = (type: string, name: string, data: unknown) => ({
    type,
    name,
    ttl: 120,
    class: "IN",
    flush: true,
    data,
  });
  const instance = "canary._arknet._tcp.local";
  const message = readMessage({
    opcode: "QUERY",
    rcode: "NOERROR",
    type: "response",
    answers: [
      { ...record("PTR", "_arknet._tcp.local", instance), flush: false },
      record("SRV", instance, { port, target: "canary.local" }),
      record("TXT", instance, ["txtvers=1", "id=ccccdddd", "p=1"]),
      record(type, "canary.local", data),
    ],
  });
  assert.ok(message !== null);
  const own = { instance: "mine._arknet._tcp.local", host: "mine.local" };
  return new ServiceCache(8911).observe(message, { source: on === lan ? SOURCE : "127.0.0.1", link: on }, {
    own,
    now: 1,
  });
}

/** Dials what is sighted, as a node does, and returns what was dialled. */
async function dialled(sightings: readonly Sighting[]): Promise<string[]> {
  const addresses: string[] = [];
  const neighbourhood = new Neighbourhood({
    self: generateIdentity().id,
    approved: () => true,
    logger: new Logger({ write: () => {} }),
    probe(address, { signal }) {
      addresses.push(`${address.hostname} ${address.port}`);
      return presentedKey(address, { signal, timeoutMs: 500 });
    },
  });
  await neighbourhood.run({
    name: "script",
    async *discover() {
      yield* sightings;
    },
  }, new AbortController().signal);
  return addresses;
}

Deno.test("T16: Nobody makes a node dial its own doors, nor those of machines that are no nodes: 40 ways to say where", async () => {
  await using canary = new Canary();
  const { port } = canary;
  const addresses = [
    "127.0.0.1",
    "127.0.0.2",
    "127.255.255.254",
    "0.0.0.0",
    "0.0.0.1",
    "169.254.169.254",
    "224.0.0.251",
    "255.255.255.255",
    "240.0.0.1",
    "8.8.8.8",
    "100.128.0.1",
    "172.32.0.1",
    "2130706433",
    "0177.0.0.1",
    "0x7f.0.0.1",
    "0x7f000001",
    "127.1",
    "localhost",
    "localhost.",
    "127.0.0.1.nip.io",
    "127.0.0.1 ",
    "127.0.0.1:80",
    "[::1]",
    "::1",
    "0:0:0:0:0:0:0:1",
    "::",
    "::ffff:127.0.0.1",
    "::ffff:7f00:1",
    "::FFFF:7F00:1",
    "::127.0.0.1",
    "64:ff9b::7f00:1",
    "fe80::1",
    "fe80::1%lo",
    "ff02::1",
    "2001:db8::1",
    "",
  ];
  const forms: [string, Sighting[]][] = addresses.flatMap((data) =>
    (["A", "AAAA"] as const).map((type): [string, Sighting[]] => [`${type} ${data}`, announced(type, data, { port })])
  );
  for (const bad of [0, 1, 22, 80, 443, 1_023, 8_910, 65_536, -1, 1.5, NaN]) {
    forms.push([`${SOURCE} port ${bad}`, announced("A", SOURCE, { port: bad })]);
  }
  assert.ok(forms.length >= 40);
  for (const [form, sightings] of forms) {
    assert.deepEqual(sightings, [], form);
    assert.deepEqual(await dialled(sightings), [], form);
  }
  assert.equal(canary.connections, 0);

  // What a caller tells is a port at most: of a node, and on the host that he calls from.
  for (
    const said of ["0", "22", "443", "8910", "65536", "-1", "1e9", "6379 ", "127.0.0.1:6379", "", "NaN", "0x1f", "1.5"]
  ) {
    const url = new URL(`https://node.ark.invalid/ark/v1/offer?port=${encodeURIComponent(said)}`);
    const told = toldAddress(url, SOURCE);
    assert.ok(told === null || told.port === 6_379, `${said}: ${told?.port}`);
  }
  const url = new URL("https://node.ark.invalid/ark/v1/offer?port=9000&host=127.0.0.1&port=22");
  assert.deepEqual(toldAddress(url, SOURCE), { hostname: SOURCE, port: 9_000 });

  // The canary would have sung: on loopback itself, such an address is where a neighbour on this machine is.
  const near = announced("A", "127.0.0.1", { port, on: lo });
  assert.deepEqual(await dialled(near), [`127.0.0.1 ${port}`]);
  assert.ok(canary.connections > 0);
});

Deno.test("T16: An approved peer's redirect leads nowhere", async () => {
  await using canary = new Canary();
  const target: PeerAddress = { hostname: "127.0.0.1", port: canary.port };
  for (const status of [301, 302, 303, 307, 308]) {
    await using node = await ScriptedNode.start((request, socket) => {
      const location = `Location: https://${target.hostname}:${target.port}/\r\n`;
      socket.write(`HTTP/1.1 ${status} X\r\n${location}${node.sign(request, { status })}Content-Length: 0\r\n\r\n`);
    });
    await using client = new MeshClient({ identity: generateIdentity() });
    const response = await client.request(node.peer, { method: "GET", path: "/", deadlineMs: 60_000 });
    assert.equal(response.status, status);
    await response.body.cancel();
  }
  assert.equal(canary.connections, 0);
});
