import assert from "node:assert/strict";
import { generateIdentity } from "@ark/node/identity";
import {
  type ApprovedPeer,
  ContentGate,
  decodeApproval,
  describePermissions,
  type Permissions,
  presetTerms,
  sharesContent,
  Usage,
} from "@ark/node/peers";

const { id } = generateIdentity();
const NONE = { can_request_inference: false, can_pull_models: false, models_shared: [], max_concurrent_requests: 1 };

function approved(permissions: Partial<Permissions>, more: Partial<ApprovedPeer> = {}): ApprovedPeer {
  return {
    ...decodeApproval({ node_id: id, permissions: { ...NONE, ...permissions } }, "2026-01-01T00:00:00Z"),
    ...more,
  };
}

function gateOf(peer: ApprovedPeer | undefined, now: () => number = () => 0): ContentGate {
  return new ContentGate({ get: () => peer }, new Usage({ now }));
}

Deno.test("content_shared is a list of names with stars, and absent for nothing", () => {
  assert.equal(approved({}).permissions.content_shared, undefined);
  assert.equal(approved({ content_shared: [] }).permissions.content_shared, undefined);
  const { permissions } = approved({ content_shared: ["wikipedia*", "ted"] });
  assert.deepEqual(permissions.content_shared, ["wikipedia*", "ted"]);
  for (const name of ["wikipedia_en_2026", "WIKIPEDIA", "Ted"]) assert.ok(sharesContent(permissions, name), name);
  for (const name of ["ted2", "my_wikipedia", ""]) assert.ok(!sharesContent(permissions, name), name);
  assert.ok(!sharesContent(NONE, "ted") && !sharesContent(NONE, ""));
  for (const bad of ["*", [1], ["a\nb"], [""], { 0: "a" }, null, ["x".repeat(2_000)]]) {
    assert.throws(() => approved({ content_shared: bad as string[] }), {
      code: "bad_request",
      message: /content_shared/,
    });
  }
});

Deno.test("describePermissions() says which packs a peer may read, and nothing where it may read none", () => {
  const say = (permissions: Partial<Permissions>) => describePermissions("Dave", { ...NONE, ...permissions }, null);
  assert.equal(
    say({ content_shared: ["wikipedia*", "ted"] }),
    "Dave may not use any of your models. It may read the content packs wikipedia* and ted.",
  );
  assert.equal(
    say({ can_request_inference: true, models_shared: ["a"], content_shared: ["*"] }),
    "Dave may ask a, one question at a time. It cannot download models. It may read all of your content packs.",
  );
});

Deno.test("presetTerms() shares packs by the preset for everything alone", () => {
  assert.deepEqual(presetTerms("full", []).permissions.content_shared, ["*"]);
  assert.equal(presetTerms("ask", ["a"]).permissions.content_shared, undefined);
  assert.equal(presetTerms("none", []).permissions.content_shared, undefined);
});

Deno.test("ContentGate shows and lends what is shared, and hides the rest as if it was not there", () => {
  const gate = gateOf(approved({ content_shared: ["sky*"] }));
  assert.deepEqual(gate.shown(id, ["sky_en", "secret", "skype"]), ["sky_en", "skype"]);
  gate.admit(id, "sky_en")[Symbol.dispose]();
  for (const none of ["secret", "nothing", ""]) assert.throws(() => gate.admit(id, none), { code: "model_not_found" });
  for (
    const [peer, message] of [[undefined, /not approved/], [
      approved({ content_shared: ["*"] }, { paused: true }),
      /paused/,
    ]] as const
  ) {
    assert.throws(() => gateOf(peer).shown(id, ["a"]), { code: "forbidden", message });
    assert.throws(() => gateOf(peer).admit(id, "a"), { code: "forbidden", message });
  }
});

Deno.test("ContentGate lends six places at a time, and each comes back once", () => {
  const gate = gateOf(approved({ content_shared: ["*"] }));
  const places = Array.from({ length: 6 }, () => gate.admit(id, "a"));
  assert.throws(() => gate.admit(id, "a"), { code: "busy" });
  places[0]?.[Symbol.dispose]();
  places[0]?.[Symbol.dispose]();
  places.push(gate.admit(id, "a"));
  assert.throws(() => gate.admit(id, "a"), { code: "busy" });
  for (const place of places) place[Symbol.dispose]();
  gate.admit(id, "a")[Symbol.dispose]();
});

Deno.test("ContentGate counts pages in the rate and in no tokens, and what is hidden counts as well", () => {
  let now = 0;
  const peer = approved({ content_shared: ["a"], max_requests_per_minute: 4, max_tokens_per_day: 2 });
  const usage = new Usage({ now: () => now });
  const gate = new ContentGate({ get: () => peer }, usage);
  for (let page = 0; page < 3; page++) gate.admit(id, "a")[Symbol.dispose]();
  assert.throws(() => gate.admit(id, "hidden"), { code: "model_not_found" });
  assert.throws(() => gate.admit(id, "a"), { code: "busy", message: /4 of your requests in a minute/ });
  assert.throws(() => gate.admit(id, "hidden"), { code: "busy" });
  assert.equal(usage.of(id).tokens, 0);
  now += 61_000;
  gate.admit(id, "a")[Symbol.dispose]();
});
