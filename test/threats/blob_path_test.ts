/** What a peer asks for by a name or a digest is looked up, and never becomes a path. */
import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { dirname } from "node:path";
import { fileURLToPath } from "node:url";
import { formatPublicKey, generateIdentity, type Identity, publicKeyOf } from "@ark/node/identity";
import { MeshClient } from "@ark/node/transport";
import { until } from "../inference/local_fixture.ts";
import { ggufBytes, METADATA } from "../models/gguf_bytes.ts";
import { NodeProcess } from "../support/node_process.ts";
import { withDirectory } from "../support/temporary.ts";
import { isPlainTarget } from "../../src/transport/signed_request.ts";
import { RawConnection, requestText, signed } from "../transport/mesh_fixture.ts";
import { canTrace, ending, pathsOf, straceTo } from "./file_trace.ts";
import { pathPayloads } from "./path_payloads.ts";

const ROOT = fileURLToPath(new URL("../..", import.meta.url));
const FAKE_NODE = [Deno.execPath(), "run", "-A", `${ROOT}test/support/fake_node.ts`];

Deno.test("T17: Of 200 names and digests that want to be paths none is read when an approved peer downloads", () =>
  withDirectory(async (directory) => tryPaths(await Deno.realPath(directory))));

async function tryPaths(base: string): Promise<void> {
  const missing = await canTrace();
  // deno-lint-ignore no-console
  if (missing !== null) console.log(`Skipped: ${missing}`);
  const [models, outside, data, traced] = [`${base}/models`, `${base}/outside`, `${base}/data`, `${base}/trace`];
  for (const folder of [models, outside]) await Deno.mkdir(folder);
  const named = (text: string) => ggufBytes({ pairs: [...METADATA, ["general.name", { text }]] });
  const [good, secret] = [named("Good"), named("Secret")];
  await Deno.writeFile(`${models}/good.gguf`, good);
  await Deno.writeFile(`${outside}/secret.gguf`, secret);
  // Its digest is known to who asks, and a link to it lies among the models.
  await Deno.symlink("../outside/secret.gguf", `${models}/link.gguf`);
  await Deno.symlink(`${outside}/secret.gguf`, `${models}/${sha256(secret)}`);
  const payloads = pathPayloads(`${outside}/secret.gguf`);
  assert.ok(payloads.length >= 200, `${payloads.length} payloads`);
  let mark = 0;
  {
    const args = ["--no-mdns", "--wireguard", "off", "--models", models];
    const command = [...(missing === null ? straceTo(traced) : []), ...FAKE_NODE];
    await using node = await NodeProcess.start({ name: "N", data, args, command });
    await using _end = ending(node);
    const peer = generateIdentity();
    // Under strace the command line would be traced, too: a call does the same.
    await approve(node, peer);
    await using client = new MeshClient({ identity: peer });
    const port = Number(node.ready.mesh.split(":").at(-1));
    const to = { id: node.id, addresses: [{ hostname: "127.0.0.1", port }] };
    const ask = async (path: string) => {
      const response = await client.request(to, { method: "GET", path, deadlineMs: 60_000 });
      const bytes = new Uint8Array(await new Response(response.body).arrayBuffer());
      return { status: response.status, bytes, text: new TextDecoder().decode(bytes.subarray(0, 4_096)) };
    };
    const blob = (digest: string, what: string) => `/ark/v1/blobs/sha256-${digest}/${what}`;
    await until(async () => (await ask(blob(sha256(good), "data?chunk=0"))).status === 200);
    assert.deepEqual((await ask(blob(sha256(good), "data?chunk=0"))).bytes, good);
    // A worker that runs: what is opened from here on is due to names.
    const { data: [first] } = await (await fetch(`${node.ready.api}/v1/models`)).json();
    const chat = await fetch(`${node.ready.api}/v1/chat/completions`, {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: JSON.stringify({ model: first.id, messages: [{ role: "user", content: "one" }], max_tokens: 1 }),
    });
    assert.equal(chat.status, 200, await chat.text());
    mark = missing === null ? (await Deno.stat(traced)).size : 0;

    for (const what of ["chunks", "have", "data?chunk=0"]) {
      assert.equal((await ask(blob(sha256(secret), what))).status, 404, "What lies outside is not there");
    }
    const raw = payloads.map((payload) => `/ark/v1/blobs/sha256-${payload}/have`);
    for (const payload of payloads) {
      const where = JSON.stringify(payload);
      const encoded = encodeURIComponent(payload.toWellFormed());
      for (
        const path of [
          `/ark/v1/models/manifest?model=${encoded}`,
          `/ark/v1/models/manifest?model=good:1k-f32&model=${encoded}`,
          `/ark/v1/blobs/${encoded}/data?chunk=0`,
          blob(encoded, "chunks"),
          blob(`${sha256(good)}${encoded}`, "data?chunk=0"),
          blob(sha256(good), encoded),
          blob(sha256(good), `data?chunk=${encoded}`),
          blob(sha256(good), `data?chunk=0&file=${encoded}`),
        ]
      ) {
        if (!isPlainTarget(path)) {
          // No client of ours sends it.
          raw.push(path);
          continue;
        }
        const { status, text } = await ask(path);
        const first = path.includes("manifest?model=good");
        assert.ok([400, 404, ...first ? [200] : []].includes(status), `${where} at ${path}: ${status} ${text}`);
        assert.doesNotMatch(text, /Secret|PRIVATE KEY|root:/, where);
      }
    }
    await sendRaw({ port, id: node.id, key: peer }, raw);
    assert.deepEqual((await ask(blob(sha256(good), "data?chunk=0"))).bytes, good, "The node serves on");
  }
  if (missing !== null) return;
  const trace = await Deno.readTextFile(traced);
  assert.ok(pathsOf(trace).includes(`${models}/good.gguf`), "The trace has what is read");
  assert.deepEqual(
    pathsOf(trace).filter((path) => path.startsWith(outside)),
    [],
    "Nothing outside is read, at any time",
  );
  const ours = [data, models, ROOT, dirname(Deno.execPath()), "/proc/", "/sys/", "/dev/null", "/dev/urandom"];
  // Read by the system's own library when a date is first formatted.
  ours.push("/etc/localtime");
  const others = pathsOf(trace.slice(mark)).filter((path) => !ours.some((prefix) => `${path}/`.startsWith(prefix)));
  assert.deepEqual([...new Set(others)], [], "After the start only the node's own files are opened");
}

