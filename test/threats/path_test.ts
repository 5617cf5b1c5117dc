/** Names are looked up, and never become paths. */
import assert from "node:assert/strict";
import { dirname } from "node:path";
import { fileURLToPath } from "node:url";
import { generateIdentity } from "@ark/node/identity";
import { MeshClient } from "@ark/node/transport";
import { ggufBytes } from "../models/gguf_bytes.ts";
import { until } from "../inference/local_fixture.ts";
import { NodeProcess } from "../support/node_process.ts";
import { withDirectory } from "../support/temporary.ts";
import { canTrace, ending, pathsOf, straceTo } from "./file_trace.ts";
import { pathPayloads } from "./path_payloads.ts";

const ROOT = fileURLToPath(new URL("../..", import.meta.url));
const FAKE_NODE = [Deno.execPath(), "run", "-A", `${ROOT}test/support/fake_node.ts`];
/** A folder with models that are meant to be there, ways out of it, and a model outside that nobody shares. */
async function prepare(base: string): Promise<{ models: string; outside: string; data: string }> {
  const [models, outside, data] = [`${base}/models`, `${base}/outside`, `${base}/data`];
  for (const folder of [models, `${models}/below`, outside]) await Deno.mkdir(folder, { recursive: true });
  const named = (name: string) => ggufBytes({ pairs: [...PAIRS, ["general.basename", { text: name }]] });
  await Deno.writeFile(`${outside}/secret.gguf`, named("Secret"));
  await Deno.writeFile(`${models}/good.gguf`, named("Good"));
  // What a file says of itself is no path either.
  await Deno.writeFile(`${models}/liar.gguf`, named("../../outside/secret"));
  await Deno.writeFile(`${models}/below/up..%2f..%2foutside%2fsecret.gguf`, named("Percent"));
  await Deno.writeFile(`${models}/C:\\..\\outside\\secret.gguf`, named("Backslash"));
  await Deno.writeFile(`${models}/con\n..\u202e.gguf`, named("Odd"));
  await Deno.symlink("good.gguf", `${models}/inside.gguf`);
  await Deno.symlink("../outside/secret.gguf", `${models}/relative.gguf`);
  await Deno.symlink(`${outside}/secret.gguf`, `${models}/absolute.gguf`);
  await Deno.symlink("relative.gguf", `${models}/chain.gguf`);
  await Deno.symlink("../outside", `${models}/folder`);
  await Deno.symlink(".", `${models}/loop`);
  await Deno.symlink("self.gguf", `${models}/self.gguf`);
  await Deno.symlink("/dev/zero", `${models}/endless.gguf`);
  return { models, outside, data };
}

const PAIRS: NonNullable<Parameters<typeof ggufBytes>[0]>["pairs"] & object = [
  ["general.architecture", { text: "llama" }],
  ["llama.context_length", { u32: 64 }],
  ["llama.block_count", { u32: 2 }],
  ["tokenizer.ggml.tokens", { texts: ["a", "b"] }],
];

/** Asks for a model by a path of a URL as it stands, which `fetch` would clean up. */
async function getRaw(api: string, target: string): Promise<string> {
  const { hostname, port } = new URL(api);
  using connection = await Deno.connect({ hostname, port: Number(port) });
  const head = `GET ${target} HTTP/1.1\r\nHost: 127.0.0.1:${port}\r\nConnection: close\r\n\r\n`;
  await connection.write(new TextEncoder().encode(head));
  return await new Response(connection.readable).text().catch(() => "");
}

Deno.test("T17: Of 200 names that want to be paths none is read or written, wherever a model is named", () =>
  withDirectory(async (directory) => tryPaths(await Deno.realPath(directory))));

