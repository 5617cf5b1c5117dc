import assert from "node:assert/strict";
import { formatPublicKey, nodeIdOf, parsePublicKey } from "@ark/node/identity";
import { type ApprovedPeer, decodeApproval, type Permissions } from "@ark/node/peers";
import { ArkError, LIMITS } from "@ark/node/protocol";
import { identityOfSeed } from "../../transport/mesh_fixture.ts";
import { mutateJson } from "../mutate.ts";
import { type FuzzTarget, refusedBy } from "../target.ts";

const NOW = "2026-11-21T00:00:00.000Z";
const [one, two] = [identityOfSeed(1), identityOfSeed(2)];
const PERMISSIONS = {
  can_request_inference: true,
  can_pull_models: false,
  models_shared: ["llama3.1:8b", "arkling*"],
  max_concurrent_requests: 2,
};
const CORPUS: unknown[] = [
  { node_id: "ark-neighbor-001", public_key: formatPublicKey(one.publicKey), permissions: PERMISSIONS },
  { node_id: two.id, name: "Dave", expires_at: "2026-12-20", permissions: { can_pull_models: true } },
  {
    node_id: one.id,
    public_key: formatPublicKey(one.publicKey),
    name: "Mom's Ark",
    approved_at: "2026-01-02T03:04:05Z",
    permissions: { ...PERMISSIONS, models_shared: ["*"], can_pull_models: true, max_concurrent_requests: 1_000 },
  },
  {
    public_key: formatPublicKey(two.publicKey),
    paused: true,
    verified: false,
    wireguard_key: `wg:${one.publicKey.toBase64()}`,
    permissions: { ...PERMISSIONS, max_requests_per_minute: 9, max_tokens_per_day: 9_999, max_tokens_per_request: 64 },
  },
];
const PERMISSION_NAMES = [
  ...Object.keys(PERMISSIONS),
  "max_requests_per_minute",
  "max_tokens_per_day",
  "max_tokens_per_request",
];
const NAMES = [
  ...PERMISSION_NAMES,
  "node_id",
  "public_key",
  "name",
  "approved_at",
  "expires_at",
  "paused",
  "verified",
  "wireguard_key",
  "permissions",
  "rev",
  "__proto__",
  "constructor",
];

function own(value: unknown, name: string): unknown {
  return typeof value === "object" && value !== null && Object.hasOwn(value, name)
    ? (value as Record<string, unknown>)[name]
    : undefined;
}

/** Fails where a peer may do anything that was not written. */
function neverMore(permissions: Permissions, written: unknown): void {
  assert.deepEqual(Object.keys(permissions).filter((name) => !PERMISSION_NAMES.includes(name)), []);
  for (const name of ["can_request_inference", "can_pull_models"] as const) {
    assert.ok(!permissions[name] || own(written, name) === true, `${name} was not written`);
    assert.equal(typeof permissions[name], "boolean");
  }
  const shared = own(written, "models_shared");
  assert.deepEqual(permissions.models_shared, Array.isArray(shared) ? shared : []);
  assert.ok(permissions.models_shared.length <= LIMITS.offeredModels);
  assert.equal(permissions.max_concurrent_requests, own(written, "max_concurrent_requests") ?? 1);
  for (const [name, value] of Object.entries(permissions).filter(([name]) => name.startsWith("max_"))) {
    assert.ok(Number.isInteger(value) && Number(value) >= 1, name);
    assert.equal(value, own(written, name) ?? 1, name);
  }
}

function check(written: unknown): boolean {
  let peer: ApprovedPeer;
  try {
    peer = decodeApproval(written, NOW);
  } catch (error) {
    assert.ok(!(error instanceof ArkError) || error.code === "bad_request");
    return refusedBy(error, ArkError);
  }
  neverMore(peer.permissions, own(written, "permissions") ?? {});
  assert.equal(nodeIdOf(parsePublicKey(peer.public_key)), peer.node_id);
  // A limit that was written is never lost on the way.
  for (const name of PERMISSION_NAMES.slice(4)) {
    assert.equal(own(peer.permissions, name), own(own(written, "permissions"), name), name);
  }
  if (own(written, "expires_at") !== undefined) assert.ok(Number.isFinite(Date.parse(peer.expires_at ?? "")));
  assert.ok(own(written, "paused") !== true || peer.paused === true);
  assert.doesNotMatch(peer.name, /[\p{Cc}\p{Cf}\p{Cs}\p{Zl}\p{Zp}]/u);
  assert.ok([...peer.name].length <= 64);
  assert.deepEqual(decodeApproval(JSON.parse(JSON.stringify(peer)), "never"), peer);
  return true;
}

/** An entry of `approved_peers.json`, and the body of an approval. */
export const approval: FuzzTarget<unknown> = {
  name: "approval",
  promise: "An approval is refused, or gives exactly what was written to exactly the key that was named.",
  corpus: CORPUS,
  covers: ["/src/peers/approved_peer.ts", "/src/identity/", "/src/protocol/offer.ts"],
  mutate: (random, value) => mutateJson(random, value, NAMES),
  check,
  show: (value) => JSON.stringify(value) ?? String(value),
};
