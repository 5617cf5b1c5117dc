import assert from "node:assert/strict";
import { requestText, statusOf, TestMesh } from "./mesh_fixture.ts";

const LONG = Deno.env.get("ARK_LONG") === "1";
const RECORDED = LONG ? 1_000 : 100;
const AT_ONCE = LONG ? 50 : 2;
const CONNECTIONS = 64;

const DONE = /0\r\n\r\n$/;

/** What each of many texts is answered, a few connections at a time. */
async function statusesOf(mesh: TestMesh, texts: readonly string[]): Promise<number[]> {
  const statuses: number[] = [];
  for (let at = 0; at < texts.length; at += 16) {
    const answers = await Promise.all(
      texts.slice(at, at + 16).map(async (text) => {
        // Not to the end: one who only has the wrong nonce may ask again on the same connection.
        using connection = await mesh.connect();
        await connection.send(text);
        return await connection.readTo(/\r\n\r\n/);
      }),
    );
    statuses.push(...answers.map(statusOf));
  }
  return statuses;
}

Deno.test("T04: Of recorded requests none is accepted twice: at once, later, after a restart, at another node", async () => {
  await using mesh = await TestMesh.start();
  // It has run for long enough to judge by its clock, and has the same friends.
  await using other = await TestMesh.start({ like: mesh, other: true });
  const body = { target: "/ark/v1/infer", body: `{"question":1}` };
  const recorded: string[] = [];
  {
    using connection = await mesh.connect();
    for (let i = 0; i < RECORDED; i++) {
      // As clocks differ: some are from the future, some from the past.
      const text = requestText(mesh.request({ ...body, created: mesh.clock.created + (i % 119) - 59 }));
      recorded.push(text);
      await connection.send(text);
      assert.equal(statusOf(await connection.readTo(DONE)), 200);
    }
  }
  assert.equal(mesh.handled.length, RECORDED);
  const refuses = async (at: TestMesh, when: string) => {
    const before = at.handled.length;
    const statuses = await statusesOf(at, recorded);
    assert.deepEqual([...new Set(statuses)], [401], when);
    assert.equal(at.handled.length, before, when);
  };
  await refuses(mesh, "at once");
  await refuses(other, "at another node");
  // A clock that is set back does not bring them back.
  mesh.clock.stepWall(-600);
  await refuses(mesh, "after the clock was set back");
  mesh.clock.stepWall(600);
  mesh.clock.pass(59);
  await refuses(mesh, "after 59 s");
  mesh.clock.pass(2);
  await refuses(mesh, "after 61 s");
  {
    await using restarted = await TestMesh.start({ like: mesh, young: true });
    assert.equal(restarted.bob.id, mesh.bob.id);
    await refuses(restarted, "after a restart");
  }
  mesh.clock.pass(61);
  await refuses(mesh, "after two minutes");
});

Deno.test("T04: What was recorded before a restart is not accepted after the two minutes that follow it", async () => {
  await using mesh = await TestMesh.start();
  const recorded = Array.from(
    { length: 20 },
    (_, i) => requestText(mesh.request({ created: mesh.clock.created + 57 + i % 4 })),
  );
  using connection = await mesh.connect();
  for (const text of recorded) {
    await connection.send(text);
    await connection.readTo(DONE);
  }
  await using restarted = await TestMesh.start({ like: mesh, young: true });
  for (const seconds of [0, 60, 59, 1, 1]) {
    mesh.clock.pass(seconds);
    assert.deepEqual([...new Set(await statusesOf(restarted, recorded))], [401]);
  }
  assert.equal(restarted.handled.length, 0);
});

Deno.test("T04: Of 64 copies that come on as many connections at the same instant one is accepted", async () => {
  await using mesh = await TestMesh.start({ limits: { connections: 1_000, lingerMs: 50 } });
  for (let round = 0; round < AT_ONCE; round++) {
    const text = requestText(mesh.request({ body: "x" }));
    const connections = await Promise.all(Array.from({ length: CONNECTIONS }, () => mesh.connect()));
    try {
      // All are connected before any of them speaks.
      const answers = await Promise.all(connections.map(async (connection) => {
        await connection.send(text);
        return statusOf(await connection.readTo(/\r\n\r\n/));
      }));
      assert.equal(answers.filter((status) => status === 200).length, 1);
      assert.equal(answers.filter((status) => status === 401).length, CONNECTIONS - 1);
    } finally {
      for (const connection of connections) connection[Symbol.dispose]();
    }
  }
  assert.equal(mesh.handled.length, AT_ONCE);
});
