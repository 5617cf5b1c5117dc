import assert from "node:assert/strict";
import { AuditLog, cosignaturesOf, isSignedByLog, leafHash, parseCheckpoint, verifyInclusion } from "@ark/node/audit";
import { generateIdentity } from "@ark/node/identity";
import { ArkError } from "@ark/node/protocol";
import { openStore } from "@ark/node/store";
import { until } from "../inference/local_fixture.ts";
import { fillDisk, withTinyDisk } from "../support/temporary.ts";
import { fill, fullRecord, soundEntries, withFixture } from "./log_fixture.ts";
import { witnessed, witnessesOf, WitnessNode } from "./witness_fixture.ts";

const NEVER = new AbortController().signal;

Deno.test("AuditLog.checkpoint() signs the tree over the lines of audit.log, also after a restart and of an old database", () =>
  withFixture(async (fixture) => {
    const identity = generateIdentity();
    const roots: string[] = [];
    for (const more of [3, 256, 300]) {
      await fixture.opened(async (log) => {
        await fill(log, more);
        const note = await log.checkpoint();
        const signed = parseCheckpoint(note ?? "");
        assert.ok(isSignedByLog(signed));
        assert.equal(signed.checkpoint.log, identity.id);
        assert.equal(signed.checkpoint.size, (await fixture.lines()).length);
        const verdict = await log.verify();
        assert.ok(verdict.ok);
        assert.equal(verdict.root, signed.checkpoint.root.toBase64());
        roots.push(verdict.root);
      }, { identity });
    }
    // As a database of before looks, which had no tiles.
    await fixture.opened((_log, store) => store.deleteFrom("audit_tiles").execute());
    await fixture.opened(async (log, store) => {
      assert.equal((await store.selectFrom("audit_tiles").select("number").execute()).length, 2);
      assert.equal((await log.checkpoints.rootAt(559)).toBase64(), roots[2]);
      assert.equal(log.fault, null);
      await soundEntries(log);
    }, { identity });
    // And when only the file is left.
    for (const name of ["ark.db", "ark.db-wal", "ark.db-shm"]) {
      await Deno.remove(`${fixture.directory}/${name}`).catch(() => {});
    }
    await fixture.opened(async (log) => assert.equal((await log.checkpoints.rootAt(559)).toBase64(), roots[2]));
  }));

Deno.test("Checkpoints.run() makes one after 256 entries, and one at the end when the log is closed", () =>
  withFixture(async (fixture) => {
    const identity = generateIdentity();
    await fixture.opened(async (log) => {
      const stop = new AbortController();
      const running = log.checkpoints.run(stop.signal);
      await fill(log, 255);
      await log.tail(1);
      assert.equal(log.checkpoints.newest?.size, undefined);
      const made = log.checkpoints.next;
      await fill(log, 1);
      await made;
      assert.equal(log.checkpoints.newest?.size, 256);
      stop.abort();
      await running;
      await fill(log, 5);
    }, { identity });
    await fixture.opened((log) => Promise.resolve(assert.equal(log.checkpoints.newest?.size, 261)), { identity });
  }));

Deno.test("Checkpoints.run() makes one of fewer entries when the time is over", () =>
  withFixture((fixture) =>
    fixture.opened(async (log) => {
      const stop = new AbortController();
      const made = log.checkpoints.next;
      const running = log.checkpoints.run(stop.signal, { everyMs: 20 });
      await fill(log, 3);
      await made;
      stop.abort();
      await running;
      assert.ok((log.checkpoints.newest?.size ?? 0) > 0);
    }, { identity: generateIdentity() })
  ));

Deno.test("AuditLog.proof() can be checked by others, with the cosignatures of witnesses", () =>
  withFixture(async (fixture) => {
    const identity = generateIdentity();
    await using witness = await WitnessNode.open();
    await fixture.opened(async (log) => {
      await fill(log, 300);
      await witnessed(log, witnessesOf(log, identity, [witness]));
      for (const seq of [1, 2, 256, 257, 300]) {
        const { entry, leaf, proof, checkpoint } = await log.proof(seq);
        assert.equal(entry, (await fixture.lines())[seq - 1]);
        const signed = parseCheckpoint(checkpoint);
        assert.ok(isSignedByLog(signed));
        assert.deepEqual(cosignaturesOf(signed, signed.signatures).map(({ witness }) => witness), [
          witness.identity.id,
        ]);
        const { size, root } = signed.checkpoint;
        const hash = leafHash(new TextEncoder().encode(entry ?? ""));
        assert.equal(hash.toBase64(), leaf);
        const hashes = proof.map((text) => Uint8Array.fromBase64(text));
        assert.ok(verifyInclusion({ index: seq - 1, size, root, leaf: hash, proof: hashes }));
      }
      for (const seq of [0, 301, NaN, 1.5]) await assert.rejects(log.proof(seq), ArkError);
    }, { identity });
  }));

