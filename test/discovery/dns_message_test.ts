import assert from "node:assert/strict";
import fc from "fast-check";
import { isPlausible, readMessage, sameRecord } from "../../src/discovery/dns_message.ts";

const HEAD = { id: 0, type: "response", opcode: "QUERY", rcode: "NOERROR", flag_tc: false };

Deno.test("isPlausible() refuses 12 bytes that promise 262,140 records, before room is made for them", () => {
  const header = new Uint8Array(12).fill(0xff);
  assert.ok(!isPlausible(header));
  assert.ok(isPlausible(new Uint8Array(12)));
  assert.ok(!isPlausible(new Uint8Array(11)));
  assert.ok(!isPlausible(new Uint8Array(9_001)));
});

Deno.test("isPlausible() counts the least size of each record", () => {
  const packet = new Uint8Array(12 + 5 + 11);
  packet[5] = 1;
  packet[7] = 1;
  assert.ok(isPlausible(packet));
  assert.ok(!isPlausible(packet.subarray(0, -1)));
});

Deno.test("readMessage() lowers names, and reads the five types that DNS-SD needs", () => {
  const answers = [
    { name: "_ArkNet._tcp.local", type: "PTR", class: "IN", flush: false, ttl: 9, data: "X._arknet._TCP.local" },
    { name: "x", type: "SRV", class: "IN", flush: true, ttl: 9, data: { port: 8911, target: "H.local", weight: 1 } },
    { name: "x", type: "TXT", class: "IN", flush: true, ttl: 9, data: [new TextEncoder().encode("A=b")] },
    { name: "h", type: "A", class: "IN", flush: true, ttl: 9, data: "10.0.0.1" },
    { name: "h", type: "AAAA", class: "IN", flush: true, ttl: 9, data: "FD00:0:0:0::1" },
  ];
  assert.deepEqual(readMessage({ ...HEAD, answers })?.answers, [
    { name: "_arknet._tcp.local", type: "PTR", flush: false, ttl: 9, data: "x._arknet._tcp.local" },
    { name: "x", type: "SRV", flush: true, ttl: 9, data: { port: 8911, target: "h.local" } },
    { name: "x", type: "TXT", flush: true, ttl: 9, data: ["A=b"] },
    { name: "h", type: "A", flush: true, ttl: 9, data: "10.0.0.1" },
    { name: "h", type: "AAAA", flush: true, ttl: 9, data: "fd00::1" },
  ]);
});

Deno.test("readMessage() leaves out what it cannot use", () => {
  const good = { name: "h", type: "A", class: "IN", flush: true, ttl: 9, data: "10.0.0.1" };
  const bad = [
    { ...good, class: "CH" },
    { ...good, ttl: -1 },
    { ...good, ttl: "9" },
    { ...good, data: "10.0.0.256" },
    { ...good, name: "" },
    { ...good, name: "a..b" },
    { ...good, name: "Dave’s Ark" },
    { ...good, name: "tab\t" },
    { ...good, name: "x".repeat(64) },
    { ...good, name: "\ufffd" },
    { ...good, type: "AAAA", data: "fe80::1%eth0" },
    { ...good, type: "AAAA", data: "10.0.0.1" },
    { ...good, type: "PTR" },
    { ...good, type: "SRV", data: { port: 65_536, target: "h" } },
    { ...good, type: "SRV", data: null },
    { ...good, type: "NSEC" },
    null,
    7,
  ].filter((record) => record === null || typeof record === "number" || record.type !== "PTR");
  assert.deepEqual(readMessage({ ...HEAD, answers: [...bad, good] })?.answers.length, 1);
});

Deno.test("readMessage() sees the unicast bit of a question", () => {
  const question = (of: string) =>
    readMessage({ ...HEAD, questions: [{ name: "x", type: "PTR", class: of }] })?.questions[0];
  assert.deepEqual([question("IN")?.unicast], [false]);
  assert.deepEqual([question("UNKNOWN_32769")?.unicast], [true]);
  assert.equal(question("CH"), undefined);
});

Deno.test("readMessage() ignores other operations and errors", () => {
  assert.equal(readMessage({ ...HEAD, opcode: "UPDATE" }), null);
  assert.equal(readMessage({ ...HEAD, rcode: "SERVFAIL" }), null);
  assert.equal(readMessage(null), null);
});

Deno.test("readMessage() takes anything without throwing", () => {
  const list = fc.array(fc.oneof(
    fc.anything(),
    fc.record({
      name: fc.oneof(fc.string(), fc.constant("_arknet._tcp.local")),
      type: fc.constantFrom("PTR", "SRV", "TXT", "A", "AAAA", "NSEC"),
      class: fc.constant("IN"),
      ttl: fc.oneof(fc.nat(), fc.double()),
      flush: fc.boolean(),
      data: fc.oneof(fc.anything(), fc.ipV6(), fc.record({ port: fc.anything(), target: fc.string() })),
    }),
  ));
  const messages = fc.oneof(
    fc.anything(),
    fc.record({ questions: list, answers: list, additionals: list, authorities: fc.anything(), id: fc.anything() })
      .map((lists) => ({ ...HEAD, ...lists })),
  );
  fc.assert(fc.property(messages, (decoded) => {
    const message = readMessage(decoded);
    for (const record of message?.answers ?? []) assert.ok(sameRecord(record, record));
  }));
});
