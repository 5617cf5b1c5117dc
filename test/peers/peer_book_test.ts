import assert from "node:assert/strict";
import fc from "fast-check";
import { PeerBook } from "@ark/node/peers";
import { openStore } from "@ark/node/store";
import { Logger } from "@ark/node/telemetry";
import { type BookFixture, somebody, withBook } from "./book_fixture.ts";

const SILENT = new Logger({ write: () => {} });

function test(name: string, body: (fixture: BookFixture) => Promise<void>): void {
  Deno.test(name, () => withBook(body));
}

async function filesOf(directory: string): Promise<string[]> {
  const files = await Array.fromAsync(Deno.readDir(directory), ({ name }) => name);
  return files.filter((name) => !name.startsWith("node.db")).sort();
}

test("PeerBook.approve() writes the founding texts' shape, 0600, and leaves nothing else", async (fixture) => {
  const book = await fixture.open();
  const { id, approval } = somebody();
  const peer = await book.approve({ ...approval, node_id: "ark-neighbor-001" });
  assert.equal(peer.name, "ark-neighbor-001");
  assert.deepEqual([book.get(id), book.list(), book.standing(id)], [peer, [peer], "approved"]);
  assert.deepEqual(await fixture.entries(), [peer]);
  assert.deepEqual(Object.keys(peer), ["node_id", "public_key", "name", "approved_at", "permissions"]);
  assert.deepEqual(await filesOf(fixture.directory), ["approved_peers.json"]);
  if (Deno.build.os !== "windows") assert.equal(((await Deno.stat(fixture.file)).mode ?? 0) & 0o777, 0o600);
  assert.deepEqual((await fixture.open()).list(), [peer]);
});

test("PeerBook.approve() changes what a peer may do, and keeps its name where none is given", async (fixture) => {
  const book = await fixture.open();
  const { id, approval } = somebody();
  await book.approve({ ...approval, name: "Dave's Ark" });
  await book.approve({ node_id: id, permissions: { can_pull_models: true } });
  const { name, permissions } = book.get(id) ?? assert.fail();
  assert.equal(name, "Dave's Ark");
  assert.deepEqual(permissions, {
    can_request_inference: false,
    can_pull_models: true,
    models_shared: [],
    max_concurrent_requests: 1,
  });
  assert.equal((await book.approve({ ...approval, name: "Dave" })).name, "Dave");
  assert.equal((await fixture.entries()).length, 1);
  assert.ok(fixture.told.every((what) => what === "changed"));
});

test("PeerBook.approve() of one who is paused or unverified takes that away only where it says so", async (fixture) => {
  const { id, approval } = somebody();
  const book = await fixture.open();
  const wireguard_key = `wg:${btoa("\x07".repeat(32))}`;
  await book.approve({ ...approval, paused: true, verified: false, wireguard_key });
  const again = await book.approve(approval);
  assert.deepEqual([again.paused, again.verified, again.wireguard_key], [true, false, wireguard_key]);
  const verified = await book.approve({ ...approval, verified: true });
  assert.deepEqual([verified.paused, verified.verified], [true, undefined]);
  const free = await book.approve({ ...approval, paused: false });
  assert.deepEqual([free.paused, free.verified], [undefined, undefined]);
  assert.deepEqual((await fixture.open()).get(id), free);
});

test("PeerBook.setPaused() counts at once, is durable, keeps the approval, and cuts once", async (fixture) => {
  const { id, approval } = somebody();
  const book = await fixture.open();
  const peer = await book.approve(approval);
  fixture.told.length = 0;
  const paused = await book.setPaused(id, "paused");
  assert.deepEqual([paused, book.get(id), book.standing(id)], [{ ...peer, paused: true }, paused, "approved"]);
  assert.deepEqual(fixture.told, [`removed ${id}`, "changed"]);
  assert.deepEqual(await fixture.entries(), [paused]);
  await book.setPaused(id, "paused");
  assert.equal(fixture.told.filter((one) => one.startsWith("removed")).length, 1);
  const after = await fixture.open();
  assert.ok(after.get(id)?.paused);
  assert.deepEqual(await after.setPaused(id, "resumed"), peer);
  assert.deepEqual(await fixture.entries(), [peer]);
  assert.equal(await after.setPaused(somebody().id, "paused"), undefined);
});

