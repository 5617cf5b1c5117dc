/** Requests made at random, to a node in a process of its own whose memory can be told. */
import assert from "node:assert/strict";
import { fileURLToPath } from "node:url";
import { Random } from "../fuzz/random.ts";
import { NodeProcess } from "../support/node_process.ts";
import { ANTHROPIC } from "./random_requests/anthropic.ts";
import { OLLAMA } from "../http/ollama/random_bodies.ts";
import { OPENAI } from "./random_requests/openai.ts";
import type { RandomFamily, RandomRequest } from "./random_requests/random_request.ts";
import { RESPONSES } from "./random_requests/responses.ts";
import { FIXTURES } from "./test_node.ts";

/** The families of APIs; each has its file in `random_requests/`. */
const FAMILIES: readonly RandomFamily[] = [OPENAI, RESPONSES, ANTHROPIC, OLLAMA];

const LONG = Deno.env.get("ARK_LONG") === "1";
const COUNT = LONG ? 10_000 : 1_000;

/** Requests at once. */
const CLIENTS = 8;

/** What a node may have more after all requests than after the first fifth, in MiB; a leak of 10 KB each is more in the end. */
const GROWTH_MIB = LONG ? 64 : 32;

/** How long the system may take to get back what was collected, in milliseconds. */
const RETURN_MS = 20_000;

const NODE = fileURLToPath(new URL("../support/fake_node.ts", import.meta.url));

/** Memory of a process in MiB after its garbage was collected: the median of some measurements. */
async function memoryOf(node: NodeProcess): Promise<number> {
  const measured: number[] = [];
  for (let round = 0; round < 7; round++) {
    node.kill("SIGUSR2");
    // It answers after it has collected.
    await (await fetch(`${node.ready.api}/healthz`)).body?.cancel();
    const status = await Deno.readTextFile(`/proc/${node.ready.pid}/status`);
    measured.push(Number(/^VmRSS:\s+(\d+) kB/m.exec(status)?.[1]) / 1_024);
  }
  return measured.sort((a, b) => a - b)[3] ?? NaN;
}

/** The same as soon as it is at most so much, or what it is when that does not come to pass. */
async function memoryBelow(most: number, node: NodeProcess): Promise<number> {
  const deadline = performance.now() + RETURN_MS;
  for (;;) {
    const memory = await memoryOf(node);
    if (memory <= most || performance.now() > deadline) return memory;
  }
}

/** Sends a request; its status, or null where the client left. */
async function send(
  api: string,
  { request, family }: { request: RandomRequest; family: RandomFamily },
): Promise<number | null> {
  const { method, path, headers, body, leaves } = request;
  const leaving = new AbortController();
  const response = await fetch(api + path, { method, headers, body, signal: leaving.signal });
  if (leaves) {
    leaving.abort();
    await response.body?.cancel().catch(() => {});
    return null;
  }
  family.check({ request, status: response.status, headers: response.headers, text: await response.text() });
  return response.status;
}

for (const family of FAMILIES) {
  Deno.test(`${COUNT} requests at random to ${family.name}'s API are all answered as it says, and take no memory`, async () => {
    const seed = crypto.getRandomValues(new Uint32Array(1))[0] ?? 0;
    const random = new Random(seed);
    await using node = await NodeProcess.start({
      name: "N",
      command: [Deno.execPath(), "run", "-A", "--v8-flags=--expose-gc", NODE],
      args: ["--no-mdns", "--wireguard", "off", "--models", FIXTURES],
    });
    const { api } = node.ready;
    const statuses = new Map<number | null, number>();
    let sent = 0;
    const client = async (until: number) => {
      while (sent < until) {
        const at = sent++;
        const request = family.make(random);
        try {
          const status = await send(api, { request, family });
          statuses.set(status, (statuses.get(status) ?? 0) + 1);
        } catch (error) {
          throw new Error(`Request ${at} of seed ${seed}: ${JSON.stringify(request)?.slice(0, 2_000)}`, {
            cause: error,
          });
        }
      }
    };
    const clients = (until: number) => Promise.all(Array.from({ length: CLIENTS }, () => client(until)));
    await clients(COUNT / 5);
    const before = await memoryOf(node);
    await clients(COUNT);
    const after = await memoryBelow(before + GROWTH_MIB, node);
    const counts = JSON.stringify([...statuses].sort());
    assert.ok(after <= before + GROWTH_MIB, `Seed ${seed}: ${before} MiB became ${after} MiB`);
    // Otherwise the requests would say little.
    assert.ok((statuses.get(200) ?? 0) > COUNT / 8 && (statuses.get(400) ?? 0) > COUNT / 8, counts);
    assert.doesNotMatch(node.log, /met a fault of this node|Uncaught|panicked/);
    const right = { model: "arkling", prompt: "one two", max_tokens: 2 };
    const last = await fetch(`${api}/v1/completions`, {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: JSON.stringify(right),
    });
    assert.equal((await last.json()).choices[0].text, "w0 w1");
    // deno-lint-ignore no-console
    console.log(`Seed ${seed}: ${counts}, ${before.toFixed(1)} MiB before, ${after.toFixed(1)} after`);
  });
}
