import assert from "node:assert/strict";
import { once } from "node:events";
import { connect as connectTcp, type Socket } from "node:net";
import { generateIdentity } from "@ark/node/identity";
import { MeshClient } from "@ark/node/transport";
import { TLS_NAME, trustAnchor } from "../../src/transport/certificate.ts";
import { aborted, headText, requestText, statusOf, TestMesh, until, withFields } from "./mesh_fixture.ts";

const DONE = /0\r\n\r\n$/;

/** Whether Alice is served as if nothing was. */
async function serves(mesh: TestMesh): Promise<void> {
  await using client = mesh.client();
  const response = await client.request(mesh.peer, { method: "GET", path: "/still", deadlineMs: 30_000 });
  assert.equal(response.status, 200);
  await response.body.cancel();
}

function tcp(mesh: TestMesh): Socket {
  const socket = connectTcp(mesh.listener.port, "127.0.0.1");
  socket.on("error", () => {});
  return socket;
}

Deno.test("listenMesh() closes a connection that does not finish its TLS handshake", async () => {
  await using mesh = await TestMesh.start({ limits: { handshakeMs: 100, checkMs: 20 } });
  const [silent, half] = [tcp(mesh), tcp(mesh)];
  const closed = [silent, half].map((socket) => (socket.resume(), once(socket, "close")));
  await once(half, "connect");
  half.write(Uint8Array.of(0x16, 3, 1, 0, 200, 1, 0, 0, 196));
  await Promise.all(closed);
  await serves(mesh);
});

Deno.test("listenMesh() closes a connection that is slow with its head, or sends none", async () => {
  await using mesh = await TestMesh.start({ limits: { headersMs: 200, checkMs: 20 } });
  using silent = await mesh.connect();
  using slow = await mesh.connect();
  using drip = await mesh.connect();
  await slow.send("GET /ark/v1/offer HTTP/1.1\r\nHost: node.ark.invalid\r\nX-");
  const dripping = (async () => {
    // One more byte again and again earns no more time.
    while (await drip.send("G")) await new Promise((resolve) => setTimeout(resolve, 10));
  })();
  for (const connection of [silent, slow, drip]) assert.equal(await connection.readToEnd(), "");
  await dripping;
  assert.deepEqual(mesh.handled, []);
  await serves(mesh);
});

Deno.test("listenMesh() closes a connection that is slow with its body, and the handler is told", async () => {
  for (const limits of [{ checkMs: 20 }, { checkMs: 60_000 }]) {
    await using mesh = await TestMesh.start({ limits: { requestMs: 200, headersMs: 200, ...limits } });
    using connection = await mesh.connect();
    const [head, body] = [headText(mesh.request({ body: "x".repeat(1_000) })), "x".repeat(999)];
    await connection.send(head + body);
    assert.equal(await connection.readToEnd(), "");
    assert.deepEqual(mesh.handled.map(({ path }) => path), ["/ark/v1/offer"]);
    await aborted(mesh.handled[0]?.signal ?? assert.fail());
    await serves(mesh);
  }
});

Deno.test("listenMesh() closes a kept connection that is idle", async () => {
  await using mesh = await TestMesh.start({ limits: { keepAliveMs: 50, checkMs: 20 } });
  using connection = await mesh.connect();
  await connection.send(requestText(mesh.request()));
  assert.match(await connection.readToEnd(), DONE);
});

Deno.test("listenMesh() cuts a refused caller that goes on sending, or that never hangs up", async () => {
  await using mesh = await TestMesh.start({ limits: { lingerMs: 100, requestMs: 600_000 } });
  using sender = await mesh.connect();
  await sender.send("POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 99999999999\r\n\r\n");
  const sending = (async () => {
    while (await sender.send("x".repeat(1_000))) await new Promise((resolve) => setTimeout(resolve, 1));
  })();
  assert.equal(statusOf(await sender.readToEnd()), 401);
  await sending;
  using waiter = await mesh.connect();
  await waiter.send("POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\n");
  assert.equal(statusOf(await waiter.readToEnd()), 401);
  // Its body came along with its head: there is nothing to wait for.
  using prompt = await mesh.connect();
  await prompt.send("POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n\r\nabc");
  assert.equal(statusOf(await prompt.readToEnd()), 401);
  await serves(mesh);
});

