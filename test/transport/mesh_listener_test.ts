import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { generateIdentity } from "@ark/node/identity";
import { listenMesh, type MeshRequest } from "@ark/node/transport";
import { verifyResponse } from "../../src/transport/signed_response.ts";
import {
  aborted,
  headText,
  type RawConnection,
  requestText,
  signed,
  statusOf,
  TestMesh,
  until,
  withFields,
} from "./mesh_fixture.ts";

const POST = { body: `{"question":1}` };

/** Head of an answer on the wire, as `verifyResponse` takes it. */
function headOf(text: string): { status: number; headers: Headers } {
  const [head = ""] = text.split("\r\n\r\n");
  const fields = head.split("\r\n").slice(1).map((line): [string, string] => {
    const at = line.indexOf(":");
    return [line.slice(0, at), line.slice(at + 1).trim()];
  });
  return { status: statusOf(text), headers: new Headers(fields) };
}

function signatureOf(request: { fields: [string, string][] }): Uint8Array<ArrayBuffer> {
  const field = request.fields.find(([name]) => name === "Signature")?.[1] ?? "";
  return Uint8Array.fromBase64(field.slice("ark=:".length, -1));
}

const DONE = /0\r\n\r\n$/;

Deno.test("listenMesh() hands a signed request of an approved key to the handler, and signs the answer", async () => {
  await using mesh = await TestMesh.start();
  using connection = await mesh.connect();
  const request = mesh.request({ ...POST, target: "/ark/v1/infer?x=1" });
  await connection.send(requestText(request));
  const answer = await connection.readTo(DONE);
  assert.equal(statusOf(answer), 200);
  assert.ok(answer.includes(JSON.stringify({ path: "/ark/v1/infer", body: POST.body })));
  const expected = { id: mesh.bob.id, key: mesh.bob.publicKey, request: signatureOf(request) };
  assert.ok(verifyResponse(headOf(answer), expected));
  const [{ caller } = assert.fail("Not handled")] = mesh.handled;
  assert.deepEqual(caller, {
    nodeId: mesh.alice.id,
    publicKey: mesh.alice.publicKey,
    signature: createHash("sha256").update(signatureOf(request)).digest("hex"),
    remote: "127.0.0.1",
    deadlineMs: 5_000,
  });
  assert.deepEqual(mesh.refusals, []);
});

Deno.test("listenMesh() shows the handler only what the signature covers", async () => {
  const seen: Record<string, string>[] = [];
  await using mesh = await TestMesh.start({
    handler: (request) => {
      seen.push(Object.fromEntries(request.headers));
      return Promise.resolve(new Response(null, { status: 204 }));
    },
  });
  using connection = await mesh.connect();
  const request = mesh.request();
  request.fields.push(["Cookie", "a=b"], ["X-Forwarded-For", "127.0.0.1"], ["Authorization", "Bearer x"]);
  await connection.send(requestText(request));
  await connection.readTo(/\r\n\r\n/);
  assert.deepEqual(seen, [{ "content-type": "application/json", "content-length": "0", "ark-deadline": "5000" }]);
});

