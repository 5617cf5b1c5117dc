import assert from "node:assert/strict";
import fc from "fast-check";
import { formatNodeId, formatPublicKey, generateIdentity } from "@ark/node/identity";
import { decodeApproval, parseWireguardKey, type Permissions, sharesModel } from "@ark/node/peers";
import { ArkError } from "@ark/node/protocol";
import { almost, anyJson } from "../protocol/json_values.ts";

const { id, publicKey } = generateIdentity();
const KEY = formatPublicKey(publicKey);
const NOW = "2026-11-20T12:00:00.000Z";
const NONE: Permissions = {
  can_request_inference: false,
  can_pull_models: false,
  models_shared: [],
  max_concurrent_requests: 1,
};
const SEED = {
  node_id: "ark-neighbor-001",
  public_key: KEY,
  permissions: {
    can_request_inference: true,
    can_pull_models: false,
    models_shared: ["llama3.1:8b", "mistral:7b"],
    max_concurrent_requests: 2,
  },
};

Deno.test("decodeApproval() takes the founding texts' body: the name they call an id is a label", () => {
  assert.deepEqual(decodeApproval(SEED, NOW), {
    node_id: id,
    public_key: KEY,
    name: "ark-neighbor-001",
    approved_at: NOW,
    permissions: SEED.permissions,
  });
});

Deno.test("decodeApproval() takes an id alone, a key alone, or both, and permits nothing that is not said", () => {
  const expected = { node_id: id, public_key: KEY, name: `ark ${id.slice(0, 8)}`, approved_at: NOW, permissions: NONE };
  const spelt = [id, formatNodeId(id), formatNodeId(id).toUpperCase().replaceAll("-", " ")];
  for (const node_id of spelt) {
    assert.deepEqual(decodeApproval({ node_id }, NOW), expected);
    assert.deepEqual(decodeApproval({ node_id, public_key: KEY }, NOW), expected);
  }
  assert.deepEqual(decodeApproval({ public_key: KEY }, NOW), expected);
  assert.deepEqual(decodeApproval({ public_key: KEY, permissions: { can_request_inference: true } }, NOW), {
    ...expected,
    permissions: { ...NONE, can_request_inference: true },
  });
});

Deno.test("decodeApproval() reads its own value back, with name and times", () => {
  const whole = decodeApproval({ ...SEED, name: "Dave's Ark", expires_at: "2027-01-01" }, NOW);
  assert.equal(whole.expires_at, "2027-01-01T00:00:00.000Z");
  assert.equal(whole.name, "Dave's Ark");
  assert.deepEqual(decodeApproval(JSON.parse(JSON.stringify(whole)), "2030-01-01T00:00:00.000Z"), whole);
  assert.equal(decodeApproval({ ...SEED, name: " \u001b[2J\n" }, NOW).name, "[2J");
  assert.equal(decodeApproval({ ...SEED, name: "\u202e" }, NOW).name, `ark ${id.slice(0, 8)}`);
});

const WG = `wg:${btoa("\x07".repeat(32))}`;
const LIMITED = {
  ...SEED,
  name: "Dave",
  paused: true,
  verified: false,
  wireguard_key: WG,
  permissions: {
    ...SEED.permissions,
    max_requests_per_minute: 10,
    max_tokens_per_day: 20_000,
    max_tokens_per_request: 500,
  },
};

Deno.test("decodeApproval() keeps every limit, and writes only what differs from the usual", () => {
  const whole = decodeApproval(LIMITED, NOW);
  assert.deepEqual(whole, { ...LIMITED, node_id: id, approved_at: NOW });
  assert.deepEqual(decodeApproval(JSON.parse(JSON.stringify(whole)), "2030-01-01T00:00:00.000Z"), whole);
  const usual = decodeApproval({ ...SEED, paused: false, verified: true }, NOW);
  assert.deepEqual(Object.keys(usual), ["node_id", "public_key", "name", "approved_at", "permissions"]);
});

