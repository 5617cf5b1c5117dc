/**
 * `deno task bench registry`: a registry of 100,000 nodes, as a process of its own, by HTTPS: each node registers with its own
 * key and signature, then somebody lists and searches while others renew. Once with SQLite and, where there is its program,
 * once with PostgreSQL. `REGISTRY_NODES` sets another number, `REGISTRY_IN` one of both.
 */
import { generateIdentity, type Identity } from "@ark/node/identity";
import { signRegistration } from "@ark/node/protocol";
import { cleanEnvironment, NodeProcess } from "../support/node_process.ts";
import { findPostgres, Postgres } from "../support/postgres.ts";
import { processorMs } from "./machine.ts";
import { loopbackAddress, RegistryCaller } from "./registry_caller.ts";
import { heading, result, Samples } from "./samples.ts";

const NODES = Number(Deno.env.get("REGISTRY_NODES") ?? 100_000);
const QUESTIONS = 2_000;
/** One of both, where somebody wants no more. */
const ONLY = Deno.env.get("REGISTRY_IN");
const DAY = 86_400_000;
/** What one source may do at once: a registry lets it write 30 times and read 600 times in a minute. */
const [WRITES, READS] = [30, 500];
/** Sources that register at the same time. */
const LANES = 8;
/** While somebody asks, one of so many requests is the renewal of another node's registration. */
const RENEWED = 10;
const FAMILIES = ["llama3.1", "llama3.2", "qwen2.5", "mistral", "gemma2", "phi4", "deepseek-r1", "granite3"];
const SIZES = ["1b", "3b", "7b", "8b", "14b", "32b", "70b"];

/** Measures and prints. */
export async function registryBench(): Promise<void> {
  const made = performance.now();
  const identities = Array.from({ length: NODES }, generateIdentity);
  heading(`A registry of ${NODES} nodes by HTTPS (their keys took ${seconds(performance.now() - made)} to make)`);
  const directory = await Deno.makeTempDir({ prefix: "ark-bench-" });
  try {
    const tls = await certificate(directory);
    if (ONLY !== "PostgreSQL") await measured("SQLite", { identities, tls, env: {} });
    if (ONLY === "SQLite") return;
    const programs = await findPostgres();
    if (typeof programs === "string") return result("PostgreSQL", `left out, ${programs}`);
    await using postgres = await Postgres.start(programs);
    await measured("PostgreSQL", { identities, tls, env: { DATABASE_URL: await postgres.database() } });
  } finally {
    await Deno.remove(directory, { recursive: true });
  }
}

interface Setting {
  identities: readonly Identity[];
  tls: { cert: string; key: string; ca: string };
  env: Record<string, string>;
}

async function measured(name: string, { identities, tls, env }: Setting): Promise<void> {
  await using node = await NodeProcess.start({
    name: "registry",
    args: ["--role", "registry", "--registry-listen", "127.0.0.1:0", "--tls-cert", tls.cert, "--tls-key", tls.key],
    env: { ...cleanEnvironment(), ...env },
  });
  const { pid, registry } = node.ready as typeof node.ready & { registry: string };
  const to = { port: Number(registry.split(":").at(-1)), ca: tls.ca };
  const [empty, from] = [residentMb(pid), performance.now()];
  let [next, source] = [0, 0];
  const register = async () => {
    while (next < identities.length) {
      using caller = new RegistryCaller(to, loopbackAddress(source++));
      for (let sent = 0; sent < WRITES && next < identities.length; sent++) {
        const { status, body } = await caller.ask("/registry/v1/nodes", statementOf(identities, next++, 1));
        if (status !== 200) throw new Error(`A registration was refused: ${status} ${body}`);
      }
    }
  };
  const before = processorMs(pid);
  await Promise.all(Array.from({ length: LANES }, register));
  const [took, used] = [performance.now() - from, processorMs(pid) - before];
  result(
    `${name}: ${identities.length} registrations`,
    `${seconds(took)}, ${Math.round(identities.length / took * 1_000)} a second, ` +
      `${(used / identities.length).toFixed(2)} ms of processor each`,
  );
  for (const [question, pathOf] of Object.entries(QUESTIONS_ASKED)) {
    const samples = new Samples();
    const cpu = processorMs(pid);
    let [found, bytes] = [0, 0];
    let caller: RegistryCaller | null = null;
    for (let i = 0; i < QUESTIONS; i++) {
      if (i % READS === 0) {
        caller?.[Symbol.dispose]();
        caller = new RegistryCaller(to, loopbackAddress(source++));
        await caller.ask("/healthz");
      }
      if (i % RENEWED === 0) {
        using other = new RegistryCaller(to, loopbackAddress(source++));
        const { status } = await other.ask("/registry/v1/nodes", statementOf(identities, i * 7 % NODES, ++renewal));
        if (status !== 200) throw new Error(`A renewal was refused: ${status}`);
      }
      const path = pathOf(identities);
      const start = performance.now();
      const answer = await caller?.ask(path);
      samples.add(performance.now() - start);
      if (answer?.status !== 200) throw new Error(`A question was refused: ${answer?.status} ${answer?.body}`);
      bytes += answer.body.length;
      found += answer.body.split('"signature"').length - 1;
    }
    caller?.[Symbol.dispose]();
    const each = ((processorMs(pid) - cpu) / QUESTIONS).toFixed(2);
    result(
      `${name}: ${question}`,
      `median ${samples.median.toFixed(1)} ms   p99 ${samples.p99.toFixed(1)} ms   ${each} ms of processor   ` +
        `${(found / QUESTIONS).toFixed(0)} nodes in ${(bytes / QUESTIONS / 1_024).toFixed(0)} KiB`,
      "p99 20 ms",
    );
  }
  const peak = peakMb(pid);
  result(`${name}: memory of the process`, `${residentMb(pid)} MB, at most ${peak} MB (${empty} MB empty)`, "300 MB");
}

