import assert from "node:assert/strict";
import { generateIdentity, type Identity } from "@ark/node/identity";
import type { Caller, MeshClient } from "@ark/node/transport";
import { requestText, statusOf, TestMesh, type TestMeshOptions } from "./mesh_fixture.ts";

const PATH = "/ark/v1/meet";

interface Meeting {
  mesh: TestMesh;
  heard: { caller: Caller; body: string }[];
}

async function meeting(options: TestMeshOptions = {}): Promise<Meeting & AsyncDisposable> {
  const heard: Meeting["heard"] = [];
  const mesh = await TestMesh.start({
    introductions: {
      paths: new Set([PATH]),
      handler: async (request, caller) => {
        heard.push({ caller, body: await request.text() });
        return Response.json({ heard: heard.length });
      },
    },
    ...options,
  });
  return { mesh, heard, [Symbol.asyncDispose]: () => mesh[Symbol.asyncDispose]() };
}

function post(client: MeshClient, mesh: TestMesh, { path = PATH, body = "hello" } = {}) {
  return client.request(mesh.peer, { method: "POST", path, body, deadlineMs: 60_000 });
}

Deno.test("listenMesh() hears a stranger, a revoked key and a friend alike where nodes introduce themselves", async () => {
  await using open = await meeting();
  const { mesh, heard } = open;
  const signers: Identity[] = [generateIdentity(), mesh.rita, mesh.alice];
  for (const identity of signers) {
    await using client = mesh.client({ identity });
    const answer = await post(client, mesh);
    assert.equal(answer.status, 200);
    await new Response(answer.body).text();
  }
  assert.deepEqual(heard.map(({ caller }) => caller.nodeId), signers.map(({ id }) => id));
  assert.deepEqual(mesh.handled, []);
});

Deno.test("listenMesh() opens nothing but the very paths of introductions to strangers", async () => {
  await using open = await meeting();
  const { mesh, heard } = open;
  const stranger = generateIdentity();
  for (
    const path of [`${PATH}/`, `${PATH}/more`, "/ark/v1", "/ark/v1/Meet", `//${PATH}`, `${PATH}%2f`, "/ark/v1/offer"]
  ) {
    assert.equal(statusOf(await mesh.exchange(requestText(mesh.request({ target: path }, stranger)))), 401, path);
  }
  assert.deepEqual(heard, []);
});

Deno.test("listenMesh() takes an introduction once, and only with a nonce of its own", async () => {
  // What is asked without a client ends when the listener lets go of the connection.
  await using open = await meeting({ limits: { keepAliveMs: 100, checkMs: 50 } });
  const { mesh, heard } = open;
  const stranger = generateIdentity();
  using connection = await mesh.connect();
  await connection.send(requestText(mesh.request({ target: PATH }, stranger)));
  const refusal = await connection.readTo(/nonce of Ark-Nonce"}}/);
  assert.equal(statusOf(refusal), 401);
  const serverNonce = refusal.match(/ark-nonce: (\S+)/i)?.[1] ?? "";
  const text = requestText(mesh.request({ target: PATH, nonce: `${serverNonce}.AAAAAAAAAAAAAAAAAAAAAA` }, stranger));
  assert.equal(statusOf(await mesh.exchange(text)), 200);
  assert.equal(statusOf(await mesh.exchange(text)), 401);
  assert.equal(heard.length, 1);
});

Deno.test("listenMesh() limits what strangers can make it read and remember", async () => {
  await using open = await meeting({ limits: { introductionBytes: 100, introducedKeys: 2, introductionsPerKey: 3 } });
  const { mesh } = open;
  const statuses: number[] = [];
  for (let stranger = 0; stranger < 3; stranger++) {
    await using client = mesh.client({ identity: generateIdentity() });
    statuses.push((await post(client, mesh)).status);
  }
  assert.deepEqual(statuses, [200, 200, 429]);
  await using alice = mesh.client();
  assert.equal((await post(alice, mesh, { path: "/ark/v1/offer", body: "x".repeat(101) })).status, 200);
  await using again = await meeting({ limits: { introductionBytes: 100 } });
  await using stranger = again.mesh.client({ identity: generateIdentity() });
  assert.equal((await post(stranger, again.mesh, { body: "x".repeat(101) })).status, 413);
  assert.equal((await post(stranger, again.mesh, { body: "x".repeat(100) })).status, 200);
});
