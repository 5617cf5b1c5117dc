import assert from "node:assert/strict";
import { generateIdentity } from "@ark/node/identity";
import {
  type MeshCall,
  MeshClient,
  type MeshClientOptions,
  type MeshRequest,
  type MeshResponse,
} from "@ark/node/transport";
import { aborted, FakeClock, TestMesh, type TestMeshOptions, until } from "./mesh_fixture.ts";
import { type Arrived, DeafNode, ScriptedNode } from "./scripted_node.ts";

/** Long enough never to be reached by a test that works. */
const GET: MeshCall = { method: "GET", path: "/", deadlineMs: 60_000 };

function text({ body }: MeshResponse): Promise<string> {
  return new Response(body).text();
}

function clientOf(options: Partial<MeshClientOptions> = {}): MeshClient {
  return new MeshClient({ identity: generateIdentity(), ...options });
}

/** A port at which nobody listens. */
function deadPort(): number {
  const listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const { port } = listener.addr;
  listener.close();
  return port;
}

/** A listener whose answers a test gives piece by piece, and can see cancelled. */
function streamed(): { handler: NonNullable<TestMeshOptions["handler"]>; give: (piece: string | null) => void } {
  let controller: ReadableStreamDefaultController<Uint8Array>;
  return {
    handler: () => Promise.resolve(new Response(new ReadableStream({ start: (given) => void (controller = given) }))),
    give: (piece) => piece === null ? controller.close() : controller.enqueue(new TextEncoder().encode(piece)),
  };
}

/** A handler that waits for the end of its caller. */
async function patient(request: MeshRequest): Promise<Response> {
  await aborted(request.signal);
  throw request.signal.reason;
}

Deno.test("MeshClient.request() brings a question to a peer and its answer back", async () => {
  await using mesh = await TestMesh.start();
  await using client = mesh.client();
  const response = await client.request(mesh.peer, {
    method: "POST",
    path: "/ark/v1/infer?x=1",
    body: `{"question":"é"}`,
    deadlineMs: 30_000,
  });
  assert.equal(response.status, 200);
  assert.equal(response.headers.get("content-type"), "application/json");
  assert.equal(response.headers.get("ark-from"), mesh.bob.id);
  assert.deepEqual(response.address, mesh.peer.addresses[0]);
  assert.deepEqual(JSON.parse(await text(response)), { path: "/ark/v1/infer", body: `{"question":"é"}` });
  const [{ caller } = assert.fail("Not handled")] = mesh.handled;
  assert.equal(caller.nodeId, mesh.alice.id);
  assert.equal(caller.signature, response.signature);
  assert.equal(caller.deadlineMs, 30_000);
});

Deno.test("MeshClient.request() brings bodies of up to 1 MiB, and long answers", async () => {
  await using mesh = await TestMesh.start({
    handler: async (request) => new Response(new Uint8Array((await request.arrayBuffer()).byteLength * 5)),
  });
  await using client = mesh.client();
  const body = new Uint8Array(1 << 20);
  const response = await client.request(mesh.peer, { ...GET, method: "POST", body });
  assert.equal((await new Response(response.body).arrayBuffer()).byteLength, 5 << 20);
  const large = await client.request(mesh.peer, { ...GET, method: "POST", body: new Uint8Array((1 << 20) + 1) });
  assert.equal(large.status, 413);
  assert.match(await text(large), /ark_too_large/);
});

Deno.test("MeshClient.request() gives an answer's head at once, and each piece as it comes", async () => {
  const { handler, give } = streamed();
  await using mesh = await TestMesh.start({ handler });
  await using client = mesh.client();
  const { body } = await client.request(mesh.peer, GET);
  const reader = body.pipeThrough(new TextDecoderStream()).getReader();
  for (const piece of ["one", "two", "three"]) {
    give(piece);
    assert.equal((await reader.read()).value, piece);
  }
  give(null);
  assert.ok((await reader.read()).done);
});

