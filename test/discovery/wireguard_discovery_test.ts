import assert from "node:assert/strict";
import { type Sighting, WireGuardDiscovery } from "@ark/node/discovery";
import { discoveryContract } from "./discovery_contract.ts";

const KEY = "mjxX/TCek2AIKNb+FJXps9dlzYDSu+gvPjh1vj+TSDw=";

/** Runs a test with a stand-in for `wg` that runs this shell script, which can read and write its folder, `$0`. */
async function withProgram(script: string, use: (program: string, folder: string) => Promise<void>): Promise<void> {
  const folder = await Deno.makeTempDir({ prefix: "ark-wg-" });
  try {
    const program = `${folder}/wg`;
    await Deno.writeTextFile(program, `#!/bin/sh\nfolder=${folder}\n${script}\n`, { mode: 0o755 });
    await use(program, folder);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

/** Sightings and sentences until there are so many sightings, or so many looks. */
async function discover(
  program: string,
  { until, looked }: { until: (sightings: Sighting[], sentences: string[]) => boolean; looked?: () => void },
): Promise<{ sightings: Sighting[]; sentences: string[] }> {
  const stop = new AbortController();
  const sightings: Sighting[] = [];
  const sentences: string[] = [];
  const discovery = new WireGuardDiscovery({
    program,
    everyMs: 5,
    unavailable: (sentence) => {
      sentences.push(sentence);
      if (until(sightings, sentences)) stop.abort();
    },
  });
  for await (const sighting of discovery.discover(stop.signal)) {
    sightings.push(sighting);
    looked?.();
    if (until(sightings, sentences)) stop.abort();
  }
  return { sightings, sentences };
}

discoveryContract("WireGuardDiscovery", {
  make: () => new WireGuardDiscovery({ program: "/nonexistent/wg", everyMs: 5 }),
  finds: false,
});

Deno.test("WireGuardDiscovery asks for allowed addresses and never for secrets, and tells each peer again and again", () =>
  withProgram(`echo "$*" >>"$folder/asked"; printf 'wg0\\t${KEY}\\t10.99.0.2/32\\n'`, async (program, folder) => {
    const { sightings, sentences } = await discover(program, { until: (all) => all.length === 2 });
    const sighting = {
      source: "wireguard",
      shortId: null,
      address: { hostname: "10.99.0.2", port: 8911 },
      gone: false,
      tunnelKey: `wg:${KEY}`,
    };
    assert.deepEqual(sightings, [sighting, sighting]);
    assert.deepEqual(sentences, []);
    const asked = new Set((await Deno.readTextFile(`${folder}/asked`)).trim().split("\n"));
    assert.deepEqual([...asked], ["show all allowed-ips"]);
  }));

Deno.test("WireGuardDiscovery takes back a peer that is in no tunnel any more", () =>
  withProgram(`cat "$folder/peers"`, async (program, folder) => {
    await Deno.writeTextFile(`${folder}/peers`, `wg0\t${KEY}\t10.99.0.2/32\n`);
    const { sightings } = await discover(program, {
      looked: () => Deno.writeTextFileSync(`${folder}/peers`, ""),
      until: (all) => all.at(-1)?.gone === true,
    });
    assert.deepEqual([sightings[0]?.gone, sightings.at(-1)?.gone], [false, true]);
    assert.equal(sightings.at(-1)?.address.hostname, "10.99.0.2");
  }));

Deno.test("WireGuardDiscovery says in one sentence that it may not ask, goes on asking, and says it again only after a good look", () =>
  withProgram(
    `n=$(cat "$folder/n" 2>/dev/null || echo 0); echo $((n + 1)) >"$folder/n"
    case $n in
    3) printf 'wg0\\t${KEY}\\t10.99.0.2/32\\n' ;;
    *) echo 'Unable to access interface wg0: Operation not permitted' >&2; exit 1 ;;
    esac`,
    async (program, folder) => {
      const { sightings, sentences } = await discover(program, { until: (_, said) => said.length === 2 });
      const sentence = "Peers of WireGuard are not looked for: only root may ask wg for them; " +
        "name them with --peer HOST:PORT, or use --wireguard off";
      assert.deepEqual(sentences, [sentence, sentence]);
      assert.deepEqual(sightings.map(({ gone }) => gone), [false, true]);
      assert.equal(Number(await Deno.readTextFile(`${folder}/n`)), 5);
    },
  ));

Deno.test("WireGuardDiscovery outlives a program that prints without end", () =>
  withProgram(`yes | head -c 3000000; exit 1`, async (program) => {
    const { sentences } = await discover(program, { until: (_, said) => said.length === 1 });
    assert.match(sentences[0] ?? "", /wg does not list them/);
  }));