Deno.test("listenMesh() lets a refused caller finish what it is sending, so that it gets to read the refusal", async () => {
  await using mesh = await TestMesh.start({ limits: { lingerMs: 60_000 } });
  using connection = await mesh.connect();
  await connection.send("POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 10000\r\n\r\n");
  assert.equal(statusOf(await connection.readTo(/\}\}$/)), 401);
  for (let i = 0; i < 10; i++) {
    assert.ok(await connection.send("x".repeat(1_000)));
    // Time for a reset to arrive.
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
  assert.equal(await connection.readToEnd(), "");
});

Deno.test("listenMesh() cuts a caller that takes nothing of its answer, and stops the handler's stream", async () => {
  const stopped = new AbortController();
  await using mesh = await TestMesh.start({
    limits: { writeStallMs: 100 },
    handler: (request) =>
      Promise.resolve(
        new Response(
          request.url.endsWith("/still") ? "well" : new ReadableStream({
            pull: (controller) => controller.enqueue(new Uint8Array(64 << 10)),
            cancel: () => stopped.abort(),
          }),
        ),
      ),
  });
  using stream = await mesh.connect();
  await stream.send(requestText(mesh.request({ target: "/endless" })));
  await aborted(stopped.signal);
  await aborted(mesh.handled[0]?.signal ?? assert.fail());
  await serves(mesh);
});

Deno.test("listenMesh() cuts a caller that takes nothing of an answer in one piece", async () => {
  await using mesh = await TestMesh.start({
    limits: { writeStallMs: 100 },
    handler: () => Promise.resolve(new Response(new Uint8Array(32 << 20))),
  });
  using connection = await mesh.connect();
  await connection.send(requestText(mesh.request()));
  await until(() => mesh.handled.length === 1);
  await aborted(mesh.handled[0]?.signal ?? assert.fail());
});

Deno.test("listenMesh() keeps at most so many strangers of one source, and closes the others at once", async () => {
  await using mesh = await TestMesh.start({ limits: { strangersPerSource: 3 } });
  const held = await Promise.all([mesh.connect(), mesh.connect(), mesh.connect()]);
  try {
    for (let i = 0; i < 5; i++) await assert.rejects(mesh.connect());
    assert.deepEqual(mesh.refusals, Array(5).fill({ code: "busy", remote: "127.0.0.1", nodeId: null }));
    // Whoever proves itself makes room for the next.
    await held[0]?.send(requestText(mesh.request()));
    await held[0]?.readTo(DONE);
    using _next = await mesh.connect();
    await assert.rejects(mesh.connect());
  } finally {
    for (const connection of held) connection[Symbol.dispose]();
  }
});

Deno.test("listenMesh() lets a source connect again and again only when it proves itself", async () => {
  await using mesh = await TestMesh.start({ limits: { burstPerSource: 4 } });
  for (let i = 0; i < 20; i++) {
    using connection = await mesh.connect();
    await connection.send(requestText(mesh.request()));
    await connection.readTo(DONE);
  }
  for (let i = 0; i < 4; i++) assert.equal(statusOf(await mesh.exchange("GET / HTTP/1.1\r\nHost: x\r\n\r\n")), 401);
  await assert.rejects(mesh.connect());
  mesh.clock.pass(5.1);
  using _again = await mesh.connect();
});

Deno.test("listenMesh() keeps at most so many connections in all", async () => {
  await using mesh = await TestMesh.start({ limits: { connections: 2 } });
  const held = await Promise.all([mesh.connect(), mesh.connect()]);
  try {
    await assert.rejects(mesh.connect());
    assert.deepEqual(mesh.refusals, [{ code: "busy", remote: "127.0.0.1", nodeId: null }]);
  } finally {
    for (const connection of held) connection[Symbol.dispose]();
  }
  // It takes a moment until the places are free.
  for (let served = false; !served;) served = await serves(mesh).then(() => true, () => false);
});

Deno.test("listenMesh() takes a second request on a connection only when the first is answered", async () => {
  const { promise: go, resolve } = Promise.withResolvers<void>();
  await using mesh = await TestMesh.start({
    handler: async () => {
      await go;
      return new Response("well");
    },
  });
  using connection = await mesh.connect();
  await connection.send(requestText(mesh.request()) + requestText(mesh.request()));
  assert.equal(await connection.readToEnd(), "");
  assert.equal(mesh.handled.length, 1);
  assert.ok(mesh.handled[0]?.signal.aborted);
  resolve();
  await serves(mesh);
});