Deno.test("MeshResponse.pump() hands over each piece as it comes, goes on where it stopped, and ends with the call", async () => {
  const { handler, give } = streamed();
  await using mesh = await TestMesh.start({ handler });
  await using client = mesh.client();
  const seen: string[] = [];
  const take = (bytes: Uint8Array) => {
    seen.push(new TextDecoder().decode(bytes));
    return seen.length === 2 ? false as const : null;
  };
  const { pump = () => assert.fail() } = await client.request(mesh.peer, GET);
  give("one");
  const first = pump(take);
  await until(() => seen.length === 1);
  give("two");
  assert.ok(!await first);
  const rest = pump(take);
  give("three");
  await until(() => seen.length === 3);
  give(null);
  assert.ok(await rest);
  assert.deepEqual([seen, await pump(take)], [["one", "two", "three"], true]);

  const leave = new AbortController();
  const next = await client.request(mesh.peer, { ...GET, signal: leave.signal });
  const cut = (next.pump ?? assert.fail())(() => null);
  leave.abort();
  await assert.rejects(cut, { code: "cancelled" });
});

Deno.test("MeshClient.request() hands on the peer's own refusals, since they are signed", async () => {
  await using mesh = await TestMesh.start();
  await using client = mesh.client({ identity: mesh.rita });
  const response = await client.request(mesh.peer, GET);
  assert.equal(response.status, 403);
  assert.match(await text(response), /ark_revoked/);
});

Deno.test("MeshClient.request() says that a peer does not know this node", async () => {
  await using mesh = await TestMesh.start();
  await using client = mesh.client({ identity: generateIdentity() });
  await assert.rejects(client.request(mesh.peer, { ...GET, method: "POST", body: "x".repeat(900_000) }), {
    name: "ArkError",
    code: "unauthenticated",
  });
  assert.deepEqual(mesh.handled, []);
});

Deno.test("MeshClient.request() sends nothing to somebody else at the peer's address", async () => {
  const bob = generateIdentity();
  await using impostor = await ScriptedNode.start(() => assert.fail("A request got to the impostor"));
  await using client = clientOf();
  await assert.rejects(client.request({ id: bob.id, addresses: impostor.peer.addresses }, GET), {
    code: "unavailable",
    message: /does not prove to be this node/,
  });
  assert.equal(impostor.connections, 0);
});

Deno.test("MeshClient.request() goes on to the next address: behind a closed port, an impostor, and silence", async () => {
  await using mesh = await TestMesh.start();
  await using impostor = await TestMesh.start();
  const silent = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  try {
    const bad = [deadPort(), impostor.listener.port, silent.addr.port].map((port) => ({ hostname: "127.0.0.1", port }));
    for (const address of bad) {
      await using client = mesh.client();
      const addresses = [address, ...mesh.peer.addresses];
      for (let i = 0; i < 2; i++) {
        const response = await client.request({ id: mesh.bob.id, addresses }, GET);
        assert.deepEqual(response.address, mesh.peer.addresses[0]);
        await text(response);
      }
    }
    await using client = mesh.client({ times: { handshakeMs: 50 } });
    await assert.rejects(client.request({ id: mesh.bob.id, addresses: bad }, GET), {
      code: "unavailable",
      message: /refused the connection; .* does not prove to be this node; .* fell silent/,
    });
    await assert.rejects(client.request({ id: mesh.bob.id, addresses: [] }, GET), { code: "unavailable" });
  } finally {
    silent.close();
  }
  assert.deepEqual(impostor.handled, []);
});

Deno.test("MeshClient.request() gets along with a peer whose clock differs by an hour, at one extra round trip", async () => {
  for (const skew of [-3_600, 3_600]) {
    await using mesh = await TestMesh.start();
    const clock = new FakeClock();
    clock.stepWall(skew);
    await using client = mesh.client({ clock });
    const ask = async () => assert.match(await client.request(mesh.peer, GET).then(text), /path/);
    for (let i = 0; i < 3; i++) await ask();
    assert.deepEqual(mesh.refusals.map(({ code }) => code), ["clock"]);
    assert.equal(mesh.handled.length, 3);
    // The nonce has run out by now; what was learnt of the clock still counts.
    clock.pass(130);
    mesh.clock.pass(130);
    await ask();
    assert.equal(mesh.refusals.length, 1);
  }
});

