/** Who only listens on the network: what there is to learn. */
import assert from "node:assert/strict";
import { until } from "../inference/local_fixture.ts";
import { FIXTURES, MODEL } from "../mesh/test_node.ts";
import { canUseNamespaces, type NetworkHost, NetworkLab } from "../support/netns.ts";
import { FROM_SOURCE, NodeProcess } from "../support/node_process.ts";
import { missing } from "./siege.ts";

const reason = await canUseNamespaces();
const noTcpdump = reason ?? await missing("tcpdump", "--version");
const noSslscan = reason ?? await missing("sslscan", "--version");
for (const why of new Set([noTcpdump, noSslscan])) {
  // deno-lint-ignore no-console
  if (why !== null) console.log(`observer_test: skipped in part, ${why}`);
}

function start(host: NetworkHost, options: { name: string; args?: string[] }): Promise<NodeProcess> {
  const { name, args = [] } = options;
  const command = ["ip", "netns", "exec", host.namespace, ...FROM_SOURCE];
  return NodeProcess.start({ name, args: ["--wireguard", "off", ...args], command, meshListen: "0.0.0.0:8911" });
}

/** As the machines that these tests run on write it. */
const LITTLE_ENDIAN = true;

/** The packets of a capture file, each as text in which every byte is one character. */
function packetsOf(capture: Uint8Array): string[] {
  const view = new DataView(capture.buffer, capture.byteOffset, capture.byteLength);
  assert.equal(view.getUint32(0, LITTLE_ENDIAN), 0xa1b2c3d4, "It is no capture file");
  const decoder = new TextDecoder("latin1");
  const packets: string[] = [];
  for (let at = 24; at + 16 <= capture.length;) {
    const length = view.getUint32(at + 8, LITTLE_ENDIAN);
    packets.push(decoder.decode(capture.subarray(at + 16, at + 16 + length)));
    at += 16 + length;
  }
  return packets;
}

/** Whether it is IPv4, UDP and of port 5353. */
function isMdns(packet: string): boolean {
  const port = (at: number) => packet.charCodeAt(at) * 256 + packet.charCodeAt(at + 1);
  return packet.slice(12, 14) === "\x08\x00" && packet.charCodeAt(23) === 17 &&
    (port(34) === 5353 || port(36) === 5353);
}

