import assert from "node:assert/strict";
import { AuditLog, isSignedByLog, leafHash, parseCheckpoint, verifyInclusion } from "@ark/node/audit";
import { generateIdentity } from "@ark/node/identity";
import { openStore } from "@ark/node/store";
import { fill } from "../audit/log_fixture.ts";
import { withDirectory } from "../support/temporary.ts";
import { runMain } from "./run_main.ts";

Deno.test("ark-node audit export --checkpoint and --proof, audit prune and audit verify work on the log of a stopped node", () =>
  withDirectory(async (data) => {
    {
      await using store = await openStore(`${data}/node.db`);
      await using log = await AuditLog.open({ store, mirror: `${data}/audit.log`, identity: generateIdentity() });
      await fill(log, 600);
    }
    const run = (...args: string[]) => runMain(["audit", ...args, "--data", data]);

    const checkpoint = await run("export", "--checkpoint");
    assert.equal(checkpoint.code, 0, checkpoint.stderr);
    const signed = parseCheckpoint(checkpoint.stdout);
    assert.ok(isSignedByLog(signed));
    assert.equal(signed.checkpoint.size, 600);

    const { entry, proof, checkpoint: note } = JSON.parse((await run("export", "--proof", "77")).stdout);
    assert.equal(note, checkpoint.stdout);
    const { size, root } = signed.checkpoint;
    const leaf = leafHash(new TextEncoder().encode(entry));
    const hashes = proof.map((hash: string) => Uint8Array.fromBase64(hash));
    assert.ok(verifyInclusion({ index: 76, size, root, leaf, proof: hashes }));
    assert.match((await run("export", "--proof", "601")).stderr, /No checkpoint is about entry 601/);

    assert.match((await run("prune", "--keep", "500")).stdout, /^Nothing was pruned/);
    assert.match((await run("prune", "--keep", "300")).stdout, /^256 entries were pruned/);
    const verdict = await run("verify");
    assert.equal(verdict.code, 0, verdict.stdout);
    assert.match(
      verdict.stdout,
      /^The audit log is whole: 601 entries[^]*256 of them were pruned[^]*1 signed checkpoint/,
    );
    assert.match((await run("tail", "--count", "1")).stdout, /pruned .* x256/);
    for (const wrong of [["prune"], ["prune", "--keep", "1", "--before", "2026-01-01"], ["export", "--proof", "x"]]) {
      assert.equal((await run(...wrong)).code, 2, wrong.join(" "));
    }
    assert.match((await run("prune", "--before", "soon")).stderr, /The date is none/);
  }));
