import assert from "node:assert/strict";
import fc from "fast-check";
import { lookAlike } from "@ark/node/peers";

Deno.test("T42: lookAlike() finds the approved name that a new one could be taken for", () => {
  const known = ["Dave's Ark", "Attic", "Mum"];
  for (
    const name of [
      "Dave's Ark",
      "dave s ark",
      "Daves Ark",
      "D\u0430ve's \u0410rk",
      "Dave's Arks",
      "Davé’s Ark",
      "Dav3's Ark",
      "Dave's\u200b Ark",
      "Dave`s Avk",
      "Ｄａｖｅ's Ark",
    ]
  ) assert.equal(lookAlike(name, known), "Dave's Ark", name);
  assert.equal(lookAlike("Att1c", known), "Attic");
  assert.equal(lookAlike("Murn", known), "Mum");
  for (const name of ["Bea's Ark", "Cellar", "", "!!!", "Dad"]) assert.equal(lookAlike(name, known), null, name);
});

Deno.test("lookAlike() takes any text, and a name for itself", () => {
  fc.assert(fc.property(fc.string({ unit: "binary" }), (name) => {
    const found = lookAlike(name, [name]);
    assert.ok(found === null || found === name);
  }));
});
