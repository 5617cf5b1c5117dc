// deno-lint-ignore-file no-console
/** `deno task bench registry`: a registry of 100,000 nodes in SQLite: how long questions take, and what memory it needs. */
import { registryApp } from "@ark/node/http";
import { generateIdentity, nodeIdOf } from "@ark/node/identity";
import { signRegistration } from "@ark/node/protocol";
import { openRegistryStore } from "@ark/node/store";

const NODES = Number(Deno.env.get("REGISTRY_NODES") ?? 100_000);
const QUESTIONS = 2_000;
const FAMILIES = ["llama3.1", "llama3.2", "qwen2.5", "mistral", "gemma2", "phi4", "deepseek-r1", "granite3"];
const SIZES = ["1b", "3b", "7b", "8b", "14b", "32b", "70b"];

/** Measures, and prints what came out. */
export async function registryBench(): Promise<void> {
  console.log("\nRegistry: many nodes in one database, asked through its own handler.");
  const directory = await Deno.makeTempDir({ prefix: "ark-registry-" });
  await using store = await openRegistryStore(Deno.env.get("DATABASE_URL") ?? `${directory}/registry.db`);
  const signedOnce = signRegistration(generateIdentity(), {
    endpoints: ["ark.example.org:8911"],
    models: [],
    seq: 1,
    lifeMs: 86_400_000,
  });
  const ids: string[] = [];
  const pick = <T>(list: readonly T[]) => list[Math.floor(Math.random() * list.length)] as T;
  const began = performance.now();
  for (let i = 0; i < NODES; i++) {
    // Ids are keys; whether somebody has the secret part matters to nobody here.
    let nodeId: string;
    try {
      nodeId = nodeIdOf(crypto.getRandomValues(new Uint8Array(32)));
    } catch {
      continue;
    }
    const models = [...new Set([1, 2, 3].map(() => `${pick(FAMILIES)}:${pick(SIZES)}`))];
    const statement = { ...signedOnce, node_id: nodeId, models };
    await store.put({
      nodeId,
      seq: 1,
      notAfter: Date.now() + 86_400_000,
      open: true,
      models,
      statement: JSON.stringify(statement),
    });
    ids.push(nodeId);
  }
  console.log(`${ids.length} nodes kept, ${Math.round(ids.length / ((performance.now() - began) / 1_000))} a second`);
  const app = registryApp({ store, perMinute: { writes: Infinity, reads: Infinity } });
  const questions: Record<string, () => string> = {
    "list, a page of 100": () => `/registry/v1/nodes?limit=100&after=${pick(ids)}`,
    "search by a model": () => `/registry/v1/nodes?limit=100&model=${pick(FAMILIES)}:${pick(SIZES)}&after=${pick(ids)}`,
    "search by a beginning": () => `/registry/v1/nodes?limit=100&model=${pick(FAMILIES)}*&after=${pick(ids)}`,
    "one node": () => `/registry/v1/nodes/${pick(ids)}`,
  };
  for (const [name, path] of Object.entries(questions)) {
    const times: number[] = [];
    for (let i = 0; i < QUESTIONS; i++) {
      const start = performance.now();
      await (await app(new Request(`http://r${path()}`), { remote: "192.0.2.1" })).arrayBuffer();
      times.push(performance.now() - start);
    }
    times.sort((a, b) => a - b);
    const at = (part: number) => (times[Math.floor(part * (times.length - 1))] ?? NaN).toFixed(2);
    console.log(`${name.padEnd(24)} p50 ${at(0.5)} ms, p99 ${at(0.99)} ms (goal: p99 20 ms)`);
  }
  console.log(`Memory of the process: ${Math.round(Deno.memoryUsage().rss / 1e6)} MB (goal: 300)`);
  await Deno.remove(directory, { recursive: true });
}
