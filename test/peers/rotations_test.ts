import assert from "node:assert/strict";
import {
  formatPublicKey,
  generateIdentity,
  type Identity,
  type SignedRotation,
  signRotation,
} from "@ark/node/identity";
import { type AcceptedRotation, type PeerBook, Rotations } from "@ark/node/peers";
import { type BookFixture, withBook } from "./book_fixture.ts";

const CREATED = "2026-11-21T08:00:00.000Z";

function rotation(old: Identity, next: Identity, seq = 1): SignedRotation {
  return signRotation({ old, new: next }, { seq, created: CREATED });
}

interface Scene {
  book: PeerBook;
  rotations: Rotations;
  self: Identity;
  /** An approved peer's key. */
  anna: Identity;
  accepted: AcceptedRotation[];
  fixture: BookFixture;
  /** As a node does that starts again. */
  restart(): Promise<{ book: PeerBook; rotations: Rotations }>;
  approve(identity: Identity, name?: string): Promise<void>;
}

async function withScene(test: (scene: Scene) => Promise<void>, { automatic = false } = {}): Promise<void> {
  await withBook(async (fixture) => {
    const self = generateIdentity();
    const accepted: AcceptedRotation[] = [];
    const open = async () => {
      const book = await fixture.open();
      const rotations = await Rotations.open({
        store: fixture.store,
        book,
        self: self.id,
        automatic,
        accepted: (one) => Promise.resolve(void accepted.push(one)),
      });
      return { book, rotations };
    };
    const { book, rotations } = await open();
    const approve = async (identity: Identity, name = "Anna") => {
      await book.approve({
        public_key: formatPublicKey(identity.publicKey),
        name,
        permissions: { can_request_inference: true, models_shared: ["tiny:*"], max_concurrent_requests: 3 },
      });
    };
    const anna = generateIdentity();
    await approve(anna);
    await test({ book, rotations, self, anna, accepted, fixture, restart: open, approve });
  });
}

const refused = (reason: RegExp) => ({ name: "ArkError", code: "forbidden", message: reason });

Deno.test("A peer's new key waits for the owner, and then has its permissions; the old one is revoked", async () => {
  await withScene(async ({ book, rotations, anna, accepted, fixture, restart }) => {
    const next = generateIdentity();
    const before = book.get(anna.id);
    assert.equal(await rotations.hear([rotation(anna, next)], next.id), "pending");
    assert.equal(book.standing(anna.id), "approved");
    assert.equal(book.standing(next.id), "unknown");
    const [waiting] = rotations.list();
    assert.deepEqual([waiting?.old, waiting?.new, waiting?.name, waiting?.state], [
      anna.id,
      next.id,
      "Anna",
      "pending",
    ]);
    assert.match(waiting?.sentence ?? "", /^Anna is the same node with a new key, \w{8}, signed by the old one: /);
    // What waits outlives a restart.
    const again = await restart();
    assert.equal(again.rotations.list().length, 1);
    const { peer, old } = await again.rotations.accept(next.id);
    assert.equal(old, anna.id);
    assert.deepEqual(
      { ...peer, approved_at: before?.approved_at, node_id: anna.id, public_key: before?.public_key },
      before,
    );
    assert.equal(peer.public_key, formatPublicKey(next.publicKey));
    assert.equal(accepted.length, 1);
    assert.match(accepted[0]?.statement ?? "", /^[0-9a-f]{64}$/);
    assert.deepEqual(again.rotations.list(), []);
    assert.ok(fixture.told.includes(`removed ${anna.id}`));
    const { book: third, rotations: heard } = await restart();
    assert.deepEqual([third.standing(anna.id), third.standing(next.id)], ["revoked", "approved"]);
    // Who tells it again hears that it is done.
    assert.equal(await heard.hear([rotation(anna, next)], next.id), "accepted");
  });
});

