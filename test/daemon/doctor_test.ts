import assert from "node:assert/strict";
import { dataPaths } from "@ark/node/config";
import type { Finding } from "@ark/node/http";
import type { ApprovedPeer } from "@ark/node/peers";
import { examine } from "../../src/daemon/doctor/examine.ts";
import { exposure } from "../../src/daemon/doctor/exposure.ts";
import { stillFacts } from "../../src/daemon/doctor/still_facts.ts";
import type { ListenerFacts, RunningFacts, StillFacts } from "../../src/daemon/doctor/facts.ts";
import { withDirectory } from "../support/temporary.ts";

const SENTENCE = /^[A-Z][^\n]*[^.!?\n]$/;

const STILL: StillFacts = {
  files: [{ path: "/d", what: "the data directory", mode: 0o40700 }, {
    path: "/d/key",
    what: "the key",
    mode: 0o100600,
  }],
  environment: null,
  disk: { path: "/d", freeBytes: 8e9 },
  tokenAgeMs: 0,
};

const LISTENERS: ListenerFacts = {
  local: { hostname: "127.0.0.1", port: 8910 },
  loopback: true,
  tunnel: false,
  keysRequired: false,
  keys: 0,
  proxiedWithoutKey: false,
  origins: [],
  mesh: { hostname: "0.0.0.0", port: 8911 },
  meshLoopback: false,
};

const RUNNING: RunningFacts = {
  listeners: LISTENERS,
  peers: [],
  expired: [],
  peersFault: null,
  auditFault: null,
  auditDamage: null,
  clocks: [{ name: "B", offsetMs: 59_000 }],
};

function peer(fields: Partial<ApprovedPeer> = {}): ApprovedPeer {
  return {
    node_id: "a",
    public_key: "ed25519:a",
    name: "Dave's Ark",
    approved_at: "2026-11-01T00:00:00Z",
    permissions: {
      can_request_inference: true,
      can_pull_models: false,
      models_shared: ["llama3.1:8b"],
      max_concurrent_requests: 1,
    },
    ...fields,
  };
}

/** What is not in order, as check and level. */
function faults(found: readonly Finding[]): string[] {
  for (const { sentence, fix, level } of found) {
    assert.match(sentence, SENTENCE);
    if (level !== "ok") assert.match(fix ?? "", SENTENCE, `${sentence} says what to do`);
  }
  return found.filter(({ level }) => level !== "ok").map(({ check, level }) => `${check}: ${level}`);
}

Deno.test("examine() finds nothing wrong with a node as it is by default", () => {
  const found = examine(STILL, RUNNING);
  assert.deepEqual(faults(found), []);
  const checks = found.map(({ check }) => check);
  for (
    const check of ["local-listener", "mesh-listener", "approved-peers", "audit-log", "clock", "private-files", "disk"]
  ) {
    assert.ok(checks.includes(check), check);
  }
});

const EXPOSED: [string, Partial<ListenerFacts>, string[]][] = [
  ["a listener that others reach", { loopback: false, keysRequired: true, keys: 1 }, ["local-listener: warning"]],
  ["one without a key", { loopback: false, keysRequired: true }, ["local-listener: warning", "api-keys: warning"]],
  ["one inside a tunnel", { loopback: false, tunnel: true, keysRequired: true, keys: 1 }, []],
  ["a proxy that lets everybody in", { proxiedWithoutKey: true }, ["open-proxy: danger"]],
  ["a page that comes in clear", { origins: ["http://ui.example"] }, ["web-pages: warning"]],
  ["a page of this machine", { origins: ["http://localhost:3000", "https://ui.example"] }, []],
  ["a mesh listener on the loopback", { meshLoopback: true }, []],
];
for (const [what, facts, expected] of EXPOSED) {
  Deno.test(`exposure() tells of ${what}`, () => {
    assert.deepEqual(faults(exposure({ ...LISTENERS, ...facts })), expected);
  });
}

const all = { ...peer().permissions, models_shared: ["*"] };
const expires_at = "2026-12-24T00:00:00Z";
const WRONG: [string, Partial<StillFacts>, Partial<RunningFacts>, string[]][] = [
  ["a key that others read", { files: [{ path: "/d/key", what: "the key", mode: 0o644 }] }, {}, [
    "private-files: danger",
  ]],
  ["a token of last year", { tokenAgeMs: 400 * 86_400_000 }, {}, ["admin-token: warning"]],
  ["an environment", { environment: "The variable X is set, and it is bad: unset it and start again" }, {}, [
    "environment: danger",
  ]],
  ["little room", { disk: { path: "/d", freeBytes: 5e8 } }, {}, ["disk: warning"]],
  ["no room", { disk: { path: "/d", freeBytes: 5e6 } }, {}, ["disk: danger"]],
  ["an approval of everything for ever", {}, { peers: [peer({ permissions: all })] }, ["open-approval: warning"]],
  ["an approval of everything until a day", {}, { peers: [peer({ permissions: all, expires_at })] }, []],
  ["an approval of one model for ever", {}, { peers: [peer()] }, []],
  ["an unverified peer", {}, { peers: [peer({ verified: false })] }, ["unverified-peer: warning"]],
  ["a paused peer", {}, { peers: [peer({ paused: true })] }, []],
  ["an approval that has ended", {}, { expired: [peer({ expires_at: "2026-01-01T00:00:00Z" })] }, [
    "expired-approval: warning",
  ]],
  ["a file of peers that is torn", {}, { peersFault: "The file is torn" }, ["approved-peers: danger"]],
  ["a log that cannot be written", {}, { auditFault: "The disk is full" }, ["audit-log: danger"]],
  ["a log that was changed", {}, { auditDamage: "Entry 3 was changed" }, ["audit-log: danger"]],
  ["a clock ahead", {}, { clocks: [{ name: "B", offsetMs: 3_600_000 }] }, ["clock: warning"]],
  ["a clock behind", {}, { clocks: [{ name: "B", offsetMs: -90_000_000 }] }, ["clock: warning"]],
];
for (const [what, still, running, expected] of WRONG) {
  Deno.test(`examine() tells of ${what}`, () => {
    const found = examine({ ...STILL, disk: null, ...still }, { ...RUNNING, ...running });
    assert.deepEqual(faults(found), expected);
    const levels = found.map(({ level }) => level);
    assert.deepEqual(levels, levels.toSorted((a, b) => "dwo".indexOf(a.charAt(0)) - "dwo".indexOf(b.charAt(0))));
  });
}

Deno.test("stillFacts() looks at files, environment and disk where no node runs", () =>
  withDirectory(async (root) => {
    const paths = dataPaths(root);
    await Deno.writeTextFile(paths.adminToken, "", { mode: 0o644 });
    const found = examine(await stillFacts(paths, (name) => name === "SSLKEYLOGFILE" ? "/tmp/keys" : undefined), null);
    assert.deepEqual(faults(found).filter((fault) => !fault.startsWith("disk")), [
      "private-files: danger",
      "environment: danger",
    ]);
    assert.match(found.find(({ check }) => check === "private-files")?.fix ?? "", /^Run: chmod 600 '.*admin\.token'$/);
    assert.ok(found.some(({ check }) => check === "disk"));
    assert.ok(
      examine(await stillFacts(dataPaths(`${root}/none`), () => undefined), null).every(({ level }) => level === "ok"),
    );
  }));