Deno.test("MeshClient.request() gets along with a listener that started just now, also with a large body", async () => {
  await using mesh = await TestMesh.start({ young: true });
  await using client = mesh.client();
  const body = "x".repeat(1 << 20);
  // A body that is left unread would hold up the second try until the listener's own limit of 15 s.
  const response = await client.request(mesh.peer, { ...GET, method: "POST", body, deadlineMs: 12_000 });
  assert.equal(JSON.parse(await text(response)).body, body);
  await client.request(mesh.peer, GET).then(text);
  assert.deepEqual(mesh.refusals.map(({ code }) => code), ["clock"]);
  assert.equal(mesh.handled.length, 2);
});

Deno.test("MeshClient.request() gives up on a peer that no nonce satisfies, or that gives none", async () => {
  for (const nonce of [`ark-nonce: ${"N".repeat(27)}\r\n`, "ark-nonce: x\r\n"]) {
    await using node = await ScriptedNode.start((request, socket) => {
      socket.write(`HTTP/1.1 401 No\r\n${node.sign(request, { status: 401 })}${nonce}Content-Length: 0\r\n\r\n`);
    });
    await using client = clientOf();
    await assert.rejects(client.request(node.peer, GET), { code: "clock" });
    assert.ok(node.requests.length <= 2);
  }
});

Deno.test("MeshClient keeps a connection for many requests, and closes it when it was idle for long", async () => {
  await using node = await ScriptedNode.start((request, socket) => {
    socket.write(`HTTP/1.1 200 OK\r\n${node.sign(request)}Content-Length: 2\r\n\r\nok`);
  });
  await using client = clientOf({ idleMs: 50 });
  for (let i = 0; i < 20; i++) assert.equal(await text(await client.request(node.peer, GET)), "ok");
  assert.equal(node.connections, 1);
  await until(() => node.open.size === 0);
  assert.equal(await text(await client.request(node.peer, GET)), "ok");
  assert.equal(node.connections, 2);
});

Deno.test("MeshClient.request() sends again, the very same, when a kept connection turns out to be dead", async () => {
  await using node = await ScriptedNode.start((request, socket) => {
    if (request.index === 1) return void socket.destroy();
    socket.write(`HTTP/1.1 200 OK\r\n${node.sign(request)}Content-Length: 2\r\n\r\nok`);
  });
  await using client = clientOf();
  for (let i = 0; i < 2; i++) assert.equal(await text(await client.request(node.peer, GET)), "ok");
  const [, lost, again] = node.requests as [Arrived, Arrived, Arrived];
  assert.equal(node.requests.length, 3);
  assert.deepEqual([lost.connection, again.connection], [0, 1]);
  assert.equal(again.head, lost.head);
});

Deno.test("MeshClient.request() sends again on a fresh connection when all kept ones were closed meanwhile", async () => {
  await using mesh = await TestMesh.start();
  await using client = mesh.client();
  await Promise.all([1, 2, 3].map(() => client.request(mesh.peer, GET).then(text)));
  const open = mesh.listener.disconnect(mesh.alice.id);
  assert.ok(open >= 1);
  await client.request(mesh.peer, { ...GET, path: "/again" }).then(text);
  assert.equal(mesh.handled.filter(({ path }) => path === "/again").length, 1);
});

