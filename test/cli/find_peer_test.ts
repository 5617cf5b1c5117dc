import assert from "node:assert/strict";
import { formatNodeId, formatPublicKey, generateIdentity, shortId } from "@ark/node/identity";
import { findPeer } from "../../src/cli/find_peer.ts";

const [one, two] = [generateIdentity(), generateIdentity()];
const known = [{ node_id: formatNodeId(one.id), name: "Attic" }, { node_id: formatNodeId(two.id), name: "Cellar" }];

Deno.test("findPeer() takes a key, an id in any spelling, a beginning of an id or a name", () => {
  for (
    const typed of [
      formatPublicKey(one.publicKey),
      one.id,
      formatNodeId(one.id),
      formatNodeId(one.id).toUpperCase(),
      shortId(one.id),
      formatNodeId(one.id).slice(0, 20),
      "Attic",
    ]
  ) assert.equal(findPeer(typed, known), one.id, typed);
  const stranger = generateIdentity();
  assert.equal(findPeer(stranger.id, known), stranger.id);
  assert.equal(findPeer(formatPublicKey(stranger.publicKey), []), stranger.id);
});

Deno.test("findPeer() refuses what is not clear, and says so", () => {
  assert.throws(() => findPeer(one.id.slice(0, 7), known), /at least 8 characters/);
  assert.throws(() => findPeer("Nobody", known), /No node that is known here fits Nobody/);
  assert.throws(
    () => findPeer("Attic", [...known, { node_id: formatNodeId(two.id), name: "Attic" }]),
    /Several nodes fit/,
  );
  assert.throws(() => findPeer("ed25519:nonsense", known), { name: "UsageError" });
  const typo = (one.id[0] === "a" ? "b" : "a") + one.id.slice(1);
  assert.throws(() => findPeer(typo, known), { name: "UsageError" });
});