test("PeerBook.setPaused() holds where it cannot be written, and a pause by hand cuts, too", async (fixture) => {
  const { id, approval } = somebody();
  const book = await fixture.open();
  const peer = await book.approve(approval);
  await fixture.edit("{");
  await assert.rejects(book.setPaused(id, "paused"), { code: "internal", message: /could not be written/ });
  assert.ok(book.get(id)?.paused);
  await fixture.edit({ peers: [peer] });
  await book.reload();
  assert.equal(book.get(id)?.paused, undefined);
  fixture.told.length = 0;
  await fixture.edit({ peers: [{ ...peer, paused: true }] });
  await book.reload();
  assert.deepEqual(fixture.told, [`removed ${id}`, "changed"]);
});

test("PeerBook.approve() refuses what is wrong, and changes nothing", async (fixture) => {
  const book = await fixture.open();
  const { approval } = somebody();
  for (const wrong of [{}, null, { ...approval, user: 1 }, { ...approval, expires_at: "2020-01-01" }]) {
    await assert.rejects(book.approve(wrong), { name: "ArkError", code: "bad_request" });
  }
  assert.deepEqual(book.list(), []);
  assert.deepEqual(await filesOf(fixture.directory), []);
});

test("PeerBook.revoke() takes the approval out of memory at once, then out of the file", async (fixture) => {
  const book = await fixture.open();
  const [dave, ann] = [somebody(), somebody()];
  const peer = await book.approve(dave.approval);
  await book.approve(ann.approval);
  fixture.told.length = 0;
  const revoked = book.revoke(dave.id);
  assert.deepEqual([book.get(dave.id), book.standing(dave.id)], [undefined, "revoked"]);
  assert.deepEqual(fixture.told, [`removed ${dave.id}`]);
  assert.equal((await fixture.entries()).length, 2);
  assert.deepEqual(await revoked, peer);
  assert.deepEqual((await fixture.entries()).map(({ node_id }) => node_id), [ann.id]);
  assert.deepEqual(fixture.told, [`removed ${dave.id}`, "changed"]);
  assert.equal(book.standing(dave.id), "revoked");
  assert.deepEqual(await filesOf(fixture.directory), ["approved_peers.json"]);
});

test("PeerBook.revoke() of one who is not approved changes nothing", async (fixture) => {
  const book = await fixture.open();
  const { id } = somebody();
  assert.equal(await book.revoke(id), undefined);
  assert.equal(book.standing(id), "unknown");
  assert.deepEqual(fixture.told, []);
});

test("PeerBook remembers over a restart who was revoked, and forgets it when he is approved again", async (fixture) => {
  const { id, approval } = somebody();
  const before = await fixture.open();
  await before.approve(approval);
  await before.revoke(id);
  const after = await fixture.open();
  assert.equal(after.standing(id), "revoked");
  await after.approve(approval);
  assert.equal(after.standing(id), "approved");
  assert.equal((await fixture.open()).standing(id), "approved");
  assert.deepEqual(await fixture.store.selectFrom("revoked_peers").selectAll().execute(), []);
});

test("PeerBook does not take a revoked peer back from a backup of the file, but from a younger entry", async (fixture) => {
  const { id, approval } = somebody();
  const book = await fixture.open();
  const peer = await book.approve(approval);
  const backup = await Deno.readTextFile(fixture.file);
  await book.revoke(id);
  await fixture.edit(backup);
  await book.reload();
  assert.equal(book.standing(id), "revoked");
  assert.ok(fixture.log.some((line) => line.includes("A revoked peer is still in the file")));
  assert.equal((await fixture.open()).standing(id), "revoked");
  await fixture.edit({ peers: [{ ...peer, approved_at: new Date(Date.now() + 1_000).toISOString() }] });
  await book.reload();
  assert.equal(book.standing(id), "approved");
  assert.equal((await fixture.open()).standing(id), "approved");
});

test("PeerBook takes a hand-written entry without times, and a revoked one too when it was written later", async (fixture) => {
  const { id, approval } = somebody();
  await fixture.edit({ peers: [{ ...approval, node_id: "ark-neighbor-001" }] });
  const book = await fixture.open();
  assert.equal(book.get(id)?.name, "ark-neighbor-001");
  assert.match(book.get(id)?.approved_at ?? "", /^20/);
  await fixture.edit({ peers: [] });
  await book.reload();
  assert.equal(book.standing(id), "unknown");
});