Deno.test("MeshClient.request() has nothing done twice when a peer works and then breaks off", async () => {
  await using mesh = await TestMesh.start({
    handler: (request) =>
      Promise.resolve(
        new Response(
          request.url.endsWith("/breaks")
            ? new ReadableStream({ start: (controller) => controller.error(new Error("The engine broke")) })
            : "well",
        ),
      ),
  });
  await using client = mesh.client();
  await client.request(mesh.peer, GET).then(text);
  await assert.rejects(client.request(mesh.peer, { ...GET, method: "POST", path: "/breaks", body: "{}" }), {
    code: "unavailable",
  });
  assert.deepEqual(mesh.handled.map(({ path }) => path), ["/", "/breaks"]);
  // It was sent twice.
  assert.deepEqual(mesh.refusals.map(({ code }) => code), ["replay"]);
  assert.equal(await client.request(mesh.peer, GET).then(text), "well");
});

Deno.test("MeshClient.request() does not send again what was lost on a new connection, or broke in its answer", async () => {
  for (const start of ["", "HTTP/1.1 200 OK\r\nContent"]) {
    await using node = await ScriptedNode.start((_, socket) =>
      void (start === "" ? socket.destroy() : socket.end(start))
    );
    await using client = clientOf();
    await assert.rejects(client.request(node.peer, GET), { code: "unavailable" });
    assert.equal(node.requests.length, 1);
  }
});

Deno.test("MeshClient.request() takes no answer that the peer did not sign for this request", async () => {
  const mallory = generateIdentity();
  let last: Arrived | null = null;
  const signers: Record<string, (node: ScriptedNode, request: Arrived) => string> = {
    "no signature": () => "Content-Type: text/plain\r\n",
    "for another status": (node, request) => node.sign(request, { status: 201 }),
    "for another type": (node, request) => node.sign(request).replace("text/plain", "text/html"),
    "by somebody else": (node, request) => node.sign(request).replaceAll(node.identity.id, mallory.id),
    "for another request": (node, request) => node.sign({ ...request, signature: new Uint8Array(64) }),
    "for the request before": (node, request) => {
      const before = last ?? request;
      last = request;
      return node.sign(before === request ? { ...request, signature: new Uint8Array(64) } : before);
    },
    "twice": (node, request) => node.sign(request) + node.sign(request),
  };
  for (const [what, sign] of Object.entries(signers)) {
    for (const status of [200, 403, 500]) {
      await using node = await ScriptedNode.start((request, socket) => {
        socket.write(`HTTP/1.1 ${status} X\r\n${sign(node, request)}Content-Length: 2\r\n\r\nok`);
      });
      await using client = clientOf();
      await assert.rejects(client.request(node.peer, GET), { code: "unavailable" }, `${what}, ${status}`);
      // Nor is the connection used for anything else.
      await until(() => node.open.size === 0);
    }
  }
});

Deno.test("MeshClient.request() takes no answer in a form that it does not know", async () => {
  const answers: ((node: ScriptedNode, request: Arrived) => string)[] = [
    () => "rubbish\r\n\r\n",
    () => "HTTP/1.1 100 Continue\r\n\r\n",
    (node, request) => `HTTP/1.1 200 OK\r\n${node.sign(request)}\r\nuntil I hang up`,
    (node, request) => `HTTP/1.1 200 OK\r\n${node.sign(request)}Content-Encoding: gzip\r\nContent-Length: 2\r\n\r\nok`,
    () => "x".repeat(200_000),
  ];
  for (const answer of answers) {
    await using node = await ScriptedNode.start((request, socket) => socket.write(answer(node, request)));
    await using client = clientOf();
    await assert.rejects(client.request(node.peer, GET), { code: "unavailable" });
  }
});

Deno.test("An answer's body fails when the peer breaks off, and is never taken for a whole one", async () => {
  const starts = ["Content-Length: 10\r\n\r\nhello", "Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n"];
  for (const start of starts) {
    await using node = await ScriptedNode.start((request, socket) => {
      socket.end(`HTTP/1.1 200 OK\r\n${node.sign(request)}${start}`);
    });
    await using client = clientOf();
    await assert.rejects(client.request(node.peer, GET).then(text), { code: "unavailable" });
  }
});

