import assert from "node:assert/strict";
import fc from "fast-check";
import type { DnsMessage, DnsRecord } from "../../src/discovery/dns_message.ts";
import { isDialable } from "../../src/discovery/dialable.ts";
import { ServiceCache } from "../../src/discovery/service_cache.ts";
import { announced, link, query, response } from "./network.ts";

const own = { instance: "mine._arknet._tcp.local", host: "mine.local" };
const lan = link();
const lo = link({ loopback: true });
const OWN_PORT = 8911;

/** A cache with a clock that only moves when it is told to. */
class Clocked {
  readonly cache = new ServiceCache(OWN_PORT);
  now = 1_000_000;

  hear(records: DnsRecord[], { source = "192.168.1.7", on = lan, message = response(records) as DnsMessage } = {}) {
    return brief(this.cache.observe(message, { source, link: on }, { own, now: this.now }));
  }

  after(seconds: number) {
    this.now += seconds * 1_000;
    return brief(this.cache.sweep(this.now));
  }

  asked() {
    return this.cache.questions(this.now).map(({ question }) => `${question.type} ${question.name}`);
  }
}

function brief(sightings: ReturnType<ServiceCache["sweep"]>): string[] {
  return sightings.map(({ address, shortId, gone }) =>
    `${gone ? "-" : "+"}${address.hostname}:${address.port} ${shortId}`
  );
}

Deno.test("ServiceCache.observe() sights a service that is complete in one packet, once", () => {
  const clocked = new Clocked();
  assert.deepEqual(clocked.hear(announced()), ["+192.168.1.7:8911 ccccdddd"]);
  assert.deepEqual(clocked.hear(announced()), []);
});

Deno.test("ServiceCache.observe() puts a service together from several packets, and asks for what is missing", () => {
  const clocked = new Clocked();
  const [pointer, service, text, address] = announced() as [DnsRecord, DnsRecord, DnsRecord, DnsRecord];
  assert.deepEqual(clocked.hear([pointer]), []);
  assert.deepEqual(clocked.asked(), []);
  clocked.after(1);
  assert.deepEqual(clocked.asked(), ["SRV other._arknet._tcp.local", "TXT other._arknet._tcp.local"]);
  assert.deepEqual(clocked.hear([service, text]), []);
  clocked.after(1);
  assert.deepEqual(clocked.asked(), ["A other.local", "AAAA other.local"]);
  assert.deepEqual(clocked.hear([address]), ["+192.168.1.7:8911 ccccdddd"]);
});

Deno.test("ServiceCache.sweep() forgets a service that stays incomplete, so that it takes no room", () => {
  const clocked = new Clocked();
  clocked.hear(announced().slice(0, 1));
  let asked = 0;
  for (let second = 0; second < 10; second++) {
    clocked.after(1);
    asked += clocked.asked().length;
  }
  assert.equal(clocked.cache.size, 0);
  assert.equal(asked, 6);
});

Deno.test("ServiceCache.sweep() repeats what lasts every 30 s", () => {
  const clocked = new Clocked();
  clocked.hear(announced());
  assert.deepEqual(clocked.after(29), []);
  assert.deepEqual(clocked.after(1), ["+192.168.1.7:8911 ccccdddd"]);
  assert.deepEqual(clocked.after(1), []);
});

Deno.test("ServiceCache.sweep() says that a service is gone which was not heard of for 120 s", () => {
  const clocked = new Clocked();
  clocked.hear(announced());
  clocked.after(119);
  assert.deepEqual(clocked.after(1), ["-192.168.1.7:8911 ccccdddd"]);
  assert.deepEqual(clocked.after(1), []);
});

Deno.test("ServiceCache.questions() asks again at 80, 85, 90 and 95 % of a life, and no more", () => {
  const clocked = new Clocked();
  clocked.hear(announced());
  const at: number[] = [];
  for (let second = 1; second < 120; second++) {
    clocked.after(1);
    const asked = clocked.asked();
    if (asked.length > 0) at.push(second);
    if (asked.length > 0) assert.deepEqual(asked, ["SRV other._arknet._tcp.local", "A other.local"]);
  }
  assert.deepEqual(at, [96, 102, 108, 114]);
});

Deno.test("ServiceCache keeps a service as long as it is confirmed", () => {
  const clocked = new Clocked();
  clocked.hear(announced());
  for (let minute = 0; minute < 60; minute++) {
    const told = clocked.after(60);
    assert.ok(told.every((line) => line.startsWith("+")), told.join());
    clocked.hear(announced().slice(1));
    clocked.hear(announced().slice(0, 1));
  }
  assert.equal(clocked.cache.size, 1);
});