Deno.test("listenMesh() gives everybody who is not proven the same bytes, and the handler hears of nobody", async () => {
  await using mesh = await TestMesh.start();
  const { alice, bob } = mesh;
  const mallory = generateIdentity();
  const good = mesh.request(POST);
  const forged = mesh.request(POST, mallory);
  const inAliceName = withFields(forged, {
    "Signature-Input": (forged.fields.find(([name]) => name === "Signature-Input")?.[1] ?? "")
      .replace(mallory.id, alice.id),
  });
  const senders: Record<string, string> = {
    "no signature, no body": "GET /ark/v1/offer HTTP/1.1\r\nHost: node.ark.invalid\r\n\r\n",
    "no signature": requestText(withFields(good, { "Signature-Input": null, Signature: null })),
    "no signature and chunks": "POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nx\r\n0\r\n\r\n",
    "no host": requestText(withFields(good, { Host: null })),
    "another host": requestText(withFields(good, { Host: "example.org" })),
    "another path": requestText({ ...good, target: "/ark/v1/other" }),
    "a path that does not exist": requestText(mesh.request({ target: "/nothing" }, mallory)),
    "an unknown key": requestText(forged),
    "an unknown key, no body": requestText(mesh.request({}, mallory)),
    "somebody else's key": requestText(inAliceName),
    "a signature of somebody else": requestText(
      withFields(good, { Signature: forged.fields.find(([name]) => name === "Signature")?.[1] ?? "" }),
    ),
    "an id without a key": requestText(withFields(good, {
      "Signature-Input": (good.fields.find(([name]) => name === "Signature-Input")?.[1] ?? "")
        .replace(alice.id, "a".repeat(56)),
    })),
    "a request to somebody else": requestText(signed(alice, { to: mallory.id, created: mesh.clock.created, ...POST })),
    "an unknown key with a wrong clock": requestText(mesh.request({ created: 1 }, mallory)),
    "an unknown key with too large a body": headText(mesh.request({ contentLength: 9_999_999 }, mallory)),
    "an unknown key that repeats itself": requestText(forged),
    "our own key": requestText(mesh.request(POST, bob)),
    "a digest that was not signed": requestText(withFields(good, { "Content-Digest": `sha-256=:${"A".repeat(43)}=:` })),
    "a body that was not signed": headText(good) + POST.body.replace("1", "2"),
    "a body of an unknown key that was not signed": headText(forged) + POST.body.replace("1", "2"),
    "an obsolete fold": requestText(good).replace(";created", "\r\n ;created"),
  };
  const answers = new Map<string, string>();
  for (const [what, text] of Object.entries(senders)) answers.set(what, await mesh.exchange(text));
  const uniform = answers.get("no signature") ?? "";
  assert.equal(statusOf(uniform), 401);
  assert.match(uniform, /\r\n\r\n\{"error":\{"code":"ark_unauthorized","message":"[^"]+"\}\}$/);
  assert.doesNotMatch(uniform, /date|signature|ark-/i);
  for (const [what, answer] of answers) {
    // What is no request of a peer in any reading may be hung up on, too.
    if (what === "an obsolete fold" || what === "no signature and chunks") {
      assert.ok(answer === "" || answer === uniform, what);
    } else assert.equal(answer, uniform, what);
  }
  // The one with a forged body was Alice's own; its handler failed when it wanted the body.
  assert.deepEqual(mesh.handled.map(({ caller }) => caller.nodeId), [alice.id]);
});

Deno.test("listenMesh() refuses before it has seen anything of the body", async () => {
  await using mesh = await TestMesh.start();
  for (const signer of [mesh.alice, mesh.rita, generateIdentity()]) {
    using connection = await mesh.connect();
    const request = withFields(mesh.request(POST, signer), signer === mesh.alice ? { "Ark-Deadline": "7" } : {});
    await connection.send(headText(request));
    assert.match(await connection.readTo(/\}\}$/), /^HTTP\/1\.1 40[13]/);
  }
  assert.deepEqual(mesh.handled, []);
});

Deno.test("listenMesh() tells a revoked key so, and only who holds the key", async () => {
  await using mesh = await TestMesh.start();
  const request = mesh.request(POST, mesh.rita);
  const answer = await mesh.exchange(requestText(request));
  assert.equal(statusOf(answer), 403);
  assert.match(answer, /"ark_revoked"/);
  const expected = { id: mesh.bob.id, key: mesh.bob.publicKey, request: signatureOf(request) };
  assert.ok(verifyResponse(headOf(answer), expected));
  const other = await mesh.exchange(requestText({ ...request, target: "/other" }));
  assert.equal(statusOf(other), 401);
  assert.deepEqual(mesh.refusals, [
    { code: "revoked", remote: "127.0.0.1", nodeId: mesh.rita.id },
    { code: "unauthenticated", remote: "127.0.0.1", nodeId: null },
  ]);
  assert.deepEqual(mesh.handled, []);
});

