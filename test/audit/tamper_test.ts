import assert from "node:assert/strict";
import { AuditLog, type AuditRecord, type AuditVerdict, type FaultyAudit, witnessedVerdict } from "@ark/node/audit";
import { generateIdentity } from "@ark/node/identity";
import { openStore, type Store } from "@ark/node/store";
import type { entryOf } from "../../src/audit/chain.ts";
import { fill, fullRecord, type LogFixture, placed, soundEntries, withFixture } from "./log_fixture.ts";
import { forge, upTo, witnessed, witnessesOf, WitnessNode } from "./witness_fixture.ts";

const LONG = Deno.env.get("ARK_LONG") === "1";

/** Bytes that are changed, one after the other, of a log with short lines and of one so large that threads check it. */
const ENTRIES = LONG ? 10_000 : 300;
const CHANGED: [lines: "short" | "full", changes: number][] = LONG ? [["short", 2_000], ["full", 60]] : [["full", 60]];

const SHORT = Array.from({ length: 100 }, (): AuditRecord => ({
  kind: "start",
  direction: "in",
  peer: "abcdefgh".repeat(7),
  model: "llama3.1:8b",
}));
const NEVER = new AbortController().signal;

function faulty(verdict: AuditVerdict, what: string): FaultyAudit {
  if (verdict.ok) assert.fail(`${what} was not found`);
  return verdict;
}

/** Places that are spread over a file, all different, and prime to the length of a line. */
function spread(count: number, size: number): number[] {
  return Array.from({ length: count }, (_, index) => Math.floor((index + 0.37) * size / count));
}

for (const [lines, changes] of CHANGED) {
  const name = `each of ${changes} changes of a byte of a log of ${ENTRIES} entries with ${lines} lines`;
  Deno.test(`T28: verify names the first bad entry after ${name}`, () =>
    withFixture((fixture) =>
      fixture.opened(async (log) => {
        if (lines === "full") await fill(log, ENTRIES);
        else {for (let left = ENTRIES; left > 0; left -= 100) {
            await Promise.all(SHORT.map((record) => log.append(record)));
          }}
        await log.checkpoint();
        const bytes = await Deno.readFile(fixture.file);
        using file = await Deno.open(fixture.file, { write: true });
        const put = async (index: number, byte: number) => {
          await file.seek(index, Deno.SeekMode.Start);
          await file.write(Uint8Array.of(byte));
        };
        let [seq, counted] = [1, 0];
        for (const index of spread(changes, bytes.length)) {
          for (; counted < index; counted++) if (bytes[counted] === 10) seq++;
          const byte = bytes[index] ?? 0;
          await put(index, byte ^ 1);
          assert.equal(faulty(await log.verify(), `byte ${index}`).seq, seq, `byte ${index}`);
          await put(index, byte);
        }
        assert.equal(await soundEntries(log), ENTRIES);
      }, { identity: generateIdentity() })
    ));
}

/** Ways to tamper with both copies, chain and all, so that only the tree knows. */
const REWRITES: [name: string, change: (lines: string[], at: number) => string[]][] = [
  ["a change", (lines, at) => lines.with(at, JSON.stringify({ ...JSON.parse(lines[at] ?? ""), model: "other:1b" }))],
  ["a deletion", (lines, at) => lines.toSpliced(at, 1)],
  ["a swap", (lines, at) => lines.with(at, lines[at + 1] ?? "").with(at + 1, lines[at] ?? "")],
  ["an insertion", (lines, at) => lines.toSpliced(at, 0, lines[at + 1] ?? "")],
];

/** Writes both copies anew with a chain that holds, as somebody does who can write both and has no key. */
async function rechain(fixture: LogFixture, store: Store, lines: readonly string[]): Promise<void> {
  let head = { seq: 0, hash: "0".repeat(64) };
  const rechained = lines.map((line) => {
    const { seq: _seq, prev: _prev, hash: _hash, ...rest } = partsOf(line);
    const next = placed(rest, head);
    head = next.entry;
    return next;
  });
  await fixture.rewrite(rechained.map(({ line }) => line));
  await store.deleteFrom("audit_entries").execute();
  await store.batch((statements) => {
    for (const { entry } of rechained) {
      const names = Object.keys(entry);
      statements.run(
        `INSERT INTO audit_entries (${names.join(", ")}) VALUES (${names.map(() => "?").join(", ")})`,
        ...Object.values(entry),
      );
    }
  });
}

