/** Whoever was not let in learns one thing: that he was not let in. */
import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { connect } from "node:tls";
import { encodeBase32 } from "../../src/identity/base32.ts";
import { generateIdentity } from "@ark/node/identity";
import { MeshClient, type PeerAddress } from "@ark/node/transport";
import { FIXTURES, MODEL, TestNode } from "../mesh/test_node.ts";
import { headText, type RawRequest, signed, withFields } from "../transport/mesh_fixture.ts";

const QUESTION = JSON.stringify({
  model: MODEL,
  input: { kind: "chat", messages: [{ role: "user", content: "one two" }] },
  parameters: { max_tokens: 2 },
});

/** Everything that a node answers anywhere, tried where peers connect. */
const ENDPOINTS: readonly [method: "GET" | "POST", target: string, body: string][] = [
  ["GET", "/ark/v1/offer", ""],
  ["GET", "/ark/v1/offer?port=8911", ""],
  ["POST", "/ark/v1/infer", QUESTION],
  ["GET", `/ark/v1/models/${MODEL}`, ""],
  ["GET", "/v1/models", ""],
  ["POST", "/v1/chat/completions", JSON.stringify({ model: MODEL, messages: [{ role: "user", content: "one" }] })],
  ["GET", "/metrics", ""],
  ["GET", "/healthz", ""],
  ["GET", "/status", ""],
  ["GET", "/peers/discovered", ""],
  ["POST", "/peers/approve", "{}"],
  ["POST", "/arknet/peers/revoke", "{}"],
  ["POST", "/settings", `{"name":"show-hardware","value":true}`],
  ["GET", "/audit/export", ""],
  ["GET", "/", ""],
];

/** A request to one endpoint as one kind of stranger would send it. */
type Shape = (endpoint: typeof ENDPOINTS[number], node: TestNode) => RawRequest;

const stranger = generateIdentity();
const friend = generateIdentity();
const elsewhere = generateIdentity();

function by(signer = stranger, more: { to?: string; created?: number } = {}): Shape {
  return ([method, target, body], node) => signed(signer, { method, target, body, to: node.daemon.id, ...more });
}

/** The request with a part of what it says about its signature replaced. */
function spoilt(shape: Shape, changes: Record<string, (value: string) => string | null>): Shape {
  return (endpoint, node) => {
    const request = shape(endpoint, node);
    const values = request.fields.filter(([name]) => changes[name] !== undefined);
    return withFields(
      request,
      Object.fromEntries(values.map(([name, value]) => [name, changes[name]?.(value) ?? null])),
    );
  };
}

function withAuthorization(credential: (node: TestNode) => string): Shape {
  const unsigned = spoilt(by(), { "Signature-Input": () => null, Signature: () => null });
  return (endpoint, node) => {
    const request = unsigned(endpoint, node);
    return { ...request, fields: [...request.fields, ["Authorization", credential(node)]] };
  };
}

/** Id of the point that verifies a constant signature for any message wherever weak keys are let in. */
function weakId(): string {
  const key = new Uint8Array(32);
  key[0] = 1;
  const digest = createHash("sha256").update("ark-node-id/1").update(key).digest();
  return encodeBase32(key) + encodeBase32(digest.subarray(0, 5)).slice(0, 4);
}

const FORGED = `ark=:${btoa("\x01" + "\0".repeat(63))}:`;

