import assert from "node:assert/strict";
import { Buffer } from "node:buffer";
import { EventEmitter } from "node:events";
import type { TLSSocket } from "node:tls";
import fc from "fast-check";
import type { ProvenHead } from "../../src/transport/authenticator.ts";
import { MeshConnection } from "../../src/transport/mesh_connection.ts";
import type { MeshHead } from "../../src/transport/mesh_head.ts";
import { MESH_LIMITS, type MeshLimits } from "../../src/transport/mesh_limits.ts";
import { SignedRequest } from "../../src/transport/mesh_request.ts";
import { contentDigest } from "../../src/transport/message_signature.ts";

/** A socket of which the test decides what comes on it. */
class ScriptedSocket extends EventEmitter {
  readonly remoteAddress = "::ffff:127.0.0.1";
  destroyed = false;
  writable = true;
  wire = "";

  write(bytes: Uint8Array | string, ...rest: unknown[]): boolean {
    this.wire += typeof bytes === "string" ? bytes : Buffer.from(bytes).toString("latin1");
    (rest.at(-1) as () => void)();
    return true;
  }

  destroySoon(): void {
    this.writable = false;
    this.destroy();
  }

  destroy(): void {
    if (this.destroyed) return;
    this.destroyed = true;
    this.emit("close");
  }
}

/** A connection, and what its owner was told. */
class Scene {
  readonly socket = new ScriptedSocket();
  readonly heads: MeshHead[] = [];
  readonly requests: SignedRequest[] = [];
  readonly limits: MeshLimits;
  readonly connection: MeshConnection;
  malformed = 0;
  closed = 0;

  /** With a body its requests are accepted, and answered only by the test; without one they are answered at once. */
  constructor({ body, limits = {} }: { body?: Uint8Array; limits?: Partial<MeshLimits> } = {}) {
    this.limits = { ...MESH_LIMITS, ...limits };
    this.connection = new MeshConnection(this.socket as unknown as TLSSocket, {
      limits: this.limits,
      asked: (connection, head) => {
        this.heads.push(head);
        if (body === undefined) return this.answer();
        const { contentLength, target, method } = head;
        const proven = { method, target, contentLength, contentDigest: contentDigest(body) } as ProvenHead;
        const request = new SignedRequest(proven, connection);
        this.requests.push(request);
        connection.accept(request);
      },
      malformed: () => void this.malformed++,
      closed: () => void this.closed++,
    });
  }

  answer(): void {
    this.connection.writer.begin("answer;", 0);
    this.connection.writer.flush();
  }

  /** Has text arrive in pieces that begin at these places. */
  send(text: string, at: readonly number[] = []): this {
    const bytes = Buffer.from(text, "latin1");
    const edges = [...new Set([0, ...at.map((place) => place % (bytes.length + 1)), bytes.length])].sort((a, b) =>
      a - b
    );
    for (const [index, edge] of edges.entries()) {
      const piece = bytes.subarray(edge, edges[index + 1]);
      // As a socket does: memory of its own for each piece.
      if (piece.length > 0 && !this.socket.destroyed) {
        this.socket.emit("data", Buffer.from(new Uint8Array(piece).buffer));
      }
    }
    return this;
  }

  /** What it came to. */
  get outcome(): unknown[] {
    return [this.heads, this.malformed, this.socket.destroyed, this.socket.wire];
  }
}

const GET = "GET /a HTTP/1.1\r\nHost: h\r\n\r\n";
const POST = "POST /b HTTP/1.1\r\nContent-Length: 5\r\n\r\nhello";
const BODY = new TextEncoder().encode("hello");

function every(text: string): number[] {
  return Array.from({ length: text.length }, (_, at) => at);
}

Deno.test("MeshConnection reads a request and its body however they are cut", async () => {
  for (const cuts of [[], every(POST), ...every(POST).map((at) => [at])]) {
    const scene = new Scene({ body: BODY });
    scene.send(POST, cuts);
    assert.equal(scene.heads[0]?.target, "/b");
    assert.equal(await scene.requests[0]?.text(), "hello");
    assert.ok(!scene.socket.destroyed);
    scene.answer();
    // The connection goes on.
    scene.send(POST, cuts);
    assert.equal(scene.heads.length, 2);
    assert.deepEqual(await scene.requests[1]?.bytes(), BODY);
    scene.socket.destroy();
    assert.equal(scene.closed, 1);
  }
});

