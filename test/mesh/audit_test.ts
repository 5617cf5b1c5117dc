/** The audit log of whole nodes: witnesses, kill -9, and a backup that was put back. */
import assert from "node:assert/strict";
import { AuditLog, type AuditVerdict, cosignaturesOf, parseCheckpoint } from "@ark/node/audit";
import { formatPublicKey, generateIdentity, loadIdentity } from "@ark/node/identity";
import { openStore } from "@ark/node/store";
import { makeRing } from "../../src/audit/journal_ring.ts";
import { fullRecord } from "../audit/log_fixture.ts";
import { until } from "../inference/local_fixture.ts";
import { withDirectory } from "../support/temporary.ts";
import { MeshPeer, question } from "./mesh_peer.ts";
import { FIXTURES, MODEL, TestNode } from "./test_node.ts";

const LONG = Deno.env.get("ARK_LONG") === "1";

/** Makes a checkpoint and waits until so many witnesses have cosigned it. */
async function cosigned(node: TestNode, count: number): Promise<void> {
  await until(async () => {
    const { body } = await node.admin<{ checkpoint: string | null }>("/audit/checkpoint");
    const signed = parseCheckpoint(body.checkpoint ?? assert.fail("There is no checkpoint"));
    return cosignaturesOf(signed, signed.signatures).length === count;
  });
}

async function verdictOf(node: TestNode): Promise<AuditVerdict> {
  return (await node.admin<AuditVerdict>("/audit/verify")).body;
}

Deno.test("T28 T29: A log that was rewritten and signed anew is found by its peer, which refuses it and raises an alarm", () =>
  withDirectory(async (data) => {
    await using a = await TestNode.start({ name: "A" });
    let entries = 0;
    {
      await using b = await TestNode.start({ name: "B", models: [FIXTURES], peers: [a.mesh], data });
      await a.approve({ publicKey: b.publicKey, name: "B" });
      await b.approve({ publicKey: a.publicKey, name: "A" });
      await cosigned(b, 1);
      const verdict = await verdictOf(b);
      assert.ok(verdict.ok, verdict.ok ? "" : verdict.reason);
      assert.deepEqual(verdict.witnesses?.map(({ state }) => state), ["agrees"]);
      entries = verdict.entries;
    }
    // The owner of B has the key, and writes another history with the same number of entries and more.
    const identity = await loadIdentity(`${data}/node.key`);
    for (const name of ["node.db", "node.db-wal", "node.db-shm", "audit.log"]) {
      await Deno.remove(`${data}/${name}`).catch(() => {});
    }
    {
      await using store = await openStore(`${data}/node.db`);
      await using log = await AuditLog.open({ store, mirror: `${data}/audit.log`, identity });
      for (let number = 1; number <= entries + 5; number++) await log.append(fullRecord(number));
    }
    await using b = await TestNode.start({ name: "B", models: [FIXTURES], peers: [a.mesh], data });
    // One checkpoint later both owners know.
    await until(async () => (await a.admin<{ faults: string[] }>("/status")).body.faults.length === 1);
    const { faults } = (await a.admin<{ faults: string[] }>("/status")).body;
    assert.match(faults[0] ?? "", /^The audit log that peer \w{8} showed at .* contradicts what it showed before/);
    await until(async () => {
      const { entries } = (await a.admin<{ entries: { kind: string; peer: string }[] }>("/audit?count=20")).body;
      return entries.filter(({ kind, peer }) => kind === "alarm" && peer === b.daemon.id).length === 1;
    });
    await until(async () => (await b.admin<{ faults: string[] }>("/status")).body.faults.length === 1);
    const verdict = await verdictOf(b);
    if (verdict.ok) assert.fail("The rewriting was not found");
    assert.equal(verdict.seq, 1);
    assert.match(verdict.reason, /^The log was rewritten: .* witness \w{8} holds a checkpoint/);
    // Who approves B anew takes its present log as the beginning.
    await a.approve({ publicKey: b.publicKey, name: "B" });
    await cosigned(b, 1);
    assert.deepEqual((await a.admin<{ faults: string[] }>("/status")).body.faults, []);
  }));