Deno.test("listenMesh() refuses a request that it has seen, on the same connection and on others, again and again", async () => {
  await using mesh = await TestMesh.start();
  const text = requestText(mesh.request(POST));
  using connection = await mesh.connect();
  await connection.send(text);
  await connection.readTo(DONE);
  await connection.send(text);
  assert.match(await connection.readToEnd(), /^HTTP\/1\.1 401 .*"ark_replay"/s);
  const answers = await Promise.all(Array.from({ length: 8 }, () => mesh.exchange(text)));
  for (const answer of answers) assert.match(answer, /"ark_replay"/);
  assert.equal(mesh.handled.length, 1);
});

Deno.test("listenMesh() serves one of many copies that come at the same time", async () => {
  await using mesh = await TestMesh.start();
  const text = requestText(mesh.request(POST));
  const connections = await Promise.all(Array.from({ length: 24 }, () => mesh.connect()));
  try {
    const answers = await Promise.all(connections.map(async (connection) => {
      await connection.send(text);
      return statusOf(await connection.readTo(/\r\n\r\n/));
    }));
    assert.equal(answers.filter((status) => status === 200).length, 1);
    assert.equal(answers.filter((status) => status === 401).length, 23);
  } finally {
    for (const connection of connections) connection[Symbol.dispose]();
  }
  assert.equal(mesh.handled.length, 1);
});

Deno.test("listenMesh() gives a known caller with a wrong clock a nonce, with which it is let in", async () => {
  await using mesh = await TestMesh.start();
  using connection = await mesh.connect();
  const created = mesh.clock.created - 3_600;
  await connection.send(requestText(mesh.request({ ...POST, created })));
  const refusal = await connection.readTo(/\}\}$/);
  assert.match(refusal, /^HTTP\/1\.1 401 .*"ark_clock"/s);
  const { headers } = headOf(refusal);
  assert.equal(Date.parse(headers.get("date") ?? "") / 1_000, mesh.clock.created);
  const nonce = `${headers.get("ark-nonce")}.${"A".repeat(22)}`;
  // The connection was kept.
  await connection.send(requestText(mesh.request({ ...POST, created, nonce })));
  assert.equal(statusOf(await connection.readTo(DONE)), 200);
  assert.equal(mesh.handled.length, 1);
});

Deno.test("listenMesh() insists on its nonces for the first two minutes, also from those whose clock is right", async () => {
  await using mesh = await TestMesh.start({ young: true });
  using connection = await mesh.connect();
  await connection.send(requestText(mesh.request()));
  assert.match(await connection.readTo(/\}\}$/), /"ark_clock"/);
  mesh.clock.pass(121);
  await connection.send(requestText(mesh.request()));
  assert.equal(statusOf(await connection.readTo(DONE)), 200);
});

Deno.test("listenMesh() tells of a knock of an unknown key, once in five seconds for each", async () => {
  await using mesh = await TestMesh.start();
  const [carol, dave] = [generateIdentity(), generateIdentity()];
  const knock = (signer = carol) => mesh.exchange(requestText(mesh.request({ target: "/ark/v1/knock" }, signer)));
  await knock();
  await knock();
  await knock(dave);
  assert.deepEqual(mesh.knocks.map(({ caller }) => caller.nodeId), [carol.id, dave.id]);
  assert.equal(mesh.knocks[0]?.url.pathname, "/ark/v1/knock");
  assert.equal(mesh.knocks[0]?.caller.remote, "127.0.0.1");
  mesh.clock.pass(5);
  await knock();
  assert.equal(mesh.knocks.length, 3);
  // No knock: known keys, and whoever cannot sign for the key that he names.
  await mesh.exchange(requestText(mesh.request({}, mesh.rita)));
  await mesh.exchange(requestText(withFields(mesh.request({}, generateIdentity()), { "Ark-Deadline": "1" })));
  assert.equal(mesh.knocks.length, 3);
  assert.deepEqual(mesh.handled, []);
});

Deno.test("listenMesh() asks for the standing of a key at every request", async () => {
  let standing: "approved" | "revoked" = "approved";
  await using mesh = await TestMesh.start({ standing: () => standing });
  using connection = await mesh.connect();
  await connection.send(requestText(mesh.request()));
  assert.equal(statusOf(await connection.readTo(DONE)), 200);
  standing = "revoked";
  await connection.send(requestText(mesh.request()));
  assert.equal(statusOf(await connection.readToEnd()), 403);
});