async function tryPaths(base: string): Promise<void> {
  const missing = await canTrace();
  // deno-lint-ignore no-console
  if (missing !== null) console.log(`Skipped: ${missing}`);
  const { models, outside, data } = await prepare(base);
  const traced = `${base}/trace`;
  const strace = missing === null ? straceTo(traced) : [];
  const payloads = pathPayloads(`${outside}/secret.gguf`);
  assert.ok(payloads.length >= 200, `${payloads.length} payloads`);
  let mark = 0;
  {
    // Without discovery: what looks for neighbours runs programs of the system now and then.
    const args = ["--no-mdns", "--wireguard", "off", "--models", models];
    await using node = await NodeProcess.start({ name: "N", data, args, command: [...strace, ...FAKE_NODE] });
    await using _end = ending(node);
    const { api } = node.ready;
    const token = (await Deno.readTextFile(`${data}/admin.token`)).trim();
    const post = (path: string, body: unknown) =>
      fetch(api + path, {
        method: "POST",
        headers: { "content-type": "application/json", authorization: `Bearer ${token}` },
        body: JSON.stringify(body),
      });
    const ask = (model: string) => ({ model, messages: [{ role: "user", content: "one" }], max_tokens: 1 });
    const list = async (): Promise<string[]> =>
      (await (await fetch(`${api}/v1/models`)).json()).data.map(({ id }: { id: string }) => id);
    await until(async () => (await list()).length > 0);
    const ids = await list();
    for (const id of ids) assert.match(id, /^[a-z0-9][a-z0-9._-]*:[a-z0-9._-]+$/);
    assert.ok(ids.some((id) => id.startsWith("good:")), ids.join(", "));
    assert.ok(!ids.some((id) => id.startsWith("secret:")), "A link out of the folder shares nothing");
    assert.equal(ids.length, 4, ids.join(", "));
    const { faults } = await (await fetch(`${api}/models`, { headers: { authorization: `Bearer ${token}` } })).json();
    assert.match(JSON.stringify(faults), /Its name has control characters/);

    // An approved peer that may ask every model, and a worker that runs: what is opened from here on is due to names.
    const peer = generateIdentity();
    const permissions = { can_request_inference: true, can_pull_models: true, models_shared: ["*"] };
    const approval = { public_key: `ed25519:${peer.publicKey.toBase64()}`, name: "peer", permissions };
    const approved = await post("/peers/approve", approval);
    assert.equal(approved.status, 200, await approved.text());
    const first = await post("/v1/chat/completions", ask(ids.find((id) => id.startsWith("good:")) ?? ""));
    assert.equal(first.status, 200, await first.text());
    await using client = new MeshClient({ identity: peer });
    const to = { id: node.id, addresses: [{ hostname: "127.0.0.1", port: Number(node.ready.mesh.split(":").at(-1)) }] };
    mark = missing === null ? (await Deno.stat(traced)).size : 0;

    for (const payload of payloads) {
      const where = JSON.stringify(payload);
      const spelt = payload.toWellFormed();
      for (const path of ["/v1/chat/completions", "/v1/completions"]) {
        const response = await post(path, path.includes("chat") ? ask(payload) : { model: payload, prompt: "one" });
        assert.ok([400, 404].includes(response.status), `${where} at ${path}: ${response.status}`);
        assert.doesNotMatch(await response.text(), /"Secret"|PRIVATE KEY/);
      }
      for (const target of [spelt.replaceAll(/[^\x21-\x7e]/gu, encodeURIComponent), encodeURIComponent(spelt)]) {
        assert.doesNotMatch(await getRaw(api, `/v1/models/${target}`), /^HTTP\/1\.1 200|PRIVATE KEY/, where);
      }
      // What is no plain name goes nowhere; there is no registry of plain names here.
      const pulled = await post("/models/pull", { model: payload });
      assert.doesNotMatch(await pulled.text(), /"success"/, where);
      const removed = await post("/models/remove", { model: payload });
      assert.ok([400, 404].includes(removed.status), `${where}: ${removed.status} ${await removed.text()}`);
      const body = JSON.stringify({ model: payload, input: { kind: "completion", prompt: "one" }, parameters: {} });
      const answer = await client.request(to, { method: "POST", path: "/ark/v1/infer", body, deadlineMs: 5_000 });
      const said = await new Response(answer.body).text();
      assert.ok([400, 403, 404].includes(answer.status), `${where} at the mesh: ${answer.status} ${said}`);
    }
  }
  if (missing === null) {
    const trace = await Deno.readTextFile(traced);
    const all = pathsOf(trace);
    assert.ok(all.includes(`${models}/good.gguf`), "The trace has what is read");
    assert.deepEqual(all.filter((path) => path.startsWith(outside)), [], "Nothing outside is read, at any time");
    assert.deepEqual(all.filter((path) => path === "/dev/zero" || path.includes("shadow")), []);
    const ours = [data, models, ROOT, dirname(Deno.execPath()), "/proc/", "/sys/", "/dev/null", "/dev/urandom"];
    const others = pathsOf(trace.slice(mark)).filter((path) => !ours.some((prefix) => `${path}/`.startsWith(prefix)));
    assert.deepEqual([...new Set(others)], [], "After the start only the node's own files are opened");
  }
}