let renewal = 1;

const QUESTIONS_ASKED: Record<string, (identities: readonly Identity[]) => string> = {
  "list, a page of 100": (all) => `/registry/v1/nodes?limit=100&after=${pick(all).id}`,
  "list, a page of 200": (all) => `/registry/v1/nodes?limit=200&after=${pick(all).id}`,
  "search by a model": (all) =>
    `/registry/v1/nodes?limit=100&model=${pick(FAMILIES)}:${pick(SIZES)}&after=${pick(all).id}`,
  "search by a beginning": (all) => `/registry/v1/nodes?limit=100&model=${pick(FAMILIES)}*&after=${pick(all).id}`,
  "search by a beginning that fits all": (all) => `/registry/v1/nodes?limit=100&model=l*&after=${pick(all).id}`,
  "one node": (all) => `/registry/v1/nodes/${pick(all).id}`,
};

function pick<T>(list: readonly T[]): T {
  const one = list[Math.floor(Math.random() * list.length)];
  if (one === undefined) throw new Error("There is nothing to choose from");
  return one;
}

function statementOf(identities: readonly Identity[], index: number, seq: number): string {
  const identity = identities[index];
  if (identity === undefined) throw new Error(`There is no node ${index}`);
  const models = [...new Set([1, 2, 3].map(() => `${pick(FAMILIES)}:${pick(SIZES)}`))];
  return JSON.stringify(
    signRegistration(identity, { endpoints: [`n${index}.example.org:8911`], models, seq, lifeMs: DAY }),
  );
}

function residentMb(pid: number): number {
  return memoryOf(pid, "VmRSS");
}

function peakMb(pid: number): number {
  return memoryOf(pid, "VmHWM");
}

function memoryOf(pid: number, field: string): number {
  const [, kib] = new RegExp(`^${field}:\\s+(\\d+) kB$`, "m").exec(Deno.readTextFileSync(`/proc/${pid}/status`)) ?? [];
  return Math.round(Number(kib) * 1_024 / 1e6);
}

async function certificate(directory: string): Promise<Setting["tls"]> {
  const [cert, key] = [`${directory}/cert.pem`, `${directory}/key.pem`];
  const { success } = await new Deno.Command("openssl", {
    args: [
      ..."req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2 -subj /CN=localhost".split(" "),
      ..."-addext subjectAltName=DNS:localhost -addext basicConstraints=critical,CA:FALSE -keyout".split(" "),
      key,
      "-out",
      cert,
    ],
    stdout: "null",
    stderr: "null",
  }).output();
  if (!success) throw new Error("The benchmark of the registry needs openssl");
  return { cert, key, ca: await Deno.readTextFile(cert) };
}

function seconds(ms: number): string {
  return `${(ms / 1_000).toFixed(0)} s`;
}