Deno.test("listenMesh() keeps a connection for many requests", async () => {
  await using mesh = await TestMesh.start();
  using connection = await mesh.connect();
  for (let i = 0; i < 50; i++) {
    await connection.send(requestText(mesh.request({ body: "x".repeat(i) })));
    assert.equal(statusOf(await connection.readTo(DONE)), 200);
  }
  assert.equal(mesh.handled.length, 50);
});

Deno.test("listenMesh() reads a request that comes byte by byte, and ends a connection with the answer where asked to", async () => {
  await using mesh = await TestMesh.start();
  using connection = await mesh.connect();
  for (const character of requestText(mesh.request(POST))) await connection.send(character);
  assert.match(await connection.readTo(DONE), /question/);
  const request = mesh.request(POST);
  request.fields.push(["Connection", "close"]);
  await connection.send(requestText(request));
  const answer = await connection.readToEnd();
  assert.match(answer, /^connection: close\r$/m);
  assert.match(answer, DONE);
});

Deno.test("listenMesh() takes a caller that says no more for one that has left", async () => {
  await using mesh = await TestMesh.start({ handler: patient });
  using connection = await mesh.connect();
  await connection.send(requestText(mesh.request()));
  await until(() => mesh.handled.length === 1);
  await connection.closeWrite();
  await aborted(mesh.handled[0]?.signal ?? assert.fail());
  assert.equal(await connection.readToEnd(), "");
  assert.deepEqual(mesh.refusals, []);
});

Deno.test("listenMesh() keeps a connection when the handler does not want the body", async () => {
  for (const unwanted of ["left", "cancelled"]) {
    await using mesh = await TestMesh.start({
      handler: async (request) => {
        if (unwanted === "cancelled") await request.body?.cancel();
        return new Response("no, thanks");
      },
    });
    using connection = await mesh.connect();
    for (let i = 0; i < 3; i++) {
      const sent = connection.send(requestText(mesh.request({ body: "x".repeat(900_000) })));
      assert.equal(statusOf(await connection.readTo(DONE)), 200);
      assert.ok(await sent);
    }
    assert.equal(mesh.handled.length, 3);
  }
});

Deno.test("listenMesh() refuses a body that is larger than it takes, without reading it", async () => {
  await using mesh = await TestMesh.start({ limits: { bodyBytes: 100 } });
  using connection = await mesh.connect();
  await connection.send(headText(mesh.request({ body: "x".repeat(101) })));
  assert.match(await connection.readTo(/\}\}$/), /^HTTP\/1\.1 413 .*"ark_too_large"/s);
  assert.deepEqual(mesh.handled, []);
  using other = await mesh.connect();
  await other.send(requestText(mesh.request({ body: "x".repeat(100) })));
  assert.equal(statusOf(await other.readTo(DONE)), 200);
});

Deno.test("listenMesh() says busy when it remembers too many requests of a caller", async () => {
  await using mesh = await TestMesh.start({ limits: { noncesPerPeer: 2 } });
  for (const status of [200, 200, 429]) {
    using connection = await mesh.connect();
    await connection.send(requestText(mesh.request()));
    const answer = await connection.readTo(/\r\n\r\n/);
    assert.equal(statusOf(answer), status);
    if (status === 429) assert.match(answer, /^retry-after: 60/im);
  }
});

Deno.test("listenMesh() answers a handler's fault with a refusal, and lives", async () => {
  const faults: (() => Promise<Response>)[] = [
    () => Promise.reject(new Error("a secret prompt")),
    () => {
      throw new Error("a secret prompt");
    },
  ];
  await using mesh = await TestMesh.start({
    handler: () => faults.shift()?.() ?? Promise.resolve(new Response("all is well")),
  });
  for (let i = 0; i < 2; i++) {
    const answer = await mesh.exchange(requestText(mesh.request(POST)));
    assert.equal(statusOf(answer), 500);
    assert.doesNotMatch(answer, /secret/);
  }
  using connection = await mesh.connect();
  await connection.send(requestText(mesh.request()));
  assert.match(await connection.readTo(DONE), /all is well/);
  assert.deepEqual(mesh.refusals.map(({ code, nodeId }) => [code, nodeId]), [
    ["internal", mesh.alice.id],
    ["internal", mesh.alice.id],
  ]);
});

