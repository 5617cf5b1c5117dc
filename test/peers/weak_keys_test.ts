import assert from "node:assert/strict";
import { WEAK_KEYS } from "../identity/weak_keys.ts";
import { somebody, withBook } from "./book_fixture.ts";

Deno.test("T09: No weak key is approved, by a call or by a file, and the peers of before stay", async () => {
  await withBook(async (fixture) => {
    const friend = somebody();
    const book = await fixture.open();
    await book.approve(friend.approval);
    const lengths = [31, 33, 64].map((length) => new Uint8Array(length).fill(7));
    const bad = [...WEAK_KEYS.map((hex) => Uint8Array.fromHex(hex)), ...lengths];
    for (const key of bad) {
      const public_key = `ed25519:${key.toBase64()}`;
      await assert.rejects(book.approve({ public_key }), { code: "bad_request" });
    }
    const entries = await fixture.entries();
    for (const key of bad) {
      await fixture.edit({
        peers: [...entries, { ...entries[0], node_id: "label", public_key: `ed25519:${key.toBase64()}` }],
      });
      await book.reload();
      assert.match(book.fault ?? "", /entry 2: .*key/);
      assert.deepEqual(book.list().map(({ node_id }) => node_id), [friend.id]);
    }
  });
});