Deno.test("A call's signal closes the connection, so that the peer stops working: before the answer and within it", async () => {
  const { handler, give } = streamed();
  await using mesh = await TestMesh.start({
    handler: (request, caller) => request.url.endsWith("/wait") ? patient(request) : handler(request, caller),
  });
  await using client = mesh.client();
  const stop = new AbortController();
  const waiting = client.request(mesh.peer, { ...GET, path: "/wait", signal: stop.signal });
  await until(() => mesh.handled.length === 1);
  stop.abort(new Error("enough"));
  await assert.rejects(waiting, { code: "cancelled" });
  await aborted(mesh.handled[0]?.signal ?? assert.fail());

  const leave = new AbortController();
  const { body } = await client.request(mesh.peer, { ...GET, signal: leave.signal });
  const reader = body.getReader();
  give("one");
  await reader.read();
  const next = reader.read();
  leave.abort();
  await assert.rejects(next, { code: "cancelled" });
  await aborted(mesh.handled[1]?.signal ?? assert.fail());
  await assert.rejects(client.request(mesh.peer, { ...GET, signal: AbortSignal.abort() }), { code: "cancelled" });
  assert.equal(mesh.handled.length, 2);
});

Deno.test("Cancelling an answer's body closes the connection, so that the peer stops working", async () => {
  const { handler, give } = streamed();
  await using mesh = await TestMesh.start({ handler });
  await using client = mesh.client();
  const { body } = await client.request(mesh.peer, GET);
  give("one");
  await body.cancel();
  await aborted(mesh.handled[0]?.signal ?? assert.fail());
});

Deno.test("A call's deadline ends the wait for the head, and does not limit the body", async () => {
  const { handler, give } = streamed();
  await using mesh = await TestMesh.start({
    handler: (request, caller) => request.url.endsWith("/wait") ? patient(request) : handler(request, caller),
  });
  await using client = mesh.client();
  await assert.rejects(client.request(mesh.peer, { ...GET, path: "/wait", deadlineMs: 100 }), {
    code: "unavailable",
    message: /did not answer within 100 ms/,
  });
  await aborted(mesh.handled[0]?.signal ?? assert.fail());
  const response = await client.request(mesh.peer, { ...GET, deadlineMs: 2_000 });
  await new Promise((resolve) => setTimeout(resolve, 2_100));
  give("late");
  give(null);
  assert.equal(await text(response), "late");
});

Deno.test("A call's deadline limits the body, too, where it is to be there by then", async () => {
  await using node = await ScriptedNode.start((request, socket) => {
    socket.write(`HTTP/1.1 200 OK\r\n${node.sign(request)}Content-Length: 10\r\n\r\nhello`);
  });
  await using client = clientOf();
  const ways: ((response: MeshResponse) => unknown)[] = [
    text,
    ({ read }: MeshResponse) => read?.().then(read),
    ({ pump }: MeshResponse) => pump?.(() => null),
  ];
  for (const read of ways) {
    const call = { ...GET, deadlineMs: 1_000, whole: true, signal: AbortSignal.timeout(30_000) };
    const reading = client.request(node.peer, call).then(read);
    await assert.rejects(reading, { code: "unavailable", message: /did not answer within 1000 ms/ });
  }
  await until(() => node.open.size === 0);
});

Deno.test("A call whose whole answer was there in time leaves its connection to the next one", async () => {
  await using mesh = await TestMesh.start();
  await using client = mesh.client();
  for (let turn = 0; turn < 3; turn++) {
    const response = await client.request(mesh.peer, { ...GET, method: "POST", whole: true });
    assert.equal(JSON.parse(await text(response)).path, "/");
  }
});

