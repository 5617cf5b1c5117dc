import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import fc from "fast-check";
import { StreamHash } from "@ark/node/protocol";

Deno.test("StreamHash hashes pieces of any length as one stream, also where they are changed afterwards", () => {
  const piece = fc.oneof(
    fc.uint8Array({ maxLength: 300 }),
    fc.nat(9_000).map((length) => new Uint8Array(length).fill(7)),
  );
  fc.assert(fc.property(fc.array(piece, { maxLength: 60 }), (pieces) => {
    const [hash, expected] = [new StreamHash(), createHash("sha256")];
    for (const bytes of pieces) {
      const copy = bytes.slice();
      expected.update(bytes);
      hash.update(copy);
      copy.fill(0);
    }
    assert.equal(hash.digest(), expected.digest("hex"));
  }));
});
