import assert from "node:assert/strict";
import { createSignatureSync } from "http-message-sig";
import { generateIdentity, type Identity } from "@ark/node/identity";
import type { MeshClient } from "@ark/node/transport";
import { type RawRequest, requestText, statusOf, TestMesh, withFields } from "./mesh_fixture.ts";
import { inputForms, signatureForms } from "./signature_forms.ts";

const BODY = { body: `{"question":1}`, target: "/ark/v1/infer?x=1" };
// deno-fmt-ignore
const COMPONENTS = [
  "@method", "@authority", "@path", "@query", "content-type", "content-length", "content-digest", "ark-to", "ark-deadline",
];

function fieldOf(request: RawRequest, name: string): string {
  return request.fields.find(([one]) => one === name)?.[1] ?? assert.fail(name);
}

/** The request with a true signature of its sender over other components, or with other parameters. */
function resigned(
  request: RawRequest,
  signer: Identity,
  { components = COMPONENTS, label = "ark", ...changes }: {
    components?: string[];
    label?: string;
    [parameter: string]: unknown;
  },
): RawRequest {
  const fields = request.fields.filter(([name]) => !name.startsWith("Signature"));
  const [, created] = fieldOf(request, "Signature-Input").match(/created=(\d+)/) ?? [];
  const [, nonce = ""] = fieldOf(request, "Signature-Input").match(/nonce="([^"]+)"/) ?? [];
  const { signature, signatureInput } = createSignatureSync({
    kind: "request",
    method: request.method,
    targetUri: `https://node.ark.invalid${request.target}`,
    fields: fields.map(([name, value]) => ({ name, value })),
  }, {
    label,
    components,
    parameters: {
      created: Number(created),
      expires: Number(created) + 60,
      nonce,
      keyid: signer.id,
      alg: "ed25519",
      tag: "ark-peer/1",
      ...changes,
    },
    signer: { algorithm: String(changes.alg ?? "ed25519"), sign: (data) => signer.sign(data) },
  });
  return { ...request, fields: [...fields, ["Signature-Input", signatureInput], ["Signature", signature]] };
}

/** The request with a field more, at the end or before all others. */
function withMore(request: RawRequest, field: [string, string], where: "first" | "last"): RawRequest {
  return { ...request, fields: where === "first" ? [field, ...request.fields] : [...request.fields, field] };
}