Deno.test("listenMesh() hangs up when an answer cannot be sent or breaks, and lives", async () => {
  const used = new Response("x");
  await used.text();
  const answers: unknown[] = [
    undefined,
    used,
    Response.error(),
    new Response(
      new ReadableStream({
        start: (controller) => controller.error(new Error("The engine broke")),
      }),
    ),
  ];
  await using mesh = await TestMesh.start({
    handler: () => Promise.resolve((answers.length > 0 ? answers.shift() : new Response("all is well")) as Response),
  });
  while (answers.length > 0) assert.doesNotMatch(await mesh.exchange(requestText(mesh.request())), DONE);
  using connection = await mesh.connect();
  await connection.send(requestText(mesh.request()));
  assert.match(await connection.readTo(DONE), /all is well/);
});

Deno.test("listenMesh() sends no answer to a forged body, and stops what makes it", async () => {
  const stopped = new AbortController();
  await using mesh = await TestMesh.start({
    handler: async (request) => {
      await request.text().catch(() => {});
      return new Response(new ReadableStream({ cancel: () => stopped.abort() }));
    },
  });
  const answer = await mesh.exchange(headText(mesh.request(POST)) + POST.body.replace("1", "2"));
  assert.equal(answer, await mesh.exchange("GET / HTTP/1.1\r\nHost: x\r\n\r\n"));
  await aborted(stopped.signal);
});

Deno.test("listenMesh() outlives callbacks that throw", async () => {
  await using mesh = await TestMesh.start({
    refused: () => {
      throw new Error("The log is full");
    },
    knock: () => {
      throw new Error("The book is full");
    },
    limits: { strangersPerSource: 1 },
  });
  const uniform = await mesh.exchange("GET / HTTP/1.1\r\nHost: x\r\n\r\n");
  assert.equal(statusOf(uniform), 401);
  assert.equal(await mesh.exchange(requestText(mesh.request({}, generateIdentity()))), uniform);
  assert.equal(mesh.knocks.length, 1);
  assert.equal(await mesh.exchange("rubbish\r\n\r\n"), "");
  assert.match(await mesh.exchange("CONNECT x:1 HTTP/1.1\r\nHost: x\r\n\r\n"), /405/);
  {
    using _first = await mesh.connect();
    await assert.rejects(mesh.connect());
  }
  await until(() => mesh.refusals.length === 5);
});

Deno.test("listenMesh() lets nobody in when the standing of keys cannot be found out", async () => {
  await using mesh = await TestMesh.start({
    standing: () => {
      throw new Error("The book is torn");
    },
  });
  assert.equal(await mesh.exchange(requestText(mesh.request(POST))), "");
  assert.deepEqual(mesh.handled, []);
  assert.deepEqual(mesh.refusals.map(({ code }) => code), ["internal"]);
});

/** A handler whose answer goes on for ever. */
function endless(): Response {
  const chunk = new TextEncoder().encode("token ");
  return new Response(
    new ReadableStream({
      async pull(controller) {
        await new Promise((resolve) => setTimeout(resolve, 1));
        controller.enqueue(chunk);
      },
    }),
  );
}

/** A handler that waits for the end of its caller. */
async function patient(request: MeshRequest): Promise<Response> {
  await aborted(request.signal);
  throw request.signal.reason;
}