test("PeerBook keeps the last good set while the file is malformed, and says what is wrong", async (fixture) => {
  const book = await fixture.open();
  const { id, approval } = somebody();
  const peer = await book.approve(approval);
  const nobody = somebody();
  for (
    const [wrong, reason] of [
      ["{", "it is not valid JSON"],
      ["", "it is not valid JSON"],
      ["[]", 'it has no list "peers"'],
      ["null", 'it has no list "peers"'],
      [{ peers: {} }, 'it has no list "peers"'],
      [{ peers: [peer, { ...nobody.approval, user: 1 }] }, "entry 2: The approval has an unknown field: user"],
      [
        { peers: [{ ...peer, public_key: nobody.approval.public_key }] },
        "entry 1: Fields node_id and public_key name two",
      ],
    ] as const
  ) {
    await fixture.edit(wrong);
    await book.reload();
    assert.ok(book.fault?.startsWith(`Cannot use ${fixture.file}: ${reason}`), book.fault ?? "no fault");
    assert.deepEqual(book.list(), [peer]);
    await assert.rejects(book.approve(nobody.approval), {
      code: "bad_request",
      message: /^Nothing was changed: Cannot/,
    });
    const text = typeof wrong === "string" ? wrong : JSON.stringify(wrong);
    assert.equal(await Deno.readTextFile(fixture.file), text);
  }
  await fixture.edit({ peers: [peer] });
  await book.reload();
  assert.equal(book.fault, null);
  assert.equal(book.standing(id), "approved");
});

test("PeerBook says once what is wrong with the file, however often it looks", async (fixture) => {
  const book = await fixture.open();
  await fixture.edit("{");
  for (let look = 0; look < 3; look++) await book.reload();
  assert.equal(fixture.log.filter((line) => line.includes("Cannot use")).length, 1);
});

test("PeerBook.revoke() holds while the file is malformed, and after it was mended and after a restart", async (fixture) => {
  const { id, approval } = somebody();
  const book = await fixture.open();
  const peer = await book.approve(approval);
  await fixture.edit("{");
  assert.deepEqual(await book.revoke(id), peer);
  assert.equal(await Deno.readTextFile(fixture.file), "{");
  await fixture.edit({ peers: [peer] });
  await book.reload();
  assert.deepEqual([book.fault, book.standing(id)], [null, "revoked"]);
  assert.equal((await fixture.open()).standing(id), "revoked");
});

test("PeerBook approves nobody when the file is missing or malformed at the start, or goes away", async (fixture) => {
  const { id, approval } = somebody();
  await fixture.edit("{");
  assert.deepEqual((await fixture.open()).list(), []);
  await Deno.remove(fixture.file);
  const book = await fixture.open();
  assert.deepEqual([book.list(), book.fault], [[], null]);
  assert.deepEqual(fixture.told, []);
  await book.approve(approval);
  fixture.told.length = 0;
  await Deno.remove(fixture.file);
  await book.reload();
  assert.deepEqual([book.list(), book.fault, book.standing(id)], [[], null, "unknown"]);
  assert.deepEqual(fixture.told, [`removed ${id}`, "changed"]);
});

test("PeerBook.run() picks up edits by hand: who came, who left, who may do something else", async (fixture) => {
  const [dave, ann] = [somebody(), somebody()];
  const waiting: (() => void)[] = [];
  const book = await fixture.open({ changed: () => waiting.splice(0).forEach((tell) => tell()) });
  const peer = await book.approve(dave.approval);
  const stop = new AbortController();
  const running = book.run(stop.signal);
  const change = () => new Promise<void>((resolve) => waiting.push(resolve));

  let changed = change();
  await fixture.edit({
    peers: [{ ...peer, permissions: { ...peer.permissions, max_concurrent_requests: 7 } }, ann.approval],
  });
  await changed;
  assert.equal(book.get(dave.id)?.permissions.max_concurrent_requests, 7);
  assert.equal(book.standing(ann.id), "approved");

  changed = change();
  await fixture.edit({ peers: [ann.approval] });
  await changed;
  assert.deepEqual(fixture.told, [`removed ${dave.id}`]);
  assert.equal(book.standing(dave.id), "unknown");
  stop.abort();
  await running;
});