/** Reads a line without asking whether its hash is its own. */
function partsOf(line: string): ReturnType<typeof entryOf> {
  const missing = { direction: null, peer: null, model: null, prompt_tokens: null, completion_tokens: null };
  const more = { ms: null, outcome: null, digest: null, request: null, receipt: null, count: null };
  return { ...missing, ...more, ...JSON.parse(line) };
}

for (const [name, change] of REWRITES) {
  Deno.test(`T28: verify names the first bad entry after ${name} in both copies with a chain that holds`, () =>
    withFixture((fixture) =>
      fixture.opened(async (log, store) => {
        // A full tile knows each entry by itself, the entries behind it are known together.
        await fill(log, 200);
        await log.checkpoint();
        await fill(log, 100);
        await log.checkpoint();
        const lines = await fixture.lines();
        for (const at of [0, 100, 255, 270]) {
          await rechain(fixture, store, change(lines, at));
          const { seq, where, entries, reason } = faulty(await log.verify(), `${name} at ${at + 1}`);
          const expected = name === "a deletion" && at === 270 ? 300 : at < 256 ? at + 1 : 201;
          assert.deepEqual({ seq, where, entries }, { seq: expected, where: "both", entries: expected - 1 }, reason);
        }
        await rechain(fixture, store, lines);
        assert.equal(await soundEntries(log), 300);
      }, { identity: generateIdentity() })
    ));
}

Deno.test("T28: verify finds that the tail of both copies was cut, by the node's own checkpoint", () =>
  withFixture(async (fixture) => {
    const identity = generateIdentity();
    await fixture.opened(async (log) => {
      await fill(log, 300);
      await log.checkpoint();
    }, { identity });
    await fixture.opened(async (_log, store) => {
      await store.deleteFrom("audit_entries").where("seq", ">", 290).execute();
      await fixture.rewrite((await fixture.lines()).slice(0, 290));
    });
    await fixture.opened(async (log) => {
      assert.match(log.fault ?? "", /^The audit log ends at entry 290, and a checkpoint says that it had 300/);
      const { seq, reason } = faulty(await log.verify(), "the cut");
      assert.equal(seq, 291);
      assert.match(
        reason,
        /ends at entry 290, .* says that it had 300: entries 291 to 300 are missing, or as many before$/,
      );
      // What is not what it was is not signed.
      await log.append(fullRecord(1));
      await log.checkpoint();
      assert.equal(log.checkpoints.newest?.size, 300);
    }, { identity });
  }));

Deno.test("T28: verify tells changed hashes and checkpoints from changed entries", () =>
  withFixture((fixture) =>
    fixture.opened(async (log, store) => {
      await fill(log, 300);
      await log.checkpoint();
      const { hashes } = await store.selectFrom("audit_tiles").select("hashes").executeTakeFirstOrThrow();
      const changed = hashes.slice();
      changed[32 * 100 + 5] = (changed[32 * 100 + 5] ?? 0) ^ 1;
      await store.updateTable("audit_tiles").set({ hashes: changed }).execute();
      const tile = faulty(await log.verify(), "the tile");
      assert.deepEqual([tile.seq, tile.where], [101, "tree"]);
      assert.match(tile.reason, /^The stored hash of entry 101 was changed; the entry itself is as it was/);
      await store.updateTable("audit_tiles").set({ hashes }).execute();

      const { note } = await store.selectFrom("audit_checkpoints").select("note").executeTakeFirstOrThrow();
      await store.updateTable("audit_checkpoints").set({ note: note.replace("\n300\n", "\n299\n") }).execute();
      assert.match(faulty(await log.verify(), "the checkpoint").reason, /signature does not hold$/);
      await store.updateTable("audit_checkpoints").set({ note }).execute();
      await soundEntries(log);
    }, { identity: generateIdentity() })
  ));

