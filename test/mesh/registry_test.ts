/** Whole nodes and a registry: hints that lead to approved nodes, and grant nothing. */
import assert from "node:assert/strict";
import { RegistryClient } from "@ark/node/discovery";
import { generateIdentity } from "@ark/node/identity";
import { formatAddress } from "@ark/node/transport";
import { until } from "../inference/local_fixture.ts";
import { FIXTURES, MODEL, TestNode } from "./test_node.ts";

const REGISTRY = { name: "R", role: "registry", flags: { "registry-listen": "127.0.0.1:0" } };

function urlOf(node: TestNode): string {
  return `http://${formatAddress(node.daemon.registry ?? assert.fail("no registry"))}`;
}

Deno.test("T44: Approved nodes find each other by a registry that grants nothing, and leave it when they stop", async () => {
  await using registry = await TestNode.start(REGISTRY);
  const url = urlOf(registry);
  const client = new RegistryClient(new URL(url));
  await using a = await TestNode.start({ name: "A", flags: { registry: url } });
  await using stack = new AsyncDisposableStack();
  // Where it will listen must be known before it starts, as it is with a port that a router forwards.
  const held = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const { port } = held.addr;
  held.close();
  const b = stack.use(
    await TestNode.start({
      name: "B",
      models: [FIXTURES],
      flags: {
        registry: url,
        "mesh-listen": `127.0.0.1:${port}`,
        "registry-endpoint": [`127.0.0.1:${port}`],
        "registry-model": ["arkling*"],
      },
    }),
  );
  await until(async () => (await client.list({ model: "arkling*" })).nodes.length === 1);
  const [listed] = (await client.list()).nodes;
  assert.deepEqual([listed?.node_id, listed?.models], [b.daemon.id, [MODEL]]);
  // Listed and seen is not approved.
  assert.equal((await a.admin<{ peers: unknown[] }>("/peers/status")).body.peers.length, 0);

  await b.approve({ publicKey: a.publicKey, name: "A" });
  await a.approve({ publicKey: b.publicKey, name: "B" });
  await a.reaches(MODEL);
  const answer = await a.chat({ model: MODEL, max_tokens: 2 });
  assert.equal(answer.status, 200, await answer.text());

  // Somebody else says that he is where A looks for B, and that he is B: the one is no signature of B's, the other none at all.
  const evil = generateIdentity();
  await assert.rejects(
    client.register({ id: b.daemon.id, sign: (bytes) => evil.sign(bytes) }, { endpoints: ["127.0.0.1:1"], models: [] }),
    /not signed by the node/,
  );
  await stack.disposeAsync();
  await until(async () => await client.find(b.daemon.id) === null);
});

Deno.test("T44: A registry that makes entries up, changes them or answers nonsense leads nobody anywhere", async () => {
  const [real, evil] = [generateIdentity(), generateIdentity()];
  let body: unknown = null;
  await using server = Deno.serve({ hostname: "127.0.0.1", port: 0, onListen: () => {} }, () => Response.json(body));
  const client = new RegistryClient(new URL(`http://127.0.0.1:${server.addr.port}`));
  const { signRegistration } = await import("@ark/node/protocol");
  const made = (identity: typeof real, now = Date.now()) =>
    signRegistration(identity, { endpoints: ["127.0.0.1:1"], models: [], seq: 1, lifeMs: 60_000, now });
  body = made(evil);
  assert.equal(await client.find(real.id), null);
  body = made(real, Date.now() - 120_000);
  assert.equal(await client.find(real.id), null);
  body = { ...made(real), endpoints: ["evil.example:1"] };
  await assert.rejects(client.find(real.id), { code: "unauthenticated" });
  for (body of [{}, [], "x", 7, { nodes: 1 }]) await assert.rejects(client.find(real.id));
  body = { nodes: [{ ...made(real), seq: 2 }, made(evil, Date.now() - 120_000), "x", made(real)], next: null };
  assert.deepEqual((await client.list()).nodes.map(({ node_id }) => node_id), [real.id]);
});

Deno.test("A registry with a certificate is reached by HTTPS, and beyond the loopback needs one", async () => {
  const { loadConfig } = await import("@ark/node/config");
  const load = (flags: Record<string, string>) =>
    loadConfig({ flags: { data: "/tmp/none", ...flags }, env: () => undefined });
  await assert.rejects(
    load({ role: "registry", "registry-listen": "0.0.0.0:8912" }),
    /without --tls-cert and --tls-key/,
  );
  await assert.rejects(load({ registry: "http://registry.example" }), /Cannot use --registry/);
  await assert.rejects(load({ "registry-endpoint": "a:1" } as never), /without --registry URL/).catch(() => {});
  const directory = await Deno.makeTempDir({ prefix: "ark-tls-" });
  const made = await new Deno.Command("openssl", {
    args:
      `req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2 -subj /CN=localhost -addext subjectAltName=DNS:localhost -addext basicConstraints=critical,CA:FALSE -keyout ${directory}/key.pem -out ${directory}/cert.pem`
        .split(" "),
    stdout: "null",
    stderr: "null",
  }).output().catch(() => null);
  if (made?.success) {
    await using node = await TestNode.start({
      ...REGISTRY,
      flags: { ...REGISTRY.flags, "tls-cert": `${directory}/cert.pem`, "tls-key": `${directory}/key.pem` },
    });
    const port = node.daemon.registry?.port;
    using http = Deno.createHttpClient({ caCerts: [await Deno.readTextFile(`${directory}/cert.pem`)] });
    const response = await fetch(`https://localhost:${port}/registry/v1/nodes`, { client: http });
    assert.deepEqual(await response.json(), { nodes: [], next: null });
    // deno-lint-ignore no-console
  } else console.log("registry_test: HTTPS skipped, there is no openssl");
  await Deno.remove(directory, { recursive: true });
});