Deno.test("A peer that missed two rotations takes both at once, also one after the other", async () => {
  await withScene(async ({ book, rotations, anna }) => {
    const [one, two, three] = [generateIdentity(), generateIdentity(), generateIdentity()];
    const chain = [rotation(anna, one, 1), rotation(one, two, 2)];
    assert.equal(await rotations.hear(chain.slice(0, 1), one.id), "pending");
    // The same node goes on: the statement of before is part of the new one.
    assert.equal(await rotations.hear(chain, two.id), "pending");
    assert.deepEqual(rotations.list().map(({ old, new: next, state }) => [old, next, state]), [[
      anna.id,
      two.id,
      "pending",
    ]]);
    await assert.rejects(rotations.hear(chain.slice(0, 1), one.id), refused(/older than one/));
    await rotations.accept(anna.id);
    assert.deepEqual(book.list().map(({ node_id }) => node_id), [two.id]);
    // From then on the chain is longer than what this node needs.
    assert.equal(await rotations.hear([...chain, rotation(two, three, 3)], three.id), "pending");
    await rotations.accept(three.id);
    assert.deepEqual(book.list().map(({ node_id }) => node_id), [three.id]);
    assert.equal(book.standing(two.id), "revoked");
  });
});

Deno.test("T11: Nobody gets in by a statement that is old, or of other people's keys", async () => {
  await withScene(async ({ book, rotations, self, anna, approve, restart }) => {
    const [next, stranger, carol, dave, rita] = Array.from({ length: 5 }, () => generateIdentity()) as [
      Identity,
      Identity,
      Identity,
      Identity,
      Identity,
    ];
    await approve(carol, "Carol");
    await approve(rita, "Rita");
    await book.revoke(rita.id);
    const cases: [what: string, chain: SignedRotation[], from: Identity, reason: RegExp][] = [
      ["told by another than the new key", [rotation(anna, next)], stranger, /Only the node that has the new key/],
      ["told by the old key", [rotation(anna, next)], anna, /Only the node/],
      ["told by nobody", [], next, /Only the node/],
      ["of a key that is not approved", [rotation(stranger, next)], next, /none of the old keys/],
      ["of a key that is revoked", [rotation(rita, next)], next, /none of the old keys/],
      ["to a key that is approved", [rotation(anna, carol)], carol, /knows the new key already/],
      ["to a key that is revoked", [rotation(anna, rita)], rita, /knows the new key already/],
      ["to this node's own key", [rotation(anna, self)], self, /knows the new key already/],
      ["by way of a revoked key", [rotation(anna, rita), rotation(rita, next, 2)], next, /knows the new key already/],
      [
        "by way of an approved key that did not sign",
        [rotation(stranger, dave), rotation(dave, next, 2)],
        next,
        /none/,
      ],
    ];
    for (const [what, chain, from, reason] of cases) {
      await assert.rejects(rotations.hear(chain, from.id), refused(reason), what);
    }
    assert.deepEqual(rotations.list(), []);
    // One that counted, and everything that was signed before it.
    assert.equal(await rotations.hear([rotation(anna, next, 5)], next.id), "pending");
    await rotations.accept(next.id);
    const after = await restart();
    for (
      const { hear, what } of [{ hear: rotations, what: "at once" }, { hear: after.rotations, what: "after a restart" }]
    ) {
      const judge = (chain: SignedRotation[], from: Identity) => hear.hear(chain, from.id);
      await assert.rejects(judge([rotation(anna, stranger, 6)], stranger), refused(/none of the old keys/), what);
      await assert.rejects(judge([rotation(next, dave, 5)], dave), refused(/older than one/), what);
      await assert.rejects(judge([rotation(next, dave, 4)], dave), refused(/older than one/), what);
      await assert.rejects(judge([rotation(next, anna, 6)], anna), refused(/knows the new key already/), what);
    }
    // The owner approves the old key again: what was signed before does not count anew.
    await after.book.approve({ public_key: formatPublicKey(anna.publicKey), name: "Anna" });
    await assert.rejects(after.rotations.hear([rotation(anna, stranger, 5)], stranger.id), refused(/older than one/));
    assert.deepEqual(after.book.list().map(({ name }) => name).sort(), ["Anna", "Anna", "Carol"]);
    await assert.rejects(after.rotations.accept(stranger.id), { code: "bad_request" });
  });
});