Deno.test("MeshConnection gives out no body that is not the signed one, and none that does not come whole", async () => {
  const forged = new Scene({ body: BODY }).send(POST.replace("hello", "hullo"));
  await assert.rejects(async () => await forged.requests[0]?.bytes(), { code: "unauthenticated" });
  assert.ok(forged.requests[0]?.forged);
  for (const waits of [true, false]) {
    const scene = new Scene({ body: BODY }).send(POST.slice(0, -1));
    const reading = waits ? scene.requests[0]?.bytes() : null;
    scene.socket.destroy();
    await assert.rejects(async () => await (reading ?? scene.requests[0]?.bytes()), { code: "unavailable" });
    assert.ok(scene.requests[0]?.signal.aborted);
  }
  const late = new Scene({ body: BODY, limits: { requestMs: 10 } }).send(POST.slice(0, -1));
  await assert.rejects(async () => await late.requests[0]?.bytes(), { code: "unavailable", message: /in time/ });
  assert.ok(late.socket.destroyed);
});

Deno.test("MeshConnection is closed by whatever comes behind a request that is being answered", () => {
  for (const [text, extra] of [[GET, "G"], [GET, GET], [GET, "\r\n"], [POST, "x"], [POST, POST]] as const) {
    for (const cuts of [[], [text.length], [text.length - 1], every(text + extra)]) {
      const scene = new Scene({ body: BODY }).send(text + extra, cuts);
      assert.equal(scene.heads.length, 1);
      assert.ok(scene.socket.destroyed);
      assert.ok(scene.requests[0]?.left);
      assert.ok(scene.requests[0]?.signal.aborted);
      assert.equal(scene.malformed, 0);
    }
  }
});

Deno.test("MeshConnection takes a head of so many bytes and none that is longer", () => {
  const line = "GET / HTTP/1.1\r\nX: ";
  for (const [length, taken] of [[200, true], [201, false], [9_000, false]] as const) {
    const text = `${line.padEnd(length - "\r\n\r\n".length, "x")}\r\n\r\n`;
    for (const cuts of [[], every(text), [100, 199]]) {
      const scene = new Scene({ limits: { headerBytes: 196 } }).send(text, cuts);
      assert.equal(scene.heads.length, taken ? 1 : 0, `${length} bytes`);
      assert.equal(scene.malformed, taken ? 0 : 1);
      assert.equal(scene.socket.destroyed, !taken);
      scene.socket.destroy();
    }
  }
});

Deno.test("MeshConnection.look() ends a head, a body, an idle connection and a caller that take too long", () => {
  const now = performance.now();
  const { headersMs, requestMs, keepAliveMs, writeStallMs } = MESH_LIMITS;
  const silent = new Scene();
  silent.connection.look(now + headersMs - 100);
  assert.ok(!silent.socket.destroyed);
  silent.connection.look(now + headersMs + 1_000);
  assert.deepEqual([silent.malformed, silent.socket.destroyed], [1, true]);

  const slow = new Scene().send(GET.slice(0, -3));
  slow.connection.look(now + headersMs + 1_000);
  assert.deepEqual([slow.malformed, slow.socket.destroyed], [1, true]);

  // Where the body is part of the way here, and where nothing of it is.
  for (const text of [POST.slice(0, -1), POST.slice(0, -5)]) {
    const body = new Scene({ body: BODY }).send(text);
    body.connection.look(now + requestMs - 100);
    assert.ok(!body.socket.destroyed);
    body.connection.look(now + requestMs + 1_000);
    assert.deepEqual([body.malformed, body.socket.destroyed], [1, true]);
  }

  // A handler may take its time.
  const kept = new Scene({ body: BODY }).send(POST);
  kept.connection.look(now + 1e9);
  assert.ok(!kept.socket.destroyed);
  kept.answer();
  kept.connection.look(now + keepAliveMs - 100);
  assert.ok(!kept.socket.destroyed);
  kept.connection.look(now + keepAliveMs + 1_000);
  assert.deepEqual([kept.malformed, kept.socket.destroyed], [0, true]);

  const unread = new Scene({ body: BODY }).send(POST);
  unread.socket.write = () => false;
  unread.connection.writer.begin("answer;");
  unread.connection.writer.write(BODY);
  for (const ms of [0, writeStallMs - 1]) unread.connection.look(now + ms);
  assert.ok(!unread.socket.destroyed);
  unread.connection.look(now + writeStallMs);
  assert.ok(unread.socket.destroyed && unread.requests[0]?.left);
});