test("PeerBook ends an approval at its time: at once for requests, and open connections are told", async (fixture) => {
  const { id, approval } = somebody();
  const removed = Promise.withResolvers<string[]>();
  const book = await fixture.open({ removed: removed.resolve });
  const peer = await book.approve({ ...approval, expires_at: new Date(Date.now() + 300).toISOString() });
  assert.equal(book.standing(id), "approved");
  const stop = new AbortController();
  const running = book.run(stop.signal);
  assert.deepEqual(await removed.promise, [id]);
  assert.deepEqual([book.get(id), book.list(), book.standing(id)], [undefined, [], "unknown"]);
  assert.deepEqual((await fixture.entries()).map(({ node_id }) => node_id), [id]);
  stop.abort();
  await running;
  assert.deepEqual(await book.revoke(id), peer);
  assert.deepEqual(await fixture.entries(), []);
});

test("PeerBook.approve() that cannot write says so in one sentence, and approves nobody", async (fixture) => {
  const path = `${fixture.directory}/file/approved_peers.json`;
  await Deno.mkdir(`${fixture.directory}/file`);
  const book = await fixture.open({ path });
  const [dave, ann] = [somebody(), somebody()];
  const peer = await book.approve(dave.approval);
  const written = await Deno.readTextFile(path);
  // A folder that turned into a file cannot be written by anyone, root included.
  await Deno.rename(`${fixture.directory}/file`, `${fixture.directory}/away`);
  await Deno.writeTextFile(`${fixture.directory}/file`, "");
  await assert.rejects(book.approve(ann.approval), (error: Error) => {
    assert.match(error.message, /^[A-Z][^\n]*approved_peers\.json: [^\n]+$/);
    return true;
  });
  assert.deepEqual([book.list(), book.standing(ann.id)], [[peer], "unknown"]);
  await Deno.remove(`${fixture.directory}/file`);
  await Deno.rename(`${fixture.directory}/away`, `${fixture.directory}/file`);
  assert.equal(await Deno.readTextFile(path), written);
  await book.approve(ann.approval);
  assert.deepEqual([book.list().length, book.fault], [2, null]);
  assert.deepEqual(await filesOf(`${fixture.directory}/file`), ["approved_peers.json"]);
});

test("PeerBook leaves no part of a file behind when the last step fails", async (fixture) => {
  const book = await fixture.open();
  const { id, approval } = somebody();
  const approving = book.approve(approval);
  // A folder in the file's place: it can be neither read nor replaced.
  await Deno.mkdir(`${fixture.file}/x`, { recursive: true });
  await assert.rejects(approving, { name: "ArkError" });
  assert.deepEqual(await filesOf(fixture.directory), ["approved_peers.json"]);
  assert.equal(book.standing(id), "unknown");
  await Deno.remove(fixture.file, { recursive: true });
  await book.approve(approval);
  assert.deepEqual([book.standing(id), book.fault], ["approved", null]);
});

test("PeerBook.revoke() holds where the file cannot be written, and says so in its fault", async (fixture) => {
  const path = `${fixture.directory}/file/approved_peers.json`;
  await Deno.mkdir(`${fixture.directory}/file`);
  const book = await fixture.open({ path });
  const { id, approval } = somebody();
  const peer = await book.approve(approval);
  await Deno.rename(`${fixture.directory}/file`, `${fixture.directory}/away`);
  await Deno.writeTextFile(`${fixture.directory}/file`, "");
  assert.deepEqual(await book.revoke(id), peer);
  assert.ok(book.fault !== null);
  assert.equal(book.standing(id), "revoked");
  await Deno.remove(`${fixture.directory}/file`);
  await Deno.rename(`${fixture.directory}/away`, `${fixture.directory}/file`);
  await book.reload();
  assert.equal(book.standing(id), "revoked");
  assert.equal((await fixture.open({ path })).standing(id), "revoked");
});