Deno.test("AuditLog.prune() removes entries from both copies and keeps the proof of them", () =>
  withFixture(async (fixture) => {
    const identity = generateIdentity();
    await using witness = await WitnessNode.open();
    let line = "";
    await fixture.opened(async (log) => {
      await fill(log, 700);
      await witnessed(log, witnessesOf(log, identity, [witness]));
      line = (await fixture.lines())[99] ?? "";
      assert.equal(await log.prune({ keep: 600 }), 0);
      assert.equal(await log.prune({ keep: 100 }), 512);
      assert.equal(await log.prune({ keep: 100 }), 0);
      await fill(log, 10);
      const lines = await fixture.lines();
      assert.equal(lines.length, 700 - 512 + 1 + 10);
      assert.deepEqual(await Array.fromAsync(log.export()), lines);
      const { kind, count } = (await log.tail(11))[0] ?? {};
      assert.deepEqual([kind, count], ["prune", 512]);
      await log.checkpoint();
    }, { identity });
    await fixture.opened(async (log, store) => {
      const verdict = await log.verify();
      assert.ok(verdict.ok, verdict.ok ? "" : verdict.reason);
      assert.deepEqual([verdict.entries, verdict.pruned, verdict.checkpoints], [711, 512, 2]);
      // Who kept an old line can still prove that it was there.
      const { entry, leaf } = await log.proof(100);
      assert.equal(entry, null);
      assert.equal(leafHash(new TextEncoder().encode(line)).toBase64(), leaf);
      const [finding] = await witnessesOf(log, identity, [witness]).compare(NEVER);
      assert.deepEqual([finding?.state, finding?.size], ["agrees", 700]);
      // And what is left is still protected.
      await store.updateTable("audit_entries").set({ model: "other" }).where("seq", "=", 513).execute();
      const bad = await log.verify();
      assert.deepEqual(bad.ok ? null : [bad.seq, bad.where], [513, "database"]);
      await store.updateTable("audit_entries").set({ model: fullRecord(513).model ?? null }).where("seq", "=", 513)
        .execute();
      await store.deleteFrom("audit_tiles").where("number", "=", 0).execute();
      const lost = await log.verify();
      assert.deepEqual(lost.ok ? null : [lost.seq, lost.where], [1, "tree"]);
    }, { identity });
  }));

Deno.test("AuditLog.prune() takes a date, and refuses what is no range", () =>
  withFixture((fixture) =>
    fixture.opened(async (log) => {
      await fill(log, 600);
      assert.equal(await log.prune({ before: "2020-01-01" }), 0);
      await assert.rejects(log.prune({ before: "yesterday" }), ArkError);
      await assert.rejects(log.prune({ keep: 0 }), ArkError);
      assert.equal(await log.prune({ before: "2999-01-01" }), 512);
      assert.equal(await soundEntries(log), 601);
    }, { identity: generateIdentity() })
  ));

Deno.test("AuditLog.open() ends a pruning that was interrupted between database and file", () =>
  withFixture(async (fixture) => {
    const identity = generateIdentity();
    let whole: Uint8Array<ArrayBuffer> | undefined;
    await fixture.opened(async (log) => {
      await fill(log, 600);
      whole = await Deno.readFile(fixture.file);
      await log.prune({ keep: 10 });
    }, { identity });
    const pruned = await Deno.readFile(fixture.file);
    // As the crash leaves it: the old file, to which the record of the pruning was appended.
    assert.ok(whole !== undefined);
    const [first = ""] = (await fixture.lines()).slice(-1);
    await Deno.writeFile(fixture.file, await new Blob([whole, first + "\n"]).bytes());
    await fixture.opened(async (log) => {
      assert.deepEqual(await Deno.readFile(fixture.file), pruned);
      assert.equal(await soundEntries(log), 601);
    }, { identity });
  }));

Deno.test("T30: On a full disk the reserve records how things end, and nothing begins until there is room again", () =>
  withTinyDisk(1_024, (tiny) =>
    withFixture(async ({ directory }) => {
      await using store = await openStore(`${directory}/ark.db`);
      await using log = await AuditLog.open({ store, mirror: `${tiny}/audit.log`, reserveBytes: 64 << 10 });
      const stop = new AbortController();
      const keeping = log.keepReserve(stop.signal, { afterMs: 0 });
      await until(() => size(`${tiny}/audit.log.reserve`) === 64 << 10);
      const start = { ...fullRecord(1), kind: "start" } as const;
      await fillDisk(`${tiny}/ballast`);
      let refused: unknown = null;
      while (refused === null) await log.append(start).catch((error) => refused = error);
      assert.ok(refused instanceof ArkError);
      assert.equal(refused.code, "audit_unavailable");
      assert.match(log.fault ?? "", /the disk is full, and only its reserve is left/);
      for (let number = 1; number <= 20; number++) await log.append(fullRecord(number));
      await assert.rejects(log.append(start), ArkError);
      await Deno.remove(`${tiny}/ballast`);
      await until(() => log.fault === null);
      await log.append(start);
      await soundEntries(log);
      stop.abort();
      await keeping;
    })));

function size(path: string): number {
  try {
    return Deno.statSync(path).size;
  } catch {
    return 0;
  }
}

Deno.test("Checkpoints.run() leaves the event loop alone where no checkpoint can be made", () =>
  withFixture((fixture) =>
    fixture.opened(async (log) => {
      await Promise.all(Array.from({ length: 300 }, (_, number) => log.append(fullRecord(number))));
      await log.tail(1);
      const stop = new AbortController();
      let tries = 0;
      log.checkpoints.make = () => {
        // It would never come to the end of this test otherwise.
        if (++tries === 100) stop.abort();
        return Promise.resolve(null);
      };
      const running = log.checkpoints.run(stop.signal);
      for (let turn = 0; turn < 20; turn++) await new Promise((resolve) => setTimeout(resolve));
      assert.equal(tries, 1);
      stop.abort();
      await running;
    })
  ));