Deno.test({
  name: "T51: Of a session from the first sighting to an answer nothing is in clear but short ids in mDNS",
  ignore: noTcpdump !== null,
  async fn() {
    await using lab = await NetworkLab.create(["alice", "bob"]);
    const [alice, bob] = [lab.host("alice"), lab.host("bob")];
    const file = await Deno.makeTempFile({ prefix: "ark-capture-", suffix: ".pcap" });
    try {
      const tcpdump = bob.spawn(["tcpdump", "-i", "eth0", "-U", "-s", "0", "-Z", "root", "-w", file], {
        stderr: "piped",
      });
      const said = tcpdump.stderr.pipeThrough(new TextDecoderStream()).getReader();
      for (let text = ""; !text.includes("listening on eth0");) {
        const { done, value } = await said.read();
        assert.ok(!done, text);
        text += value;
      }
      const names = ["Grandmothers-Attic", "Zephyrs-Workshop"] as const;
      let answer: { text: string };
      let secrets: string[];
      {
        await using a = await start(alice, { name: names[0] });
        await using b = await start(bob, { name: names[1], args: ["--models", FIXTURES] });
        for (const node of [a, b]) {
          await until(async () => (await node.json<{ peers: unknown[] }>("peers", "discovered")).peers.length > 0);
        }
        await b.json("peers", "approve", a.id.slice(0, 8), "--name", "Ann");
        await a.json("peers", "approve", b.id.slice(0, 8), "--name", "Ben");
        await until(async () => (await a.json<{ models: unknown[] }>("models")).models.length > 0);
        answer = await a.json("ask", MODEL, "Tell me about the zeppelin in the cellar.", "--max-tokens", "30");
        assert.ok(answer.text.length > 20, answer.text);
        const keys = [a, b].map(({ ready }) => ready.public_key.slice("ed25519:".length));
        secrets = [
          ...[a, b].flatMap(({ id, ready }) => [id, id.slice(8, 24), ready.node_id]),
          ...keys.flatMap((key) => [key, new TextDecoder("latin1").decode(Uint8Array.fromBase64(key))]),
          ...names,
          // A short one is in any noise.
          ...(Deno.hostname().length > 6 ? [Deno.hostname()] : []),
          "arkling",
          "zeppelin",
          answer.text.trim().slice(0, 12),
          "ark-peer",
          "/ark/v1",
          "content-type",
        ];
        // What was sent last has been written, too.
        await until(async () =>
          packetsOf(await Deno.readFile(file)).some((packet) => packet.includes("node.ark.invalid"))
        );
        const shorts = [a.id.slice(0, 8), b.id.slice(0, 8)];
        const packets = packetsOf(await Deno.readFile(file));
        for (const short of shorts) {
          assert.ok(
            packets.some((packet) => isMdns(packet) && packet.includes(`id=${short}`)),
            "No announcement was seen",
          );
          assert.ok(
            !packets.some((packet) => !isMdns(packet) && packet.includes(short)),
            "A short id is outside of mDNS",
          );
        }
      }
      tcpdump.kill("SIGINT");
      await tcpdump.status;
      await said.cancel();
      const packets = packetsOf(await Deno.readFile(file));
      assert.ok(packets.length > 50, `${packets.length} packets`);
      for (const secret of secrets) {
        const spellings = [secret, secret.toLowerCase(), secret.toUpperCase()];
        const found = packets.findIndex((packet) => spellings.some((one) => packet.includes(one)));
        assert.equal(found, -1, `${JSON.stringify(secret)} is in packet ${found}`);
      }
    } finally {
      await Deno.remove(file);
    }
  },
});

Deno.test({
  name: "T50: sslscan finds TLS 1.3 and nothing older, with forward secrecy and authenticated ciphers only",
  ignore: noSslscan !== null,
  async fn() {
    // A stranger may dial sixteen times at once, and this one dials for each of its questions: each comes from elsewhere.
    const versions = ["--ssl2", "--ssl3", "--tls10", "--tls11", "--tls12", "--tls13"];
    await using lab = await NetworkLab.create(["bob", ...versions.map((version) => version.slice(2))]);
    const { address } = lab.host("bob");
    await using _node = await start(lab.host("bob"), { name: "bob", args: ["--no-mdns"] });
    const skip = ["fallback", "heartbleed", "compression", "renegotiation", "check-certificate", "groups"];
    const scans = await Promise.all(versions.map(async (version) => {
      const options = ["--no-colour", ...skip.map((one) => `--no-${one}`), version];
      const { stdout } = await lab.host(version.slice(2)).run(["sslscan", ...options, `${address}:8911`]);
      assert.match(stdout, /Supported Server Cipher/, `${version}: ${stdout}`);
      return stdout;
    }));
    const enabled = scans.flatMap((scan) => [...scan.matchAll(/^(\S+)\s+enabled$/gm)].map(([, version]) => version));
    assert.deepEqual(enabled, ["TLSv1.3"]);
    const ciphers = scans.flatMap((scan) => [
      ...scan.matchAll(/^(?:Preferred|Accepted)\s+(\S+)\s+\d+ bits\s+(\S+)/gm),
    ]).map(([, ...found]) => found.join(" ")).toSorted();
    assert.deepEqual(ciphers, [
      "TLSv1.3 TLS_AES_128_GCM_SHA256",
      "TLSv1.3 TLS_AES_256_GCM_SHA384",
      "TLSv1.3 TLS_CHACHA20_POLY1305_SHA256",
    ]);
  },
});
