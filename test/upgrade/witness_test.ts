/** A node that goes back to a backup, before the eyes of its peers. */
import assert from "node:assert/strict";
import { cosignaturesOf, parseCheckpoint } from "@ark/node/audit";
import { dataPaths } from "@ark/node/config";
import { backUp, restoreBackup } from "@ark/node/daemon";
import { TestNode } from "../mesh/test_node.ts";
import { until } from "../inference/local_fixture.ts";
import { withDirectory } from "../support/temporary.ts";
import { contentsOf } from "./database_contents.ts";

async function cosigned(node: TestNode): Promise<void> {
  await until(async () => {
    const { body } = await node.admin<{ checkpoint: string | null }>("/audit/checkpoint");
    const signed = parseCheckpoint(body.checkpoint ?? assert.fail("There is no checkpoint"));
    return cosignaturesOf(signed, signed.signatures).length === 1;
  });
}

Deno.test("To its witnesses a node that was restored goes on with the same log, and it remembers theirs", () =>
  withDirectory(async (data) => {
    await Deno.chmod(data, 0o700);
    await using a = await TestNode.start({ name: "A" });
    {
      await using b = await TestNode.start({ name: "B", peers: [a.mesh], data });
      await a.approve({ publicKey: b.publicKey, name: "B" });
      await b.approve({ publicKey: a.publicKey, name: "A" });
      await cosigned(b);
      await backUp(dataPaths(data));
      // Behind the backup both logs grow, and both nodes see it.
      for (let count = 0; count < 3; count++) {
        assert.equal((await b.admin("/keys", { name: `key ${count}` })).status, 200);
      }
      await cosigned(b);
      assert.equal((await a.admin("/keys", { name: "another" })).status, 200);
      await cosigned(a);
    }
    const before = contentsOf(`${data}/node.db`);
    const { notes } = await restoreBackup(dataPaths(data), null);
    assert.deepEqual(notes, []);
    const after = contentsOf(`${data}/node.db`);
    for (const table of ["witnessed_logs", "audit_entries", "audit_checkpoints"]) {
      assert.deepEqual(after[table], before[table], table);
    }
    await using b = await TestNode.start({ name: "B", peers: [a.mesh], data });
    assert.equal((await b.admin("/keys", { name: "after" })).status, 200);
    await cosigned(b);
    for (const node of [a, b]) {
      assert.deepEqual((await node.admin<{ faults: string[] }>("/status")).body.faults, []);
    }
    const { body: verdict } = await b.admin<{ ok: boolean; witnesses?: { state: string }[] }>("/audit/verify");
    assert.ok(verdict.ok);
    assert.deepEqual(verdict.witnesses?.map(({ state }) => state), ["agrees"]);
  }));