Deno.test("A call's deadline counts while it dials, and while a peer takes nothing of a large body", async () => {
  const silent = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  try {
    await using client = clientOf();
    const peer = { id: generateIdentity().id, addresses: [{ hostname: "127.0.0.1", port: silent.addr.port }] };
    await assert.rejects(client.request(peer, { ...GET, deadlineMs: 50 }), { code: "unavailable" });
  } finally {
    silent.close();
  }
  await using node = new DeafNode({ answers: false });
  await using client = clientOf();
  const body = new Uint8Array(30 << 20);
  await assert.rejects(client.request(node.peer, { ...GET, method: "POST", body, deadlineMs: 300 }), {
    code: "unavailable",
  });
});

Deno.test("A peer that answers without taking the request holds no place", async () => {
  await using node = new DeafNode({ answers: true });
  await using client = clientOf({ connectionsPerPeer: 1 });
  const body = new Uint8Array(30 << 20);
  for (let i = 0; i < 2; i++) {
    assert.equal(await text(await client.request(node.peer, { ...GET, method: "POST", body })), "ok");
  }
  assert.equal(node.connections, 2);
});

Deno.test("MeshClient.disconnect() ends what runs with one peer, and nothing else", async () => {
  const { handler, give } = streamed();
  await using mesh = await TestMesh.start({
    handler: (request, caller) => request.url.endsWith("/wait") ? patient(request) : handler(request, caller),
  });
  const other = streamed();
  await using elsewhere = await TestMesh.start({ handler: other.handler, standing: () => "approved" });
  await using client = mesh.client();
  const waiting = client.request(mesh.peer, { ...GET, path: "/wait" });
  const stream = await client.request(mesh.peer, GET);
  const unaffected = await client.request(elsewhere.peer, GET);
  give("one");
  await until(() => mesh.handled.length === 2);
  client.disconnect(mesh.bob.id);
  client.disconnect(generateIdentity().id);
  await assert.rejects(waiting, { code: "cancelled" });
  await assert.rejects(text(stream), { code: "cancelled" });
  for (const { signal } of mesh.handled) await aborted(signal);
  other.give("well");
  other.give(null);
  assert.equal(await text(unaffected), "well");
  // What comes later connects anew.
  const again = client.request(mesh.peer, GET);
  await until(() => mesh.handled.length === 3);
  give(null);
  assert.equal(await text(await again), "");
});

Deno.test("MeshClient makes no more requests to a peer at once than it may, and serves the others in order", async () => {
  const order: string[] = [];
  let running = 0;
  let most = 0;
  await using mesh = await TestMesh.start({
    handler: async (request) => {
      order.push(new URL(request.url).pathname);
      most = Math.max(most, ++running);
      await new Promise((resolve) => setTimeout(resolve, 5));
      running--;
      return new Response("ok");
    },
  });
  await using client = mesh.client({ connectionsPerPeer: 2, idlePerPeer: 1 });
  const paths = Array.from({ length: 12 }, (_, i) => `/${i}`);
  const stop = new AbortController();
  const answers = paths.map((path) => client.request(mesh.peer, { ...GET, path }).then(text));
  const impatient = client.request(mesh.peer, { ...GET, path: "/impatient", signal: stop.signal });
  stop.abort();
  await assert.rejects(impatient, { code: "cancelled" });
  assert.deepEqual(await Promise.all(answers), paths.map(() => "ok"));
  assert.equal(most, 2);
  assert.deepEqual(order.toSorted(), paths.toSorted());
});

Deno.test("MeshClient.request() lets questions that are apart past requests that wait for a connection", async () => {
  const go = Promise.withResolvers<void>();
  await using mesh = await TestMesh.start({
    handler: async (request) => {
      if (!request.url.endsWith("/urgent")) await go.promise;
      return new Response("ok");
    },
  });
  await using client = mesh.client({ connectionsPerPeer: 2 });
  const answers = Array.from({ length: 8 }, () => client.request(mesh.peer, GET).then(text));
  await until(() => mesh.handled.length === 2);
  const urgent = { ...GET, path: "/urgent", apart: true };
  assert.equal(await client.request(mesh.peer, urgent).then(text), "ok");
  assert.equal(mesh.handled.length, 3);
  go.resolve();
  assert.deepEqual(await Promise.all(answers), answers.map(() => "ok"));
});