Deno.test("T11: Where two keys claim to follow the same one, neither can be accepted", async () => {
  await withScene(async ({ book, rotations, anna, restart }) => {
    const [owner, thief] = [generateIdentity(), generateIdentity()];
    assert.equal(await rotations.hear([rotation(anna, owner, 1)], owner.id), "pending");
    assert.equal(await rotations.hear([rotation(anna, thief, 2)], thief.id), "contested");
    // Saying it again does not help either of them.
    assert.equal(await rotations.hear([rotation(anna, owner, 3)], owner.id), "contested");
    assert.equal(await rotations.hear([rotation(anna, thief, 4)], thief.id), "contested");
    for (const id of [anna.id, owner.id, thief.id]) {
      await assert.rejects(rotations.accept(id), { code: "bad_request" });
    }
    const after = await restart();
    const [seen] = after.rotations.list();
    assert.equal(seen?.state, "contested");
    assert.match(seen?.sentence ?? "", /^Two keys claim to follow the one of Anna, .*: accept neither/);
    assert.deepEqual(book.list().map(({ node_id }) => node_id), [anna.id]);
    // The way out: revoke it.
    await after.book.revoke(anna.id);
    assert.deepEqual(after.rotations.list(), []);
  });
});

Deno.test("Where the owner lets it, a new key counts at once, but only one a day", async () => {
  await withScene(async ({ book, rotations, anna, accepted }) => {
    const [one, two] = [generateIdentity(), generateIdentity()];
    assert.equal(await rotations.hear([rotation(anna, one)], one.id), "accepted");
    assert.deepEqual([book.standing(anna.id), book.standing(one.id)], ["revoked", "approved"]);
    assert.equal(await rotations.hear([rotation(one, two, 2)], two.id), "pending");
    assert.equal(book.standing(one.id), "approved");
    assert.equal(accepted.length, 1);
  }, { automatic: true });
});

Deno.test("A new key of a peer that was revoked meanwhile is worth nothing", async () => {
  await withScene(async ({ book, rotations, anna }) => {
    const next = generateIdentity();
    await rotations.hear([rotation(anna, next)], next.id);
    await book.revoke(anna.id);
    assert.deepEqual(rotations.list(), []);
    await assert.rejects(rotations.accept(next.id), { code: "bad_request" });
    assert.deepEqual(book.list(), []);
  });
});

Deno.test("PeerBook.succeed() changes nothing when the file cannot be written", async () => {
  await withScene(async ({ book, rotations, anna, fixture }) => {
    const next = generateIdentity();
    await rotations.hear([rotation(anna, next)], next.id);
    await fixture.edit("{ not JSON");
    await assert.rejects(rotations.accept(next.id), { code: "bad_request" });
    assert.deepEqual([book.standing(anna.id), book.standing(next.id)], ["approved", "unknown"]);
    assert.equal(rotations.list().length, 1);
  });
});

Deno.test("Rotations.own() tells each rotation of this node once", async () => {
  await withScene(async ({ rotations, restart }) => {
    const [a, b, c] = [generateIdentity(), generateIdentity(), generateIdentity()];
    const chain = [rotation(a, b, 1), rotation(b, c, 2)];
    assert.deepEqual(await rotations.own(chain.slice(0, 1)), chain.slice(0, 1));
    const after = await restart();
    assert.deepEqual(await after.rotations.own(chain), chain.slice(1));
    assert.deepEqual(await after.rotations.own(chain), []);
    assert.deepEqual(after.rotations.list(), []);
  });
});