Deno.test("MeshListener.disconnect() cuts running answers of a key and tells their handlers, and no others", async () => {
  const other = generateIdentity();
  await using mesh = await TestMesh.start({
    standing: () => "approved",
    handler: (request) => request.url.endsWith("/wait") ? patient(request) : Promise.resolve(endless()),
  });
  const open = async (target: string, signer = mesh.alice): Promise<RawConnection> => {
    const connection = await mesh.connect();
    await connection.send(requestText(mesh.request({ target }, signer)));
    if (target === "/stream") await connection.readTo(/token/);
    return connection;
  };
  using stream = await open("/stream");
  using wait = await open("/wait");
  using foreign = await open("/stream", other);
  await until(() => mesh.handled.length === 3);
  const [own = [], rest = []] = [
    mesh.handled.filter(({ caller }) => caller.nodeId === mesh.alice.id),
    mesh.handled.filter(({ caller }) => caller.nodeId === other.id),
  ];
  assert.equal(mesh.listener.disconnect(mesh.alice.id), 2);
  assert.doesNotMatch(await stream.readToEnd(), DONE);
  assert.equal(await wait.readToEnd(), "");
  for (const { signal } of own) await aborted(signal);
  await foreign.readTo(/token/);
  assert.deepEqual(rest.map(({ signal }) => signal.aborted), [false]);
  await until(() => mesh.listener.disconnect(mesh.alice.id) === 0);
  // Cancelled work is no fault of the handler's.
  assert.deepEqual(mesh.refusals, []);
});

Deno.test("MeshListener.disconnect() finds connections of a listener on all addresses", async () => {
  await using mesh = await TestMesh.start({ hostname: "::", handler: patient });
  using connection = await mesh.connect();
  await connection.send(requestText(mesh.request()));
  await until(() => mesh.handled.length === 1);
  assert.equal(mesh.handled[0]?.caller.remote, "127.0.0.1");
  assert.equal(mesh.listener.disconnect(mesh.alice.id), 1);
  assert.equal(await connection.readToEnd(), "");
});

Deno.test("A handler's signal fires when its caller is gone, before and within the answer", async () => {
  await using mesh = await TestMesh.start({
    handler: (request) => request.url.endsWith("/wait") ? patient(request) : Promise.resolve(endless()),
  });
  for (const target of ["/wait", "/stream"]) {
    const connection = await mesh.connect();
    await connection.send(requestText(mesh.request({ ...POST, target })));
    if (target === "/stream") await connection.readTo(/token/);
    await until(() => mesh.handled.at(-1)?.path === target);
    connection[Symbol.dispose]();
    await aborted(mesh.handled.at(-1)?.signal ?? assert.fail());
  }
  assert.deepEqual(mesh.refusals, []);
});

Deno.test("A handler's signal does not fire for an answer that was delivered", async () => {
  await using mesh = await TestMesh.start();
  const connection = await mesh.connect();
  await connection.send(requestText(mesh.request()));
  await connection.readTo(DONE);
  await connection.send(requestText(mesh.request()));
  await connection.readTo(DONE);
  connection[Symbol.dispose]();
  await using _other = mesh.client();
  await until(() => mesh.listener.disconnect(mesh.alice.id) === 0);
  assert.deepEqual(mesh.handled.map(({ signal }) => signal.aborted), [false, false]);
});

Deno.test("Disposing of a MeshListener ends running requests and waits for their handlers", async () => {
  const mesh = await TestMesh.start({ handler: patient });
  using connection = await mesh.connect();
  await connection.send(requestText(mesh.request()));
  using idle = await mesh.connect();
  await until(() => mesh.handled.length === 1);
  await mesh[Symbol.asyncDispose]();
  assert.ok(mesh.handled[0]?.signal.aborted);
  assert.equal(await connection.readToEnd(), "");
  assert.equal(await idle.readToEnd(), "");
  await assert.rejects(mesh.connect());
});

Deno.test("listenMesh() rejects when the address cannot be listened on, and leaves nothing behind", async () => {
  await using mesh = await TestMesh.start();
  const { port } = mesh.listener;
  const options = { identity: mesh.bob, standing: () => "unknown" as const, handler: () => assert.fail() };
  await assert.rejects(listenMesh({ ...options, hostname: "127.0.0.1", port }), { code: "EADDRINUSE" });
  await assert.rejects(listenMesh({ ...options, hostname: "192.0.2.77", port: 0 }));
});