Deno.test("T28: any one witness shows that a log was cut, or rewritten as a whole and signed anew", () =>
  withFixture(async (fixture) => {
    const identity = generateIdentity();
    await using one = await WitnessNode.open();
    await using two = await WitnessNode.open();
    const open = (work: (log: AuditLog) => Promise<void>) => fixture.opened(work, { identity });
    await open(async (log) => {
      for (const number of upTo(40)) await log.append(fullRecord(number));
      await witnessed(log, witnessesOf(log, identity, [one]));
      for (const number of upTo(20)) await log.append(fullRecord(40 + number));
      await witnessed(log, witnessesOf(log, identity, [two]));
      const both = witnessesOf(log, identity, [one, two]);
      const verdict = witnessedVerdict(await log.verify(), await both.compare(NEVER));
      assert.ok(verdict.ok);
      assert.deepEqual(verdict.witnesses?.map(({ state, size }) => [state, size]), [["agrees", 40], ["agrees", 60]]);
    });

    const asked = async (nodes: WitnessNode[]) => {
      let found: AuditVerdict | undefined;
      await open(async (log) => {
        const witnesses = witnessesOf(log, identity, nodes);
        const alone = await log.verify();
        assert.ok(alone.ok, "the log alone cannot tell");
        found = witnessedVerdict(alone, await witnesses.compare(NEVER));
        assert.equal(witnesses.faults().length, found.witnesses?.filter(({ state }) => state === "disagrees").length);
      });
      assert.ok(found !== undefined);
      return found;
    };

    // The tail was cut: the times of the entries differ, so even the same records are other entries.
    await forge(fixture.directory, identity, upTo(30));
    const cut = faulty(await asked([one]), "the cut");
    assert.deepEqual([cut.seq, cut.entries], [31, 30]);
    assert.match(cut.reason, /^The log ends at entry 30, but witness \w{8} holds a checkpoint of 40 entries/);

    // Everything was rewritten, and has grown since.
    await forge(fixture.directory, identity, upTo(100));
    for (const nodes of [[one], [two], [one, two]]) {
      const { seq, reason } = faulty(await asked(nodes), "the rewriting");
      assert.equal(seq, 1);
      assert.match(reason, /^The log was rewritten: one of the entries 1 to (40|60) is not what it was/);
    }
  }));

Deno.test("T29: Of two logs of one node the second witness that saw the first refuses the other, and raises an alarm", () =>
  withFixture(async (fixture) => {
    const identity = generateIdentity();
    await using first = await WitnessNode.open();
    await using second = await WitnessNode.open();
    await fixture.opened(async (log) => {
      for (const number of upTo(20)) await log.append(fullRecord(number));
      await witnessed(log, witnessesOf(log, identity, [first, second]));
      assert.equal((await first.book.remembered(identity.id))?.split("\n")[1], "20");
    }, { identity });

    // The fork: another history, which grows on beside the first.
    const fork = await Deno.makeTempDir();
    try {
      await withFork(fork, identity, async (log) => {
        const witnesses = witnessesOf(log, identity, [second]);
        await witnessed(log, witnesses);
        assert.equal(second.book.faults().length, 1);
        assert.match(second.book.faults()[0] ?? "", /^The audit log that peer \w{8} showed at .* contradicts/);
        assert.deepEqual(second.records, [{ kind: "alarm", peer: identity.id }]);
        // Its own node is told the same, by its own signature.
        assert.match(witnesses.faults()[0] ?? "", /holds a checkpoint of 20 entries with this node's signature/);
        assert.equal((await second.book.remembered(identity.id))?.split("\n")[1], "20");
      });
      await second.reopen();
      assert.equal(second.book.faults().length, 1, "the alarm survives a restart");
    } finally {
      await Deno.remove(fork, { recursive: true });
    }

    // The honest log goes on, and the first witness with it.
    await fixture.opened(async (log) => {
      await log.append(fullRecord(21));
      await witnessed(log, witnessesOf(log, identity, [first]));
      assert.equal((await first.book.remembered(identity.id))?.split("\n")[1], "21");
      assert.deepEqual(first.book.faults(), []);
    }, { identity });
  }));

async function withFork(
  directory: string,
  identity: ReturnType<typeof generateIdentity>,
  work: (log: AuditLog) => Promise<void>,
): Promise<void> {
  await forge(directory, identity, upTo(25));
  await using store = await openStore(`${directory}/ark.db`);
  await using log = await AuditLog.open({ store, mirror: `${directory}/audit.log`, identity });
  await work(log);
}