const SHAPES: Record<string, Shape> = {
  "no signature": spoilt(by(), { "Signature-Input": () => null, Signature: () => null }),
  "no fields of ours": ([method, target, body]) => ({
    method,
    target,
    body,
    fields: [["Host", "node.ark.invalid"], ["Content-Length", String(body.length)]],
  }),
  "the admin token": withAuthorization((node) => `Bearer ${Deno.readTextFileSync(`${node.data}/admin.token`).trim()}`),
  "an API key": withAuthorization(() => "Bearer sk-ark-0123456789abcdef"),
  "a key that nobody approved": by(stranger),
  "a key that nobody approved, an hour ago": by(stranger, { created: Math.floor(Date.now() / 1_000) - 3_600 }),
  "an approved id and another key": spoilt(by(stranger), {
    "Signature-Input": (value) => value.replace(stranger.id, friend.id),
  }),
  "an approved key and a flipped bit": spoilt(by(friend), { "Signature": flipped }),
  "an approved key, for another node": by(friend, { to: elsewhere.id }),
  "an approved key, a changed field": spoilt(by(friend), { "Ark-Deadline": () => "5001" }),
  "an approved key, an older profile": spoilt(by(friend), {
    "Signature-Input": (value) => value.replace("ark-peer/1", "ark-peer/0"),
  }),
  "a weak key": spoilt(by(stranger), {
    "Signature-Input": (value) => value.replace(stranger.id, weakId()),
    "Signature": () => FORGED,
  }),
};

function flipped(signature: string): string {
  const bytes = Uint8Array.fromBase64(signature.slice(5, -1));
  bytes[40] = (bytes[40] ?? 0) ^ 1;
  return `ark=:${bytes.toBase64()}:`;
}

/** Sends a request from an address of the loopback network of its own, so that no limit of one source answers for it. */
function sendFrom(source: string, { hostname, port }: PeerAddress, { head, body }: { head: string; body: string }) {
  const { promise, resolve, reject } = Promise.withResolvers<string>();
  let text = "";
  const options = { rejectUnauthorized: false, servername: "node.ark.invalid", localAddress: source };
  const socket = connect({ host: hostname, port, ...options });
  socket.once("secureConnect", () => socket.write(head + body));
  socket.on("data", (chunk) => text += chunk);
  socket.once("error", reject);
  // A refusal closes the connection; whoever is let in by mistake would keep it for long.
  socket.setTimeout(5_000, () => socket.destroy());
  socket.once("close", () => resolve(text));
  return promise;
}

Deno.test("T01: 15 endpoints and 12 kinds of strangers: 180 equal refusals, and the worker has seen nothing", async () => {
  if (Deno.build.os !== "linux") {
    // deno-lint-ignore no-console
    console.log("Skipped: only Linux has more than one address on its loopback interface");
    return;
  }
  await using node = await TestNode.start({ name: "B", models: [FIXTURES] });
  await node.approve({ publicKey: `ed25519:${friend.publicKey.toBase64()}`, name: "friend" });
  const answers = new Map<string, string[]>();
  let sent = 0;
  for (const [row, endpoint] of ENDPOINTS.entries()) {
    const texts = await Promise.all(
      Object.entries(SHAPES).map(async ([what, shape], column) => {
        const request = shape(endpoint, node);
        const source = `127.0.${row + 1}.${column + 1}`;
        const text = await sendFrom(source, node.daemon.mesh, { head: headText(request), body: request.body });
        return [text, `${endpoint[0]} ${endpoint[1]} with ${what}`] as const;
      }),
    );
    for (const [text, what] of texts) answers.set(text, [...answers.get(text) ?? [], what]);
    sent += texts.length;
  }
  assert.equal(sent, 180);
  const summary = [...answers].map(([text, who]) => `${who.length} times, by ${who.slice(0, 3)}: ${text}`).join("\n\n");
  assert.equal(answers.size, 1, summary);
  const [text = ""] = answers.keys();
  assert.match(text, /^HTTP\/1\.1 401 /);
  assert.match(text, /"ark_unauthorized"/);
  assert.doesNotMatch(text, /arkling|date:|server:/i);
  assert.equal(node.workerLog(), "");

  // The very endpoint answers the one who was approved.
  await using client = new MeshClient({ identity: friend });
  const to = { id: node.daemon.id, addresses: [node.daemon.mesh] };
  const { status, body } = await client.request(to, { method: "GET", path: "/ark/v1/offer", deadlineMs: 5_000 });
  assert.equal(status, 200);
  assert.match(await new Response(body).text(), /arkling/);
});