Deno.test("ServiceCache.observe() hears a goodbye, of the one who said hello", () => {
  const clocked = new Clocked();
  clocked.hear(announced());
  const goodbye = announced({ ttl: 0 });
  assert.deepEqual(clocked.hear(goodbye, { source: "192.168.1.66" }), []);
  assert.deepEqual(clocked.hear(goodbye), ["-192.168.1.7:8911 ccccdddd"]);
  assert.equal(clocked.cache.size, 0);
});

Deno.test("ServiceCache.observe() lets nobody change what another said", () => {
  const clocked = new Clocked();
  clocked.hear(announced());
  const forged = announced({ port: 6379, address: "192.168.1.66", id: "aaaaaaaa" });
  assert.deepEqual(clocked.hear(forged, { source: "192.168.1.66" }), ["+192.168.1.66:6379 aaaaaaaa"]);
  assert.deepEqual(clocked.after(30), ["+192.168.1.7:8911 ccccdddd", "+192.168.1.66:6379 aaaaaaaa"]);
});

Deno.test("ServiceCache does not call an address gone that a restarted node still has", () => {
  const clocked = new Clocked();
  clocked.hear(announced({ label: "before" }));
  clocked.after(60);
  clocked.hear(announced({ label: "after" }));
  assert.deepEqual(clocked.after(60), ["+192.168.1.7:8911 ccccdddd"]);
  assert.deepEqual(clocked.after(60), ["-192.168.1.7:8911 ccccdddd"]);
});

Deno.test("ServiceCache.observe() replaces addresses that were withdrawn, and keeps those of the same announcement", () => {
  const clocked = new Clocked();
  clocked.hear(announced());
  const moved = announced({ address: "192.168.1.8" });
  assert.deepEqual(clocked.hear(moved), ["+192.168.1.8:8911 ccccdddd"]);
  clocked.after(2);
  assert.deepEqual(clocked.hear(moved), ["-192.168.1.7:8911 ccccdddd"]);
});

Deno.test("ServiceCache.observe() follows a service to another port and host", () => {
  const clocked = new Clocked();
  clocked.hear(announced());
  const moved = announced({ port: 9_000 }).map((record) =>
    record.type === "SRV"
      ? { ...record, data: { ...record.data, target: "new.local" } }
      : { ...record, name: record.name.replace("other.local", "new.local") }
  ) as DnsRecord[];
  assert.deepEqual(clocked.hear(moved), ["-192.168.1.7:8911 ccccdddd", "+192.168.1.7:9000 ccccdddd"]);
});

Deno.test("ServiceCache.observe() ignores ourselves, questions, other services and what is no instance of ours", () => {
  const clocked = new Clocked();
  assert.deepEqual(clocked.hear(announced({ label: "mine" })), []);
  assert.deepEqual(clocked.hear([], { message: query("_arknet._tcp.local", "PTR", { answers: announced() }) }), []);
  assert.deepEqual(
    clocked.hear(announced().map((record) => ({ ...record, name: record.name.replace("ark", "oak") }))),
    [],
  );
  assert.deepEqual(clocked.hear(announced({ label: "a.b" })), []);
  assert.equal(clocked.cache.size, 0);
});

Deno.test("ServiceCache.observe() sights another node on this machine, but not our own listener", () => {
  const clocked = new Clocked();
  const here = { source: "192.168.1.1" };
  assert.deepEqual(clocked.hear(announced({ address: "192.168.1.1", port: OWN_PORT }), here), []);
  const neighbour = announced({ label: "b", address: "192.168.1.1", port: 8_912 });
  assert.deepEqual(clocked.hear(neighbour, here), ["+192.168.1.1:8912 ccccdddd"]);
});

Deno.test("ServiceCache.observe() sights loopback only by loopback", () => {
  const clocked = new Clocked();
  const local = announced({ address: "127.0.0.1", port: 9_000 });
  assert.deepEqual(clocked.hear(local), []);
  assert.deepEqual(clocked.hear(local, { source: "127.0.0.1", on: lo }), ["+127.0.0.1:9000 ccccdddd"]);
});

Deno.test("ServiceCache.observe() reads a short id only from a text of the version it knows", () => {
  const said = (texts: string[]) => {
    const records = announced().map((record) => record.type === "TXT" ? { ...record, data: texts } : record);
    return new Clocked().hear(records as DnsRecord[])[0]?.split(" ")[1];
  };
  assert.equal(said(["txtvers=1", "ID=ccccdddd"]), "ccccdddd");
  assert.equal(said(["txtvers=1", "id=ccccdddd", "id=eeeeffff"]), "ccccdddd");
  assert.equal(said(["txtvers=2", "id=ccccdddd"]), "null");
  assert.equal(said(["txtvers=1", "id=CCCCDDDD"]), "null");
  assert.equal(said(["txtvers=1", "id=cccc\u0007ddd"]), "null");
  assert.equal(said(["txtvers=1", "id=cccc"]), "null");
  assert.equal(said([]), "null");
});

