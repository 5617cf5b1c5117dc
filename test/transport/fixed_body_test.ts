import assert from "node:assert/strict";
import { type FixedBody, fixedResponse } from "@ark/node/transport";
import { TestMesh, until } from "./mesh_fixture.ts";

const CALL = { method: "GET", path: "/blob", deadlineMs: 60_000 } as const;

/** Bytes that differ everywhere. */
function someBytes(count: number): Uint8Array {
  const bytes = new Uint8Array(count);
  for (let at = 0; at < count; at += 65_536) crypto.getRandomValues(bytes.subarray(at, Math.min(count, at + 65_536)));
  return bytes;
}

/** A body in pieces, and how often and with what it was told that it is over. */
function bodyOf(bytes: Uint8Array, { piece = 100_000, length = bytes.length } = {}): FixedBody & { ends: boolean[] } {
  let at = 0;
  const ends: boolean[] = [];
  return {
    length,
    ends,
    next: () => Promise.resolve(at >= bytes.length ? null : bytes.subarray(at, at += piece)),
    over: (whole) => void ends.push(whole),
  };
}

function answering(body: FixedBody): Promise<TestMesh> {
  return TestMesh.start({
    handler: () => Promise.resolve(fixedResponse(body, { contentType: "application/octet-stream" })),
  });
}

Deno.test("fixedResponse() sends its bytes with their length, and MeshResponse.readInto() takes them whole", async () => {
  const bytes = someBytes(1_234_567);
  const bodies: (FixedBody & { ends: boolean[] })[] = [];
  await using mesh = await TestMesh.start({
    handler: () => {
      const body = bodyOf(bytes);
      bodies.push(body);
      return Promise.resolve(fixedResponse(body, { contentType: "application/octet-stream" }));
    },
  });
  await using client = mesh.client();
  for (let round = 0; round < 3; round++) {
    const response = await client.request(mesh.peer, CALL);
    assert.equal(response.headers.get("content-length"), "1234567");
    assert.equal(response.headers.get("transfer-encoding"), null);
    const into = new Uint8Array(bytes.length + 5);
    assert.equal(await response.readInto?.(into), bytes.length);
    assert.deepEqual(into.subarray(0, bytes.length), bytes);
    // The other ways to a body work, too.
    const streamed = await client.request(mesh.peer, CALL);
    assert.deepEqual(new Uint8Array(await new Response(streamed.body).arrayBuffer()), bytes);
  }
  await until(() => bodies.every(({ ends }) => ends.length > 0));
  assert.deepEqual(bodies.map(({ ends }) => ends), Array(6).fill([true]));
});

Deno.test("MeshResponse.readInto() takes a body in chunks, an empty one, and none that is longer than its buffer", async () => {
  const bytes = someBytes(300_000);
  await using mesh = await TestMesh.start({
    handler: (request) => Promise.resolve(new Response(request.url.includes("empty") ? null : bytes.slice())),
  });
  await using client = mesh.client();
  const into = new Uint8Array(bytes.length);
  assert.equal(await (await client.request(mesh.peer, CALL)).readInto?.(into), bytes.length);
  assert.deepEqual(into, bytes);
  const empty = await client.request(mesh.peer, { ...CALL, path: "/empty" });
  assert.equal(await empty.readInto?.(into), 0);
  const long = await client.request(mesh.peer, CALL);
  await assert.rejects(async () => await long.readInto?.(new Uint8Array(1_000)), { code: "unavailable" });
  // What went wrong took its connection with it.
  assert.equal(await (await client.request(mesh.peer, CALL)).readInto?.(into), bytes.length);
});

Deno.test("MeshResponse.readInto() refuses a length that is more than its buffer before it takes a byte", async () => {
  const body = bodyOf(someBytes(200_000));
  await using mesh = await answering(body);
  await using client = mesh.client();
  const response = await client.request(mesh.peer, CALL);
  await assert.rejects(async () => await response.readInto?.(new Uint8Array(199_999)), {
    message: /longer than it should be/,
  });
  await until(() => body.ends.length > 0);
});

Deno.test("A fixed body that must not go on cuts the connection, so that nobody takes its part for the whole", async () => {
  const bytes = someBytes(400_000);
  let given = 0;
  const ends: boolean[] = [];
  await using mesh = await answering({
    length: bytes.length,
    next: () =>
      given > 0 ? Promise.reject(new Error("Not any more")) : Promise.resolve(bytes.subarray(0, given += 100_000)),
    over: (whole) => void ends.push(whole),
  });
  await using client = mesh.client();
  const response = await client.request(mesh.peer, CALL);
  await assert.rejects(async () => await response.readInto?.(new Uint8Array(bytes.length)), { code: "unavailable" });
  assert.deepEqual(ends, [false]);
});

Deno.test("A fixed body with another length than it said is never complete", async () => {
  for (const length of [299_999, 300_001]) {
    const body = bodyOf(someBytes(300_000), { length });
    await using mesh = await answering(body);
    await using client = mesh.client();
    const response = await client.request(mesh.peer, CALL);
    await assert.rejects(async () => await response.readInto?.(new Uint8Array(400_000)), { code: "unavailable" });
    assert.deepEqual(body.ends, [false]);
  }
});

Deno.test("A fixed body whose caller leaves is over, and makes no more bytes", async () => {
  const piece = someBytes(65_536);
  let asked = 0;
  const ends: boolean[] = [];
  await using mesh = await answering({
    length: 1 << 30,
    next: () => Promise.resolve((asked++, piece)),
    over: (whole) => void ends.push(whole),
  });
  await using client = mesh.client();
  const leaves = new AbortController();
  const response = await client.request(mesh.peer, { ...CALL, signal: leaves.signal });
  const reading = assert.rejects(async () => await response.readInto?.(new Uint8Array(1 << 30)), { code: "cancelled" });
  await until(() => asked > 3);
  leaves.abort();
  await reading;
  await until(() => ends.length > 0);
  assert.deepEqual(ends, [false]);
});
