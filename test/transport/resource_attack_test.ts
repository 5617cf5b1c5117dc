/** Those who want to take memory: how much is taken in the end. */
import assert from "node:assert/strict";
import { gzipSync } from "node:zlib";
import { askApart, type Asked } from "./asking_main.ts";
import { aborted, type RawConnection, requestText, statusOf, TestMesh, until } from "./mesh_fixture.ts";
import { ScriptedNode } from "./scripted_node.ts";

const MIB = 1 << 20;

Deno.test("T25: A peer that answers with a decompression bomb gets an error, and nothing is inflated", async () => {
  const bomb = gzipSync(new Uint8Array(512 * MIB));
  assert.ok(bomb.length > 500_000);
  for (const encoding of ["gzip", "deflate", "br", "identity, gzip", "x-gzip"]) {
    await using node = await ScriptedNode.start((request, socket) => {
      assert.match(request.head, /^accept-encoding: identity$/im);
      socket.write(
        `HTTP/1.1 200 OK\r\n${
          node.sign(request)
        }Content-Encoding: ${encoding}\r\nContent-Length: ${bomb.length}\r\n\r\n`,
      );
      socket.write(bomb);
    });
    const { error, grownMiB }: Asked = await askApart(node.peer);
    assert.match(error ?? "", /compressed/, encoding);
    assert.ok(grownMiB <= 8, `${encoding}: ${grownMiB.toFixed(1)} MiB`);
  }
});

Deno.test("T64: A peer's idle connections, nonces and pending streams have a bound each", async () => {
  const running: AbortSignal[] = [];
  let made = 0;
  await using mesh = await TestMesh.start({
    limits: { connectionsPerSource: 24, connections: 32, noncesPerPeer: 60, writeStallMs: 600_000 },
    handler: (request) => {
      if (!request.url.endsWith("/endless")) return Promise.resolve(new Response("well"));
      running.push(request.signal);
      const pull = (controller: ReadableStreamDefaultController) => {
        made += 64 << 10;
        controller.enqueue(new Uint8Array(64 << 10));
      };
      return Promise.resolve(new Response(new ReadableStream({ pull })));
    },
  });
  const held: RawConnection[] = [];
  try {
    // Idle connections, each proven, as many as there may be: what comes then is turned away.
    for (let i = 0; i < 24; i++) {
      const connection = await mesh.connect();
      held.push(connection);
      await connection.send(requestText(mesh.request()));
      await connection.readTo(/0\r\n\r\n$/);
    }
    for (let i = 0; i < 8; i++) await assert.rejects(mesh.connect());
    assert.ok(mesh.refusals.every(({ code }) => code === "busy"));

    // Streams that nobody reads: one on each connection, and each holds as much as the system's buffers.
    for (const connection of held) await connection.send(requestText(mesh.request({ target: "/endless" })));
    await until(() => running.length === held.length);
    let before = 0;
    // Until nothing more is made for a while: without a bound that would never be.
    while (made > before) {
      before = made;
      await new Promise((resolve) => setTimeout(resolve, 200));
      assert.ok(made < held.length * 8 * MIB, `${made / MIB} MiB for ${held.length} streams`);
    }
    for (const connection of held.splice(0)) connection[Symbol.dispose]();
    await Promise.all(running.map(aborted));

    // Nonces: 24 + 24 are remembered, and no more than 60 will be.
    const statuses: number[] = [];
    for (let i = 0; i < 20; i++) {
      const connection = await mesh.connect();
      await connection.send(requestText(mesh.request()));
      statuses.push(statusOf(await connection.readTo(/\}\}$|0\r\n\r\n$/)));
      connection[Symbol.dispose]();
    }
    assert.deepEqual(statuses, [...Array(12).fill(200), ...Array(8).fill(429)]);
    assert.ok(mesh.refusals.slice(-8).every(({ code, nodeId }) => code === "busy" && nodeId === mesh.alice.id));
    // Time gives the room back.
    mesh.clock.pass(200);
    using connection = await mesh.connect();
    await connection.send(requestText(mesh.request()));
    assert.equal(statusOf(await connection.readTo(/0\r\n\r\n$/)), 200);
  } finally {
    for (const connection of held) connection[Symbol.dispose]();
  }
});