Deno.test("listenMesh() ends requests that wait in a connection behind another one", async () => {
  await using mesh = await TestMesh.start({
    handler: (request) =>
      request.url.endsWith("/wait")
        ? aborted(request.signal).then(() => Promise.reject(request.signal.reason))
        : Promise.resolve(new Response("well")),
  });
  const connection = await mesh.connect();
  // The second comes when the first is answered and the answer is on its way.
  await connection.send(requestText(mesh.request()) + requestText(mesh.request({ target: "/wait" })));
  await connection.read();
  connection[Symbol.dispose]();
  await Promise.all(mesh.handled.slice(1).map(({ signal }) => aborted(signal)));
});

Deno.test("listenMesh() takes nothing after a refused request", async () => {
  await using mesh = await TestMesh.start();
  const good = requestText(mesh.request());
  const bad = requestText(withFields(mesh.request({ body: "x" }), { "Ark-Deadline": "1" }));
  const short = requestText(withFields(mesh.request(), { "Ark-Deadline": "1" }));
  for (const text of [short + good, bad + good, "PUT / HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n" + good]) {
    const answer = await mesh.exchange(text);
    assert.equal(answer.match(/HTTP\/1\.1/g)?.length ?? 0, answer === "" ? 0 : 1);
  }
  assert.deepEqual(mesh.handled, []);
});

Deno.test("T60: listenMesh() serves no other method or protocol, and no request whose end could be seen in two places, nor the one behind it", async () => {
  await using mesh = await TestMesh.start();
  const good = mesh.request({ body: "hello" });
  const inner = requestText(mesh.request({ target: "/inner" }));
  const plain = requestText(good);
  const more = (field: string): string => plain.replace("\r\n\r\n", `\r\n${field}\r\n\r\n`);
  const probes: Record<string, string> = {
    "length and chunks": more("Transfer-Encoding: chunked"),
    "length and chunks that are none": more("Transfer-Encoding: xchunked"),
    "chunks spelt in another way": more("Transfer-Encoding : chunked"),
    "chunks behind a tab": more("Transfer-Encoding:\tchunked"),
    "a second length": more("Content-Length: 5"),
    "another length": more("Content-Length: 50"),
    "a list of lengths": plain.replace("Content-Length: 5", "Content-Length: 5, 5"),
    "a signed length": plain.replace("Content-Length: 5", "Content-Length: +5"),
    "a shorter length": plain.replace("Content-Length: 5", "Content-Length: 0"),
    "no length": plain.replace("Content-Length: 5\r\n", ""),
    "bare line feeds": plain.replaceAll("\r\n", "\n"),
    "a bare carriage return": more("X: a\rContent-Length: 0"),
    "a NUL": more("X: a\0b"),
    "an obsolete fold": plain.replace("Content-Length: 5", "Content-Length:\r\n 5"),
    "no host": plain.replace("Host: node.ark.invalid\r\n", ""),
    "two hosts": more("Host: node.ark.invalid"),
    "a version that is none": plain.replace("HTTP/1.1", "HTTP/1.2"),
    "HTTP/0.9": "GET /\r\n\r\n",
    "the start of HTTP/2": "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    "an absolute target": plain.replace("POST /", "POST https://node.ark.invalid/"),
    "an expectation": more("Expect: 100-continue"),
    "another expectation": more("Expect: x"),
    "an upgrade": more("Connection: upgrade\r\nUpgrade: websocket"),
    "an upgrade to HTTP/2": more("Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AA"),
    "too large a head": more(`X: ${"x".repeat(9_000)}`),
    "too many fields": more(Array.from({ length: 2_000 }, () => "a:").join("\r\n")),
    "a trailer": more("Trailer: Content-Digest"),
    "an encoded body": more("Content-Encoding: gzip"),
  };
  for (const method of ["PUT", "DELETE", "HEAD", "OPTIONS", "TRACE", "PATCH", "CONNECT", "BREW", "get"]) {
    probes[method] = plain.replace("POST", method);
  }
  for (const [what, text] of Object.entries(probes)) {
    assert.notEqual(text, plain, what);
    const answer = await mesh.exchange(text + inner);
    assert.deepEqual(mesh.handled.map(({ path }) => path), [], what);
    assert.doesNotMatch(answer, /HTTP\/1\.1 [123]/, what);
    assert.ok((answer.match(/HTTP\/1\.1 /g)?.length ?? 0) <= 1, `${what}: ${answer}`);
  }
  await serves(mesh);
});