/** Tricks of one who holds an approved key, and of those who do not: what goes on the wire, by what is tried. */
function tricks(mesh: TestMesh): Map<string, string> {
  const { alice } = mesh;
  const mallory = generateIdentity();
  const table = new Map<string, string>();
  const add = (what: string, request: RawRequest | string) => {
    assert.ok(!table.has(what), what);
    table.set(what, typeof request === "string" ? request : requestText(request));
  };
  const fresh = () => mesh.request(BODY);
  const first = fresh();
  const [, nonce = ""] = fieldOf(first, "Signature-Input").match(/nonce="([^"]+)"/) ?? [];
  for (
    const [what, form] of Object.entries(inputForms(fieldOf(first, "Signature-Input"), { nonce, keyId: alice.id }))
  ) {
    // White space around a value belongs to HTTP and not to the value.
    if (!what.startsWith("space at the ")) add(what, withFields(first, { "Signature-Input": form }));
  }
  for (const [what, form] of Object.entries(signatureForms(fieldOf(first, "Signature")))) {
    add(`signature: ${what}`, withFields(first, { Signature: form }));
  }
  // Signed truly, by an approved key, but not what the profile says.
  for (const left of COMPONENTS) {
    const components = COMPONENTS.filter((one) => one !== left);
    add(`signed without ${left}`, resigned(fresh(), alice, { components }));
  }
  add("signed in the reverse order", resigned(fresh(), alice, { components: COMPONENTS.toReversed() }));
  add("signed over nothing", resigned(fresh(), alice, { components: [] }));
  add("signed over the host as well", resigned(fresh(), alice, { components: [...COMPONENTS, "host"] }));
  add("signed under another label", resigned(fresh(), alice, { label: "sig1" }));
  add("signed with the tag of version 0", resigned(fresh(), alice, { tag: "ark-peer/0" }));
  add("signed with the tag of version 2", resigned(fresh(), alice, { tag: "ark-peer/2" }));
  add("signed with the tag of answers", resigned(fresh(), alice, { tag: "ark-peer-resp/1" }));
  add("signed for an hour", resigned(fresh(), alice, { expires: mesh.clock.created + 3_600 }));
  add("signed in the name of another", resigned(fresh(), mallory, { keyid: alice.id }));
  add("signed by an unknown key", resigned(fresh(), mallory, {}));
  add("signed with another algorithm's name", resigned(fresh(), alice, { alg: "hmac-sha256" }));
  const huge = "x".repeat(7_000);
  add("a huge parameter", withFields(first, { "Signature-Input": `${fieldOf(first, "Signature-Input")};x="${huge}"` }));
  for (const where of ["first", "last"] as const) {
    for (
      const name of ["Ark-To", "Ark-Deadline", "Content-Digest", "Content-Type", "Signature", "Signature-Input", "Host"]
    ) {
      const request = fresh();
      add(`a second ${name}, ${where}`, withMore(request, [name, fieldOf(request, name)], where));
    }
  }
  const smuggled = fresh();
  add("a chunked body", withMore(smuggled, ["Transfer-Encoding", "chunked"], "last"));
  add("an encoded body", withMore(smuggled, ["Content-Encoding", "gzip"], "last"));
  add("a digest in a trailer", withMore(smuggled, ["Trailer", "Content-Digest"], "last"));
  add("a folded field", requestText(smuggled).replace("Ark-To: ", "Ark-To:\r\n "));
  add("HTTP/1.0", requestText(smuggled).replace("HTTP/1.1", "HTTP/1.0"));
  return table;
}

Deno.test("T06: None of 60 and more tricks with signatures gets a request to the handler", async () => {
  await using mesh = await TestMesh.start();
  const table = tricks(mesh);
  assert.ok(table.size >= 60, String(table.size));
  await Promise.all([...table].map(async ([what, text]) => {
    const answer = await mesh.exchange(text);
    assert.ok(answer === "" || [400, 401, 405, 431].includes(statusOf(answer)), `${what}: ${answer}`);
  }));
  assert.deepEqual(mesh.handled, []);
  // The same way of signing, with nothing wrong, is let in: the tricks fail for what is wrong with them.
  const honest = resigned(mesh.request(BODY), mesh.alice, {});
  using connection = await mesh.connect();
  await connection.send(requestText(honest));
  assert.equal(statusOf(await connection.readTo(/0\r\n\r\n$/)), 200);
});

Deno.test("T50: A request under the tag of another version of the profile is refused", async () => {
  await using mesh = await TestMesh.start();
  for (const tag of ["ark-peer/0", "ark-peer", "ark-peer/1.1", "ark-peer/2", "ARK-PEER/1", ""]) {
    const answer = await mesh.exchange(requestText(resigned(mesh.request(BODY), mesh.alice, { tag })));
    assert.match(answer, /^HTTP\/1\.1 401 .*"ark_unauthorized"/s, tag);
  }
  assert.deepEqual(mesh.handled, []);
});

Deno.test("T50: Nothing of a peer makes a client fall back: an answer under another tag is no answer", async () => {
  await using mesh = await TestMesh.start({
    handler: () =>
      Promise.resolve(
        new Response("{}", { headers: { "signature-input": 'ark=();tag="ark-peer-resp/0"', "ark-version": "0" } }),
      ),
  });
  await using client: MeshClient = mesh.client();
  // The listener signs for itself: what a handler says about signatures does not get out.
  const response = await client.request(mesh.peer, { method: "GET", path: "/", deadlineMs: 30_000 });
  assert.match(response.headers.get("signature-input") ?? "", /tag="ark-peer-resp\/1"$/);
  await response.body.cancel();
});