Deno.test("MeshClient.request() gives a body piece by piece, and its connection back at the end", async () => {
  await using node = await ScriptedNode.start((request, socket) => {
    socket.write(`HTTP/1.1 200 OK\r\n${node.sign(request)}Content-Length: 6\r\n\r\nabc`);
    setTimeout(() => socket.write("def"), 5);
  });
  await using client = clientOf();
  for (let round = 0; round < 3; round++) {
    const { read } = await client.request(node.peer, GET);
    let said = "";
    for (let bytes = await read?.(); bytes; bytes = await read?.()) said += new TextDecoder().decode(bytes);
    assert.equal(said, "abcdef");
    assert.equal(await read?.(), null);
  }
  assert.equal(node.connections, 1);
});

Deno.test("MeshClient.request() tries a connection again that its peer turns away while others are open", async () => {
  await using mesh = await TestMesh.start({ limits: { strangersPerSource: 2 } });
  await using client = mesh.client({ connectionsPerPeer: 24 });
  const answers = Array.from({ length: 24 }, () => client.request(mesh.peer, GET).then(text));
  assert.equal((await Promise.all(answers)).length, 24);
});

Deno.test("MeshClient keeps no more idle connections than it may", async () => {
  await using node = await ScriptedNode.start((request, socket) => {
    socket.write(`HTTP/1.1 200 OK\r\n${node.sign(request)}Content-Length: 2\r\n\r\nok`);
  });
  await using client = clientOf({ idlePerPeer: 2 });
  const responses = await Promise.all(Array.from({ length: 6 }, () => client.request(node.peer, GET)));
  assert.equal(node.open.size, 6);
  await Promise.all(responses.map(text));
  await until(() => node.open.size === 2);
});

Deno.test("Disposing of a MeshClient ends what runs, and what comes later is cancelled", async () => {
  const { handler } = streamed();
  await using mesh = await TestMesh.start({
    handler: (request, caller) => request.url.endsWith("/wait") ? patient(request) : handler(request, caller),
  });
  const client = mesh.client();
  const waiting = client.request(mesh.peer, { ...GET, path: "/wait" });
  const unread = await client.request(mesh.peer, GET);
  const dialling = client.request({ id: generateIdentity().id, addresses: mesh.peer.addresses }, GET);
  await until(() => mesh.handled.length === 2);
  const ended = Promise.all([
    assert.rejects(waiting, { code: "cancelled" }),
    assert.rejects(dialling),
  ]);
  await client[Symbol.asyncDispose]();
  await ended;
  await assert.rejects(text(unread), { code: "cancelled" });
  for (const { signal } of mesh.handled) await aborted(signal);
  await assert.rejects(client.request(mesh.peer, GET), { code: "cancelled" });
  await client[Symbol.asyncDispose]();
});

Deno.test("MeshClient.request() throws what a malformed call deserves, and sends nothing", async () => {
  await using node = await ScriptedNode.start(() => assert.fail());
  await using client = clientOf();
  const calls: [Partial<MeshCall>, new () => Error][] = [
    [{ method: "PUT" }, TypeError],
    [{ method: "get" }, TypeError],
    [{ body: "x" }, TypeError],
    [{ path: "offer" }, TypeError],
    [{ path: "/a b" }, TypeError],
    [{ path: "/a\r\nX: y" }, TypeError],
    [{ path: "/../a" }, TypeError],
    [{ contentType: "a\r\nX: y" }, TypeError],
    [{ contentType: "" }, TypeError],
    [{ deadlineMs: 0 }, RangeError],
    [{ deadlineMs: NaN }, RangeError],
    [{ deadlineMs: Infinity }, RangeError],
  ];
  for (const [call, kind] of calls) await assert.rejects(client.request(node.peer, { ...GET, ...call }), kind);
  await assert.rejects(client.request({ ...node.peer, id: "bob" }, GET), SyntaxError);
  assert.equal(node.connections, 0);
});
