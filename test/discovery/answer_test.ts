import assert from "node:assert/strict";
import { additionalsFor, answerTo, isConflict } from "../../src/discovery/answer.ts";
import { announcement, claimed, drawNames, goodbye, ownRecords } from "../../src/discovery/own_records.ts";
import { ID, link, query, response } from "./network.ts";

const names = { instance: "mine._arknet._tcp.local", host: "mine.local" };
const own = ownRecords(names, { id: ID, port: 8911, link: link() });

Deno.test("ownRecords() tells the port, an address and 8 characters of the id, and nothing else", () => {
  assert.deepEqual(announcement(own), [
    { type: "PTR", name: "_arknet._tcp.local", ttl: 4_500, flush: false, data: "mine._arknet._tcp.local" },
    { type: "SRV", name: "mine._arknet._tcp.local", ttl: 120, flush: true, data: { port: 8911, target: "mine.local" } },
    {
      type: "TXT",
      name: "mine._arknet._tcp.local",
      ttl: 4_500,
      flush: true,
      data: ["txtvers=1", "id=aaaabbbb", "p=1"],
    },
    { type: "A", name: "mine.local", ttl: 120, flush: true, data: "192.168.1.1" },
  ]);
});

Deno.test("drawNames() draws names of 128 random bits that tell nothing of each other", () => {
  const drawn = Array.from({ length: 50 }, drawNames);
  assert.equal(new Set(drawn.flatMap(({ instance, host }) => [instance.split(".")[0], host.split(".")[0]])).size, 100);
  for (const { instance, host } of drawn) {
    assert.match(instance, /^[0-9a-f]{32}\._arknet\._tcp\.local$/);
    assert.match(host, /^[0-9a-f]{32}\.local$/);
  }
});

Deno.test("goodbye() takes back all that was announced", () => {
  assert.deepEqual(goodbye(own), announcement(own).map((record) => ({ ...record, ttl: 0 })));
});

Deno.test("claimed() has the records that are ours alone, without the cache-flush bit", () => {
  assert.deepEqual(claimed(own).map(({ type, flush }) => `${type} ${flush}`), ["SRV false", "TXT false", "A false"]);
});

Deno.test.each([
  { name: "_arknet._tcp.local", type: "PTR", answers: ["PTR"], delay: [20, 120] },
  { name: "_arknet._tcp.local", type: "ANY", answers: ["PTR"], delay: [20, 120] },
  { name: "_services._dns-sd._udp.local", type: "PTR", answers: ["PTR"], delay: [20, 120] },
  { name: "mine._arknet._tcp.local", type: "SRV", answers: ["SRV"], delay: [0, 0] },
  { name: "mine._arknet._tcp.local", type: "TXT", answers: ["TXT"], delay: [0, 0] },
  { name: "mine._arknet._tcp.local", type: "ANY", answers: ["SRV", "TXT"], delay: [0, 0] },
  { name: "mine.local", type: "A", answers: ["A"], delay: [0, 0] },
])("answerTo() answers $type of $name", ({ name, type, answers, delay }) => {
  const answer = answerTo(query(name, type), own);
  assert.deepEqual(answer?.records.map((record) => record.type), answers);
  assert.deepEqual(answer?.delayMs, delay);
  assert.deepEqual([answer?.unicast], [false]);
});

Deno.test.each([
  { name: "_arknet._tcp.local", type: "SRV" },
  { name: "_airplay._tcp.local", type: "PTR" },
  { name: "other._arknet._tcp.local", type: "SRV" },
  { name: "mine.local", type: "AAAA" },
  { name: "local", type: "ANY" },
])("answerTo() has nothing to say about $type of $name", ({ name, type }) => {
  assert.equal(answerTo(query(name, type), own), null);
});

Deno.test("answerTo() leaves out what the asker knows with half of its time left, and repeats what it is about to lose", () => {
  const asked = (ttl: number) =>
    answerTo(query("_arknet._tcp.local", "PTR", { answers: [{ ...own.pointer, ttl }] }), own);
  assert.equal(asked(2_250), null);
  assert.deepEqual(asked(2_249)?.records, [own.pointer]);
});

Deno.test("answerTo() waits for the rest of the known answers where more are to come", () => {
  assert.deepEqual(answerTo(query("_arknet._tcp.local", "PTR", { truncated: true }), own)?.delayMs, [400, 500]);
});

Deno.test("answerTo() may answer by unicast when every question of ours allows it", () => {
  const one = query("mine.local", "A", { unicast: true });
  assert.deepEqual([answerTo(one, own)?.unicast], [true]);
  const another = { name: "_arknet._tcp.local", type: "PTR", unicast: false };
  assert.deepEqual([answerTo({ ...one, questions: [...one.questions, another] }, own)?.unicast], [false]);
});

Deno.test("answerTo() answers each record once, and no response", () => {
  const twice = query("mine.local", "A");
  assert.equal(answerTo({ ...twice, questions: [...twice.questions, ...twice.questions] }, own)?.records.length, 1);
  assert.equal(answerTo({ ...twice, response: true }, own), null);
});

Deno.test("additionalsFor() sends along what will be asked next, but nothing twice", () => {
  const types = (records: Parameters<typeof additionalsFor>[0]) => additionalsFor(records, own).map(({ type }) => type);
  assert.deepEqual(types([own.pointer]), ["SRV", "TXT", "A"]);
  assert.deepEqual(types([own.service]), ["A"]);
  assert.deepEqual(types([own.pointer, own.service, ...own.addresses]), ["TXT"]);
  assert.deepEqual(types([own.enumeration]), []);
});

Deno.test("isConflict() notices who claims our names for something else", () => {
  const theirs = { ...own.service, type: "SRV", data: { port: 1, target: "evil.local" } } as const;
  assert.ok(isConflict(response([theirs]), [own]));
  assert.ok(isConflict(response([], [theirs]), [own]));
  assert.ok(!isConflict(response([{ ...theirs, ttl: 0 }]), [own]));
  assert.ok(!isConflict(query("mine.local", "A", { answers: [theirs] }), [own]));
});

Deno.test("isConflict() does not mistake a reflector for one, even one that carries what we said on another link", () => {
  const there = ownRecords(names, { id: ID, port: 8911, link: { ...link(), advertised: ["10.0.0.1"] } });
  assert.ok(!isConflict(response(announcement(own)), [own]));
  assert.ok(!isConflict(response(announcement(there)), [own, there]));
  assert.ok(isConflict(response(announcement(there)), [own]));
});
