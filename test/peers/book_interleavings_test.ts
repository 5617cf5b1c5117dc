import assert from "node:assert/strict";
import fc from "fast-check";
import type { PeerBook } from "@ark/node/peers";
import { type BookFixture, somebody, withBook } from "./book_fixture.ts";

const LONG = Deno.env.get("ARK_LONG") === "1";
const PEOPLE = [somebody(), somebody(), somebody()];

/** What is approved after all that was asked for, one after the other: requests at once, and whether it rests. */
type Model = Map<string, { most: number; paused: boolean }>;

/** A book, and what it has not finished yet. */
interface Real {
  readonly fixture: BookFixture;
  book: PeerBook;
  running: Promise<unknown>[];
}

type Command = fc.AsyncCommand<Model, Real>;

function command(name: string, run: (model: Model, real: Real) => Promise<void> | void): Command {
  return { check: () => true, run: async (model, real) => await run(model, real), toString: () => name };
}

function person(who: number): { id: string; approval: { public_key: string; permissions: object } } {
  return PEOPLE[who] ?? assert.fail();
}

function approve(who: number, most: number): Command {
  const { id, approval } = person(who);
  return command(`approve ${who} for ${most}`, (model, { book, running }) => {
    const permissions = { ...approval.permissions, max_concurrent_requests: most };
    running.push(book.approve({ ...approval, permissions }));
    model.set(id, { most, paused: model.get(id)?.paused ?? false });
  });
}

function revoke(who: number): Command {
  const { id } = person(who);
  return command(`revoke ${who}`, (model, { book, running }) => {
    running.push(book.revoke(id));
    assert.equal(book.get(id), undefined, "It counts from the call on, whatever is on its way");
    model.delete(id);
  });
}

function pause(who: number, how: "paused" | "resumed"): Command {
  const { id } = person(who);
  return command(`${how} ${who}`, (model, { book, running }) => {
    running.push(book.setPaused(id, how));
    const before = model.get(id);
    if (before !== undefined) model.set(id, { ...before, paused: how === "paused" });
  });
}

function editByHand(entries: [who: number, most: number, paused: boolean][]): Command {
  return command(`edit ${JSON.stringify(entries)}`, async (model, real) => {
    // What the owner edits is a file that he has read: with a change under way, either one may be the last.
    await settle(real);
    model.clear();
    for (const [who, most, paused] of entries) model.set(person(who).id, { most, paused });
    const peers = [...model].map(([id, { most, paused }]) => {
      const { approval } = PEOPLE.find((one) => one.id === id) ?? assert.fail();
      return { ...approval, paused, permissions: { ...approval.permissions, max_concurrent_requests: most } };
    });
    await real.fixture.edit({ peers });
    real.running.push(real.book.reload());
  });
}

function restart(): Command {
  return command("restart", async (_, real) => {
    await settle(real);
    real.book = await real.fixture.open();
  });
}

function wait(): Command {
  return command("wait", async (model, real) => {
    await settle(real);
    assertSame(real.book, model);
  });
}

async function settle(real: Real): Promise<void> {
  await Promise.all(real.running);
  real.running = [];
}

function assertSame(book: PeerBook, model: Model): void {
  const found = book.list().map(({ node_id, paused = false, permissions: { max_concurrent_requests: most } }) =>
    [node_id, { most, paused }] as const
  );
  assert.deepEqual(new Map(found), model);
}

Deno.test("T03: Approvals, revocations, pauses, edits by hand and restarts in any order leave what the last of each said", async () => {
  const who = fc.nat(PEOPLE.length - 1);
  const most = fc.integer({ min: 1, max: 9 });
  const commands = fc.commands([
    fc.tuple(who, most).map(([one, count]) => approve(one, count)),
    who.map(revoke),
    fc.tuple(who, fc.constantFrom("paused" as const, "resumed" as const)).map(([one, how]) => pause(one, how)),
    fc.array(fc.tuple(who, most, fc.boolean()), { maxLength: 3 }).map(editByHand),
    fc.constant(restart()),
    fc.constant(wait()),
  ], { maxCommands: 14 });
  // A disk that keeps nothing keeps the order all the same, and ten thousand times are done in minutes.
  const dir = await Deno.stat("/dev/shm").then(() => "/dev/shm", () => undefined);
  await withBook(async (fixture) => {
    await fc.assert(
      fc.asyncProperty(commands, async (all) => {
        await fixture.edit({ peers: [] });
        const model: Model = new Map();
        const real: Real = { fixture, book: await fixture.open(), running: [] };
        await fc.asyncModelRun(() => ({ model, real }), all);
        await settle(real);
        assertSame(real.book, model);
        assertSame(await fixture.open(), model);
      }),
      { numRuns: LONG ? 10_000 : 300 },
    );
  }, dir === undefined ? {} : { dir });
});