/** Asks for targets as they stand, signed by the letter, which no client of ours would send. */
async function sendRaw(
  { port, id, key }: { port: number; id: string; key: Identity },
  targets: readonly string[],
): Promise<void> {
  let nonce = "";
  const request = (target: string) => {
    const own = crypto.getRandomValues(new Uint8Array(16)).toBase64({ alphabet: "base64url", omitPadding: true });
    return requestText(signed(key, { to: id, target, nonce: nonce === "" ? own : `${nonce}.${own}` }));
  };
  for (const target of targets.map((each) => each.toWellFormed())) {
    using connection = await RawConnection.open({ port }, publicKeyOf(id));
    // Who has proved himself on a connection does not count as one of a flood of strangers.
    for (;;) {
      await connection.send(request("/ark/v1/offer"));
      const text = await connection.readTo(/\r\n\r\n.+/s);
      const asked = /^ark-nonce: (\S+)/im.exec(text)?.[1];
      if (asked === undefined) break;
      nonce = asked;
    }
    await connection.send(request(target));
    const answer = await connection.read() ?? "";
    assert.doesNotMatch(answer, /^HTTP\/1\.1 [23]|Secret|PRIVATE KEY/, JSON.stringify(target));
  }
}

async function approve(node: NodeProcess, peer: Identity): Promise<void> {
  const token = (await Deno.readTextFile(`${node.ready.data}/admin.token`)).trim();
  const permissions = { can_request_inference: false, can_pull_models: true, models_shared: ["*"] };
  const response = await fetch(`${node.ready.api}/peers/approve`, {
    method: "POST",
    headers: { "content-type": "application/json", authorization: `Bearer ${token}` },
    body: JSON.stringify({ public_key: formatPublicKey(peer.publicKey), name: "peer", permissions }),
  });
  assert.equal(response.status, 200, await response.text());
}

function sha256(bytes: Uint8Array): string {
  return createHash("sha256").update(bytes).digest("hex");
}
