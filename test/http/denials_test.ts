import assert from "node:assert/strict";
import type { AuditEntry, AuditRecord } from "@ark/node/audit";
import { Denials } from "@ark/node/http";
import { Logger, Metrics } from "@ark/node/telemetry";

function fixture() {
  const records: AuditRecord[] = [];
  const metrics = new Metrics();
  const time = { now: 0 };
  const denials = new Denials({
    audit: {
      append: (record) => {
        records.push(record);
        return Promise.resolve({} as AuditEntry);
      },
    },
    counter: metrics.counter("denials", "Denials.", ["code"]),
    logger: new Logger({ write: () => {} }),
    now: () => time.now,
  });
  return { denials, records, metrics, time };
}

Deno.test("Denials.note() records one of each source and reason a minute, and counts all", () => {
  const { denials, records, metrics, time } = fixture();
  for (let index = 0; index < 100; index++) {
    denials.note({ code: "unauthenticated", remote: "10.0.0.1", nodeId: null });
    denials.note({ code: "replay", remote: "10.0.0.1", nodeId: null });
    denials.note({ code: "unauthenticated", remote: "10.0.0.2", nodeId: null });
  }
  assert.equal(records.length, 3);
  assert.match(metrics.render(), /denials\{code="unauthenticated"\} 200/);
  time.now += 60_000;
  denials.note({ code: "unauthenticated", remote: "10.0.0.1", nodeId: null });
  assert.deepEqual(records.map(({ outcome, count = 1 }) => [outcome, count]), [
    ["unauthenticated", 1],
    ["replay", 1],
    ["unauthenticated", 1],
    // How many more there were in that minute.
    ["unauthenticated", 99],
    ["replay", 99],
    ["unauthenticated", 99],
    ["unauthenticated", 1],
  ]);
});

Deno.test("Denials.note() records at most 60 a minute, however many sources there are", () => {
  const { denials, records, time } = fixture();
  for (let index = 0; index < 10_000; index++) {
    denials.note({ code: "unauthenticated", remote: `10.0.${index >> 8}.${index & 255}`, nodeId: null });
  }
  assert.equal(records.length, 60);
  time.now += 60_000;
  denials.note({ code: "unauthenticated", remote: "10.9.9.9", nodeId: null });
  assert.equal(records.length, 62);
  assert.deepEqual(records[60], {
    kind: "deny",
    direction: "in",
    peer: null,
    outcome: "unauthenticated",
    count: 9_940,
  });
});

Deno.test("Denials.run() records how many more there were when it ends", async () => {
  const { denials, records } = fixture();
  for (let index = 0; index < 5; index++) denials.note({ code: "replay", remote: "10.0.0.1", nodeId: null });
  assert.equal(records.length, 1);
  const stop = new AbortController();
  const running = denials.run(stop.signal);
  stop.abort();
  await running;
  assert.deepEqual(records.map(({ count = 1 }) => count), [1, 4]);
});

Deno.test("Denials.note() does not take a request for a nonce for a denial", () => {
  const { denials, records } = fixture();
  denials.note({ code: "clock", remote: "10.0.0.1", nodeId: "a".repeat(56) });
  assert.deepEqual(records, []);
});

Deno.test("Denials.note() survives an audit log that cannot be written", async () => {
  const denials = new Denials({
    audit: { append: () => Promise.reject(new Error("full")) },
    counter: new Metrics().counter("denials", "Denials.", ["code"]),
    logger: new Logger({ write: () => {} }),
  });
  denials.note({ code: "busy", remote: "10.0.0.1", nodeId: null });
  await Promise.resolve();
});
