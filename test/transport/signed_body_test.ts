import assert from "node:assert/strict";
import { setImmediate } from "node:timers";
import { type MeshRequest, signedBody } from "@ark/node/transport";
import { headText, requestText, statusOf, TestMesh } from "./mesh_fixture.ts";

const DONE = /0\r\n\r\n$/;

/** Answers with the body, read without a stream. */
async function echo(request: MeshRequest): Promise<Response> {
  const body = signedBody(request) ?? assert.fail("There is no body");
  assert.equal(signedBody(request), null, "It can be had twice");
  return Response.json({ said: new TextDecoder().decode(await body) });
}

Deno.test("signedBody() gives the whole body, in however many pieces it comes, and the connection goes on", async () => {
  await using mesh = await TestMesh.start({ handler: echo });
  using connection = await mesh.connect();
  for (const length of [1, 2, 700, 40_000, 900_000]) {
    const body = "xyz".repeat(length).slice(0, length);
    const request = mesh.request({ body });
    const text = requestText(request);
    const head = headText(request).length;
    // Together with the head; behind it; and cut in the midst of both.
    for (const cuts of [[], [head], [head - 3, head + (length >> 1)]]) {
      const again = requestText(mesh.request({ body }));
      let from = 0;
      for (const cut of [...cuts, again.length]) {
        // Read alone: what is sent next does not come before.
        const sent = connection.send(again.slice(from, cut));
        from = cut;
        if (cut < again.length) await sent;
      }
      const answer = await connection.readTo(DONE);
      assert.equal(statusOf(answer), 200);
      assert.ok(answer.includes(`${JSON.stringify({ said: body }).slice(0, 60)}`), `${length} bytes, cut at ${cuts}`);
    }
    assert.equal(text.length, head + length);
  }
  assert.equal(mesh.handled.length, 15);
});

Deno.test("signedBody() gives the whole body where all its pieces lie there before it is asked for", async () => {
  await using mesh = await TestMesh.start({
    handler: async (request) => {
      // So many turns of the event loop that what was sent has come.
      for (let turn = 0; turn < 300; turn++) await new Promise((resolve) => setImmediate(resolve));
      return await echo(request);
    },
  });
  using connection = await mesh.connect();
  for (const length of [3, 15_000, 60_000, 120_000]) {
    const body = "xyz".repeat(length).slice(0, length);
    const text = requestText(mesh.request({ body }));
    const middle = text.length - (length >> 1);
    await connection.send(text.slice(0, middle));
    await connection.send(text.slice(middle));
    const answer = await connection.readTo(DONE);
    assert.equal(statusOf(answer), 200, `${length} bytes`);
    assert.ok(answer.includes(JSON.stringify({ said: body }).slice(0, 60)));
  }
});

Deno.test("signedBody() rejects a body that is not the signed one, and the caller gets the answer of everybody else", async () => {
  let seen: unknown = null;
  await using mesh = await TestMesh.start({
    handler: async (request) => {
      await signedBody(request)?.catch((error) => seen = error);
      return new Response("never sent");
    },
  });
  const request = mesh.request({ body: `{"question":1}` });
  for (const forged of [`{"question":2}`, `{"question":1 `]) {
    const answer = await mesh.exchange(headText({ ...request, ...mesh.request({ body: `{"question":1}` }) }) + forged);
    assert.equal((seen as { code?: string } | null)?.code, "unauthenticated");
    assert.equal(answer, await mesh.exchange("GET / HTTP/1.1\r\nHost: x\r\n\r\n"));
  }
});

Deno.test("signedBody() is null for a request that came by another way, and for one whose body is read as a stream", async () => {
  assert.equal(signedBody(new Request("http://localhost/", { method: "POST", body: "x" })), null);
  await using mesh = await TestMesh.start({
    handler: async (request) => {
      const text = await request.text();
      return Response.json({ text, again: signedBody(request) });
    },
  });
  using connection = await mesh.connect();
  await connection.send(requestText(mesh.request({ body: "a question" })));
  assert.ok((await connection.readTo(DONE)).includes(`{"text":"a question","again":null}`));
});