Deno.test("PeerBook.revoke() fails when neither file nor database can be written, and shuts the peer out all the same", async () => {
  const directory = await Deno.makeTempDir({ prefix: "ark-peers-" });
  try {
    const store = await openStore(":memory:");
    const path = `${directory}/file/approved_peers.json`;
    await Deno.mkdir(`${directory}/file`);
    const book = await PeerBook.open({ path, store, logger: SILENT });
    const { id, approval } = somebody();
    await book.approve(approval);
    await store[Symbol.asyncDispose]();
    await Deno.rename(`${directory}/file`, `${directory}/away`);
    await Deno.writeTextFile(`${directory}/file`, "");
    await assert.rejects(book.revoke(id), { name: "ArkError", code: "internal" });
    assert.equal(book.standing(id), "revoked");
  } finally {
    await Deno.remove(directory, { recursive: true });
  }
});

Deno.test("PeerBook writes the file also where the database fails", async () => {
  const directory = await Deno.makeTempDir({ prefix: "ark-peers-" });
  try {
    const store = await openStore(":memory:");
    const path = `${directory}/approved_peers.json`;
    const book = await PeerBook.open({ path, store, logger: SILENT });
    const { id, approval } = somebody();
    await book.approve(approval);
    await store[Symbol.asyncDispose]();
    await book.revoke(id);
    assert.equal(JSON.parse(await Deno.readTextFile(path)).peers.length, 0);
    await book.approve(approval);
    assert.equal(book.standing(id), "approved");
    assert.equal(JSON.parse(await Deno.readTextFile(path)).peers.length, 1);
  } finally {
    await Deno.remove(directory, { recursive: true });
  }
});

test("PeerBook does approvals and revocations in the order in which they were asked for", async (fixture) => {
  const book = await fixture.open();
  const { id, approval } = somebody();
  await Promise.all([book.approve(approval), book.revoke(id)]);
  assert.deepEqual([book.standing(id), await fixture.entries()], ["revoked", []]);
  await Promise.all([book.approve(approval), book.revoke(id), book.approve(approval)]);
  assert.equal(book.standing(id), "approved");
  assert.equal((await fixture.entries()).length, 1);
  await Promise.all([book.revoke(id), book.approve(approval), book.revoke(id), book.revoke(id)]);
  assert.deepEqual([book.standing(id), await fixture.entries()], ["revoked", []]);
});

test("PeerBook never lets a peer back in between a revocation's call and its end", async (fixture) => {
  const book = await fixture.open();
  const [dave, ann] = [somebody(), somebody()];
  await book.approve(dave.approval);
  let over = false;
  const seen = new Set<string>();
  const changes = [book.approve(ann.approval), book.approve(dave.approval), book.reload()];
  const revoked = book.revoke(dave.id).then(() => over = true);
  while (!over) {
    seen.add(book.standing(dave.id));
    await new Promise((resolve) => setTimeout(resolve));
  }
  await Promise.all([revoked, ...changes]);
  assert.deepEqual([...seen], ["revoked"]);
  assert.deepEqual([book.standing(dave.id), book.standing(ann.id)], ["revoked", "approved"]);
});

test("PeerBook agrees with a simple model after any interleaving, in memory, on disk and after a restart", async (fixture) => {
  const people = [somebody(), somebody(), somebody()];
  const step = fc.record({
    who: fc.nat(2),
    what: fc.constantFrom("approve", "revoke", "reload"),
    most: fc.integer({ min: 1, max: 9 }),
    waits: fc.boolean(),
  });
  await fc.assert(
    fc.asyncProperty(fc.array(step, { maxLength: 12 }), async (steps) => {
      await Deno.remove(fixture.file).catch(() => {});
      const book = await fixture.open();
      const expected = new Map<string, number>();
      const running: Promise<unknown>[] = [];
      for (const { who, what, most, waits } of steps) {
        const { id, approval } = people[who] ?? assert.fail();
        const permissions = { ...approval.permissions, max_concurrent_requests: most };
        if (what === "approve") expected.set(id, most);
        if (what === "revoke") expected.delete(id);
        running.push(
          what === "approve"
            ? book.approve({ ...approval, permissions })
            : what === "revoke"
            ? book.revoke(id)
            : book.reload(),
        );
        if (waits) await Promise.all(running);
      }
      await Promise.all(running);
      for (const one of [book, await fixture.open()]) {
        const found = one.list().map((peer) => [peer.node_id, peer.permissions.max_concurrent_requests] as const);
        assert.deepEqual(new Map(found), expected);
      }
      assert.deepEqual(new Set(await filesOf(fixture.directory)).difference(new Set(["approved_peers.json"])).size, 0);
    }),
    { numRuns: 60 },
  );
});