Deno.test("MeshConnection drops the rest of a body that nobody wanted, and takes the next request behind it", () => {
  const scene = new Scene({ body: BODY }).send(POST.slice(0, -2));
  scene.requests[0]?.unwanted();
  scene.answer();
  scene.send(`lo${GET}`);
  assert.deepEqual(scene.heads.map(({ target }) => target), ["/b", "/a"]);
});

Deno.test("MeshConnection lets whoever is turned away finish his body, and looks at nothing more", () => {
  const limits = { lingerMs: 60_000, bodyBytes: 1_000 };
  const text = "POST / HTTP/1.1\r\nContent-Length: 500\r\n\r\n";
  const refused = (length: number) => {
    const scene = new Scene({ body: BODY, limits }).send(text + "x".repeat(length));
    scene.connection.turnAway("no;");
    assert.equal(scene.socket.wire, "no;");
    return scene;
  };
  assert.ok(refused(500).socket.destroyed, "There is nothing to wait for");
  const scene = refused(100);
  scene.send("x".repeat(399));
  assert.ok(!scene.socket.destroyed);
  scene.send(`x${GET}`);
  assert.ok(scene.socket.destroyed);
  assert.equal(scene.heads.length, 1);
  const left = refused(0);
  left.socket.emit("end");
  assert.ok(left.socket.destroyed);
  const pouring = new Scene({ body: BODY, limits }).send(text.replace("500", "500000"));
  pouring.connection.turnAway("no;");
  for (let sent = 0; sent < 1_000; sent += 100) pouring.send("x".repeat(100));
  assert.ok(!pouring.socket.destroyed);
  pouring.send("x");
  assert.ok(pouring.socket.destroyed);
});

Deno.test("MeshConnection ends with the answer where its caller wants that, and with a caller that says no more", () => {
  const last = new Scene().send(GET.replace("\r\n\r\n", "\r\nConnection: close\r\n\r\n"));
  assert.deepEqual([last.socket.wire, last.socket.destroyed, last.malformed], ["answer;", true, 0]);
  for (const text of ["", "GET", GET, POST.slice(0, -1), POST]) {
    const scene = new Scene({ body: BODY }).send(text);
    scene.socket.emit("end");
    assert.ok(scene.socket.destroyed, text);
    assert.equal(scene.malformed, 0);
    assert.ok(scene.requests.every(({ left }) => left));
  }
});

Deno.test("MeshConnection tells of errors that are no hang-up", () => {
  for (const [code, told] of [["ECONNRESET", 0], ["EPIPE", 0], ["ERR_SSL_DECRYPT", 1]] as const) {
    const scene = new Scene().send(GET);
    scene.socket.emit("error", Object.assign(new Error(code), { code }));
    assert.deepEqual([scene.malformed, scene.socket.destroyed], [told, true]);
  }
});

const TOKEN = fc.constantFrom(
  GET,
  POST,
  "POST /c HTTP/1.1\r\nContent-Length: 3\r\n\r\n",
  "PUT /d HTTP/1.1\r\n\r\n",
  "GET /e HTTP/1.1\r\n",
  "Host: h\r\n",
  `X: ${"x".repeat(40)}\r\n`,
  "Content-Length: 2\r\n",
  "Connection: close\r\n",
  "Transfer-Encoding: chunked\r\n",
  "\r\n",
  "abc",
  "\n",
  "\r",
  " ",
  "\0",
  "\xff",
);

Deno.test("MeshConnection reads the same requests however their bytes are cut, and ends on any bytes at all", () => {
  const texts = fc.oneof(
    fc.array(TOKEN, { maxLength: 14 }).map((tokens) => tokens.join("")),
    fc.uint8Array({ maxLength: 200 }).map((bytes) => String.fromCharCode(...bytes)),
  );
  let whole = 0;
  fc.assert(
    fc.property(texts, fc.array(fc.nat(), { maxLength: 10 }), (text, at) => {
      const limits = { headerBytes: 100 };
      const read = new Scene({ limits }).send(text);
      assert.deepEqual(new Scene({ limits }).send(text, at).outcome, read.outcome);
      assert.deepEqual(new Scene({ limits }).send(text, every(text)).outcome, read.outcome);
      if (read.heads.length > 0) whole++;
    }),
    { numRuns: 3_000 },
  );
  assert.ok(whole > 100, `${whole}`);
});