Deno.test("ServiceCache keeps 3 services of one sender, all of this machine, and 64 together", () => {
  const clocked = new Clocked();
  const say = (source: string, labels: number) => {
    for (let label = 0; label < labels; label++) {
      clocked.hear(
        announced({ label: `${source.replaceAll(".", "-")}-${label}`, address: source, port: 9_000 + label }),
        { source },
      );
    }
  };
  say("192.168.1.7", 10);
  assert.equal(clocked.cache.size, 3);
  say("192.168.1.1", 10);
  assert.equal(clocked.cache.size, 13);
  for (let host = 20; host < 100; host++) say(`192.168.1.${host}`, 3);
  assert.equal(clocked.cache.size, 64);
  clocked.after(120);
  assert.equal(clocked.cache.size, 64); // incomplete now, and asked for
  clocked.asked();
  clocked.after(10);
  assert.equal(clocked.cache.size, 64);
});

Deno.test("ServiceCache does not ask every second for a record that lives for one", () => {
  const clocked = new Clocked();
  clocked.hear(announced({ ttl: 1 }));
  let asked = 0;
  for (let second = 0; second < 8; second++) {
    clocked.after(1);
    asked += clocked.asked().length;
  }
  assert.ok(asked <= 2, `${asked}`);
});

Deno.test("ServiceCache.knownAnswers() lists what has more than half of its time left, on its link, 12 at most", () => {
  const clocked = new Clocked();
  for (let host = 2; host < 22; host++) {
    clocked.hear(announced({ label: `n${host}`, address: `192.168.1.${host}` }), { source: `192.168.1.${host}` });
  }
  assert.equal(clocked.cache.knownAnswers(lan, clocked.now).length, 12);
  assert.equal(clocked.cache.knownAnswers(lo, clocked.now).length, 0);
  assert.equal(clocked.cache.knownAnswers(lan, clocked.now + 2_249_000)[0]?.ttl, 2_251);
  assert.equal(clocked.cache.knownAnswers(lan, clocked.now + 2_250_000).length, 0);
});

Deno.test("ServiceCache.keepLinks() forgets what was heard on a link that is no more", () => {
  const clocked = new Clocked();
  clocked.hear(announced());
  assert.deepEqual(brief(clocked.cache.keepLinks([lan, lo], clocked.now)), []);
  assert.deepEqual(brief(clocked.cache.keepLinks([lo], clocked.now)), ["-192.168.1.7:8911 ccccdddd"]);
});

Deno.test("ServiceCache stays within its limits whatever is said, and passes on only what may be dialled", () => {
  const label = fc.constantFrom("a", "b", "c", "mine", "x.y");
  const address = fc.oneof(fc.ipV4(), fc.ipV6(), fc.constantFrom("127.0.0.1", "192.168.1.1", "169.254.169.254", "::1"));
  const ttl = fc.oneof(fc.constantFrom(0, 1, 120, 4_500), fc.nat(0xffff_ffff));
  const records = fc.tuple(label, address, ttl, fc.integer({ min: 0, max: 65_535 }))
    .map(([label, address, ttl, port]) => announced({ label, address, ttl, port }))
    .chain((records) => fc.shuffledSubarray(records, { minLength: 1 }));
  const steps = fc.array(
    fc.record({
      records,
      source: fc.oneof(fc.nat(255).map((last) => `192.168.1.${last}`), fc.constantFrom("192.168.1.1", "192.168.1.7")),
      seconds: fc.oneof(fc.constant(0), fc.nat(5_000)),
    }),
    { maxLength: 60 },
  );
  fc.assert(
    fc.property(steps, (steps) => {
      const cache = new ServiceCache(OWN_PORT);
      const alive = new Set<string>();
      let now = 0;
      for (const { records, source, seconds } of steps) {
        now += seconds * 1_000;
        const sightings = [
          ...cache.sweep(now),
          ...cache.observe(response(records), { source, link: lan }, { own, now }),
        ];
        for (const { address: { hostname, port }, gone } of sightings) {
          const key = `${hostname} ${port}`;
          if (gone) assert.ok(alive.delete(key), `${key} was never there`);
          else alive.add(key);
          if (!gone) {
            assert.ok(isDialable(hostname, source, { link: lan }) || !records.some(({ data }) => data === hostname));
          }
          assert.ok(!hostname.startsWith("127.") && hostname !== "169.254.169.254" && port >= 1_024 && port !== 8_910);
        }
        assert.ok(
          cache.size <= 64 && cache.questions(now).length <= 64 * 4 && cache.knownAnswers(lan, now).length <= 12,
        );
      }
      for (const { gone, address } of [...cache.keepLinks([], now)]) {
        assert.ok(gone && alive.delete(`${address.hostname} ${address.port}`));
      }
      assert.equal(alive.size, 0);
    }),
    { numRuns: 300 },
  );
});