Deno.test("parseWireguardKey() says what to do with anything else", () => {
  assert.equal(parseWireguardKey(` ${WG} `), WG);
  for (
    const [text, message] of [
      [KEY, /belongs into public_key/],
      [WG.slice("wg:".length), /write wg: before the key/],
      [WG.slice(0, -1), /44 characters/],
      [`wg:${btoa("\0".repeat(32))}`, /44 characters/],
      ["", /write wg: before/],
    ] as const
  ) assert.throws(() => parseWireguardKey(text), { name: "SyntaxError", message });
});

const other = generateIdentity();
const typo = (id.startsWith("a") ? "b" : "a") + id.slice(1);
for (
  const [what, body, message] of [
    ["nothing", {}, /needs public_key or node_id/],
    ["no object", [], /approval must be an object/],
    ["an unknown field", { ...SEED, user: "Ann" }, /approval has an unknown field: user/],
    ["a hidden field", JSON.parse(`{"node_id":"x","__proto__":{}}`), /unknown field: __proto__/],
    [
      "an unknown permission",
      { ...SEED, permissions: { can_do_all: true } },
      /permissions has an unknown field: can_do_all/,
    ],
    [
      "a permission that is null",
      { ...SEED, permissions: { can_pull_models: null } },
      /can_pull_models must be true or/,
    ],
    ["no permissions object", { ...SEED, permissions: null }, /permissions must be an object/],
    ["a label without a key", { node_id: "ark-neighbor-001" }, /node_id is not the id of a node/],
    ["an id with a typing error beside a key", { ...SEED, node_id: typo }, /node_id is not the id of a node/],
    ["the id of another key", { ...SEED, node_id: other.id }, /name two different nodes/],
    ["an untyped key", { ...SEED, public_key: KEY.slice("ed25519:".length) }, /public_key cannot be used/],
    ["a tunnel's key", { ...SEED, public_key: KEY.replace("ed25519", "wg") }, /public_key cannot be used/],
    ["a key of small order", { ...SEED, public_key: `ed25519:${btoa("\x01" + "\0".repeat(31))}` }, /public_key cannot/],
    ["a number as key", { ...SEED, public_key: 7 }, /public_key must be a text/],
    ["a number as id", { ...SEED, node_id: 7 }, /node_id must be a text/],
    ["a number as name", { ...SEED, name: 7 }, /name must be a text/],
    ["a text as permission", { ...SEED, permissions: { can_pull_models: "true" } }, /can_pull_models must be true or/],
    ["one model as text", { ...SEED, permissions: { models_shared: "*" } }, /models_shared must be a list/],
    ["an empty model", { ...SEED, permissions: { models_shared: [""] } }, /models_shared must be the name/],
    ["a model of many lines", { ...SEED, permissions: { models_shared: ["a\nb"] } }, /models_shared must be the name/],
    ["no requests at once", { ...SEED, permissions: { max_concurrent_requests: 0 } }, /from 1 to 1000/],
    ["too many requests", { ...SEED, permissions: { max_concurrent_requests: 1001 } }, /from 1 to 1000/],
    ["half a request", { ...SEED, permissions: { max_concurrent_requests: 1.5 } }, /from 1 to 1000/],
    ["no requests in a minute", { ...SEED, permissions: { max_requests_per_minute: 0 } }, /per_minute must be a whole/],
    ["a rate as text", { ...SEED, permissions: { max_requests_per_minute: "9" } }, /per_minute must be a whole/],
    ["half a token", { ...SEED, permissions: { max_tokens_per_day: 0.5 } }, /per_day must be a whole number/],
    ["a limit that is null", { ...SEED, permissions: { max_tokens_per_request: null } }, /per_request must be a whole/],
    ["endless answers", { ...SEED, permissions: { max_tokens_per_request: 1e9 } }, /per_request must be a whole/],
    ["a pause in words", { ...SEED, paused: "yes" }, /paused must be true or false/],
    ["a verification that is null", { ...SEED, verified: null }, /verified must be true or false/],
    ["a node's key as WireGuard key", { ...SEED, wireguard_key: KEY }, /wireguard_key cannot be used: .* public_key/],
    [
      "an untyped WireGuard key",
      { ...SEED, wireguard_key: WG.slice(3) },
      /wireguard_key cannot be used: .* wg: before/,
    ],
    ["a number as WireGuard key", { ...SEED, wireguard_key: 7 }, /wireguard_key must be a text/],
    ["a time in words", { ...SEED, expires_at: "in 1 week" }, /expires_at must be a time/],
    ["a time as number", { ...SEED, expires_at: 1e12 }, /expires_at must be a time/],
    ["no time", { ...SEED, expires_at: null }, /expires_at must be a time/],
    ["a month that is none", { ...SEED, approved_at: "2026-13-01" }, /approved_at must be a time/],
  ] as const
) {
  Deno.test(`decodeApproval() refuses ${what}`, () => {
    assert.throws(() => decodeApproval(body, NOW), { name: "ArkError", code: "bad_request", message });
  });
}