Deno.test("T50: listenMesh() speaks TLS 1.3 and HTTP/1.1 only", async () => {
  await using mesh = await TestMesh.start();
  const { connect } = await import("node:tls");
  for (const options of [{ maxVersion: "TLSv1.2" as const }, { ALPNProtocols: ["h2"] }]) {
    const socket = connect({
      port: mesh.listener.port,
      host: "127.0.0.1",
      servername: TLS_NAME,
      ca: trustAnchor(mesh.bob.publicKey),
      checkServerIdentity: () => undefined,
      ...options,
    });
    socket.once("secureConnect", () => assert.fail("It should have been refused"));
    const closed = Promise.withResolvers<void>();
    socket.on("error", () => {});
    socket.once("close", () => closed.resolve());
    await closed.promise;
  }
  const plain = tcp(mesh);
  plain.resume();
  plain.write("GET / HTTP/1.1\r\nHost: x\r\n\r\n");
  await once(plain, "close");
  await serves(mesh);
});

Deno.test("listenMesh() outlives callers that hang up at every possible moment", async () => {
  await using mesh = await TestMesh.start({
    handler: (request) =>
      Promise.resolve(
        new Response(
          request.url.endsWith("/still") ? "well" : new ReadableStream({
            pull: (controller) => controller.enqueue(new Uint8Array(64 << 10)),
          }),
        ),
      ),
  });
  const stranger = generateIdentity();
  const messages = [
    "",
    "GET",
    "CONNECT x:1 HTTP/1.1\r\nHost: x\r\n\r\n",
    "GET / HTTP/1.1\r\nHost: x\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n",
    "GET / HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\n\r\n",
    "PUT / HTTP/1.1\r\nHost: x\r\nContent-Length: 100000\r\n\r\n",
    "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 100000\r\n\r\n",
    "rubbish\r\n\r\n",
  ];
  for (let round = 0; round < 6; round++) {
    const texts = [
      ...messages,
      requestText(mesh.request({}, stranger)),
      requestText(mesh.request({}, mesh.rita)),
      requestText(mesh.request()),
      headText(mesh.request({ body: "x".repeat(1_000) })),
      requestText(mesh.request({ body: "x".repeat(1_000) })),
    ];
    await Promise.all(texts.map(async (text) => {
      const connection = await mesh.connect();
      const sent = connection.send(text);
      // At once, after a few turns of the event loop, or after the answer has begun.
      for (let turn = 0; turn < round; turn++) await new Promise((resolve) => setTimeout(resolve, 0));
      if (round === 5 && text.length > 3) await connection.read();
      connection[Symbol.dispose]();
      await sent;
    }));
    const half = tcp(mesh);
    await once(half, "connect");
    half.write(Uint8Array.of(0x16, 3, 1, 0, 200));
    half.resetAndDestroy();
  }
  await serves(mesh);
  await Promise.all(mesh.handled.filter(({ path }) => path !== "/still").map(({ signal }) => aborted(signal)));
});

Deno.test("A stranger's flood leaves an approved peer's connection alone", async () => {
  await using mesh = await TestMesh.start({ limits: { strangersPerSource: 8, burstPerSource: 16 } });
  await using client = mesh.client();
  const ask = async () => {
    const response = await client.request(mesh.peer, { method: "GET", path: "/", deadlineMs: 30_000 });
    await new Response(response.body).text();
    return response.status;
  };
  assert.equal(await ask(), 200);
  await using stranger = new MeshClient({ identity: generateIdentity(), clock: mesh.clock });
  let refused = 0;
  for (let i = 0; i < 40; i++) {
    await stranger.request(mesh.peer, { method: "GET", path: "/", deadlineMs: 30_000 }).catch(() => refused++);
    assert.equal(await ask(), 200);
  }
  assert.equal(refused, 40);
  assert.ok(mesh.refusals.some(({ code }) => code === "busy"));
  assert.equal(mesh.handled.length, 41);
});