Deno.test("T63: After an old file of approvals was put back, its revoked peer stays out, and the owner is told", () =>
  withDirectory(async (data) => {
    const identity = generateIdentity();
    const file = `${data}/approved_peers.json`;
    {
      await using node = await TestNode.start({ name: "B", models: [FIXTURES], data });
      await using peer = new MeshPeer(node.daemon.id, node.daemon.mesh, identity);
      await node.approve({ publicKey: peer.publicKey, name: "A" });
      assert.equal((await peer.ask(question(MODEL, "one", { max_tokens: 1 }))).code, null);
      const before = await Deno.readFile(file);
      const { status } = await node.admin("/peers/revoke", { node_id: identity.id });
      assert.equal(status, 200);
      await Deno.writeFile(file, before);
    }
    await using node = await TestNode.start({ name: "B", models: [FIXTURES], data });
    await using peer = new MeshPeer(node.daemon.id, node.daemon.mesh, identity);
    assert.match(await Deno.readTextFile(file), new RegExp(identity.id));
    assert.ok(node.log.some((line) => line.includes("A revoked peer is still in the file")), node.log.join("\n"));
    const { status, code } = await peer.ask(question(MODEL, "one", { max_tokens: 1 }));
    assert.deepEqual([status, code], [403, "ark_revoked"]);
    assert.doesNotMatch(node.workerLog(), /"prompt"/);
  }));

const KILLS = LONG ? 1_000 : 5;

Deno.test(`T31: Every request that the engine saw has an entry after ${KILLS} kills at random points`, () =>
  withDirectory(async (directory) => {
    const data = `${directory}/data`;
    const identity = generateIdentity();
    await Deno.mkdir(data, { mode: 0o700 });
    // A node makes its journal a while after its start, which none of these lives to see.
    await makeRing(`${data}/audit.log.journal`, 32 << 20);
    const permissions = { can_request_inference: true, models_shared: ["*"], max_concurrent_requests: 8 };
    const approval = { name: "A", public_key: formatPublicKey(identity.publicKey), permissions };
    await Deno.writeTextFile(`${data}/approved_peers.json`, JSON.stringify({ peers: [approval] }));
    const script = new URL("doomed_node.ts", import.meta.url).pathname;
    let recorded = 0;
    let seen = 0;
    for (let kill = 1; kill <= KILLS; kill++) {
      const workerLog = `${directory}/worker-${kill}.log`;
      await Deno.writeTextFile(workerLog, "");
      const args = ["run", "--no-check", "-A", script, data, workerLog];
      const child = new Deno.Command(Deno.execPath(), { args, stdin: "null", stdout: "piped", stderr: "inherit" })
        .spawn();
      const reader = child.stdout.pipeThrough(new TextDecoderStream()).getReader();
      let line = "";
      while (!line.includes("\n")) line += (await reader.read()).value ?? assert.fail("The node did not start");
      const { id, hostname, port } = JSON.parse(line);
      {
        await using peer = new MeshPeer(id, { hostname, port }, identity);
        const most = Math.floor(Math.random() * 40);
        let answers = 0;
        let killed = false;
        // Four at once: one is killed before its entry, one behind it, one in its answer.
        await Promise.all(Array.from({ length: 4 }, async () => {
          while (!killed) {
            const failed = await peer.ask(question(MODEL, "one two three", { max_tokens: 3 })).catch(() => null);
            if (answers++ !== most && failed !== null) continue;
            killed = true;
            try {
              child.kill("SIGKILL");
            } catch {
              // Another one was faster.
            }
          }
        }));
      }
      await reader.cancel();
      await child.status;
      await using store = await openStore(`${data}/node.db`);
      await using log = await AuditLog.open({ store, mirror: `${data}/audit.log` });
      const verdict = await log.verify();
      assert.ok(verdict.ok, verdict.ok ? "" : verdict.reason);
      const entries = await log.tail(verdict.entries - recorded);
      recorded = verdict.entries;
      const starts = entries.filter((entry) => entry.kind === "start").length;
      const inRun = (await Deno.readTextFile(workerLog)).split("\n").filter((one) =>
        one.includes('"one two three"')
      ).length;
      assert.ok(inRun <= starts, `The engine saw ${inRun} requests, and ${starts} were recorded`);
      seen += inRun;
      await Deno.remove(workerLog);
    }
    assert.ok(seen >= KILLS, `The engine saw ${seen} requests`);
  }));