Deno.test("decodeApproval() is total, and never permits more than was written", () => {
  fc.assert(
    fc.property(fc.oneof(anyJson(), almost({ ...LIMITED, expires_at: NOW })), (value) => {
      try {
        const { permissions } = decodeApproval(value, NOW);
        const said = (value as { permissions?: Partial<Permissions> }).permissions ?? {};
        assert.deepEqual(permissions, { ...NONE, ...said });
      } catch (error) {
        assert.ok(error instanceof ArkError && error.code === "bad_request", String(error));
      }
    }),
    { numRuns: 1_000 },
  );
});

Deno.test("sharesModel() agrees with a naive matcher", () => {
  const part = fc.stringMatching(/^[ab*.:]{0,8}$/);
  fc.assert(
    fc.property(part, fc.stringMatching(/^[aAbB.:*]{0,10}$/), (pattern, model) => {
      const naive = new RegExp(`^${pattern.replaceAll(/[.:]/g, "\\$&").replaceAll("*", ".*")}$`, "i").test(model);
      assert.equal(sharesModel([pattern], model), naive);
    }),
    { numRuns: 5_000 },
  );
});

Deno.test("sharesModel() needs one of its patterns, in any case, and takes nothing else for a wildcard", () => {
  assert.ok(sharesModel(["mistral:7b", "llama3.1:*"], "Llama3.1:8B"));
  assert.ok(sharesModel(["*"], "anything:at-all"));
  for (const pattern of ["llama3.1", "llama3?1:8b", "llama3.1:", ".*", "llama.*", "[a-z]*", ""]) {
    assert.ok(!sharesModel([pattern], "llama3x1:8b"), pattern);
  }
  assert.ok(!sharesModel([], "llama3.1:8b"));
});

Deno.test("sharesModel() is fast for the worst of patterns", () => {
  const pattern = "*a".repeat(100);
  const began = performance.now();
  for (let round = 0; round < 1_000; round++) sharesModel([pattern], "a".repeat(99) + "b".repeat(101));
  const took = performance.now() - began;
  // A matcher that tries every way of sharing out the letters would not return at all.
  assert.ok(took < 2_000, `${took} ms`);
});

Deno.test("decodeApproval() takes whether a node is the owner's own, which grants nothing", () => {
  const own = decodeApproval({ public_key: KEY, own: true }, NOW);
  assert.ok(own.own);
  assert.deepEqual(own.permissions, decodeApproval({ public_key: KEY }, NOW).permissions);
  assert.ok(!("own" in decodeApproval({ public_key: KEY, own: false }, NOW)));
  assert.throws(() => decodeApproval({ public_key: KEY, own: "yes" }, NOW), { code: "bad_request" });
});
