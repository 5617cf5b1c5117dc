/** The way back, with the real programs of then. */
import assert from "node:assert/strict";
import { dataPaths } from "@ark/node/config";
import { restoreBackup } from "@ark/node/daemon";
import { generateIdentity } from "@ark/node/identity";
import { MIGRATIONS } from "../../migrations/mod.ts";
import { FIXTURES, MODEL, TestNode } from "../mesh/test_node.ts";
import { NodeProcess } from "../support/node_process.ts";
import { withDirectory } from "../support/temporary.ts";
import { layOut, readFixture, VERSIONS } from "./fixture.ts";
import { oldProgram } from "./old_program.ts";

const LONG = Deno.env.get("ARK_LONG") === "1";

for (const version of VERSIONS.filter((each) => Number(each) < Object.keys(MIGRATIONS).length)) {
  Deno.test(`The program of version ${version} goes on with its data after an upgrade and the way back`, () =>
    withDirectory(async (directory) => {
      const command = LONG ? await oldProgram(version, directory) : null;
      if (command === null) {
        // deno-lint-ignore no-console
        console.log("Skipped: this runs with ARK_LONG=1, in a clone with its history");
        return;
      }
      const fixture = await readFixture(version);
      const data = `${directory}/data`;
      await layOut(fixture, data);
      const later = generateIdentity();
      {
        // The present version works for a while, and writes what the older one does not know.
        await using node = await TestNode.start({ name: "node", models: [FIXTURES], data });
        const approval = { node_id: later.id, name: "Later", own: true, permissions: { content_shared: ["*"] } };
        assert.equal((await node.admin("/peers/approve", approval)).status, 200);
        assert.equal((await node.admin("/peers/revoke", { node_id: fixture.peers.approved })).status, 200);
      }
      const { notes } = await restoreBackup(dataPaths(data), null);
      assert.match(notes.join(" "), /That version does not know .*content_shared.* of approved_peers\.json/);
      await using node = await NodeProcess.start({
        name: "old node",
        command,
        data,
        args: ["--no-mdns", "--models", FIXTURES],
      });
      const peers = await node.json<{ peers: { name: string }[] }>("peers", "list");
      assert.deepEqual(peers.peers.map(({ name }) => name), ["Later"], node.log);
      const verified = await node.cli("audit", "verify");
      assert.equal(verified.code, 0, verified.stdout + verified.stderr);
      const before = (await Deno.readTextFile(`${data}/audit.log`)).trimEnd().split("\n").length;
      assert.ok(before > 3);
      const asked = await node.cli("ask", MODEL, "one two three");
      assert.equal(asked.code, 0, asked.stderr);
      assert.equal((await node.cli("peers", "revoke", "Later")).code, 0);
      // Its log goes on from all that is in the file, also from what the present version wrote.
      assert.equal((await Deno.readTextFile(`${data}/audit.log`)).trimEnd().split("\n").length, before + 1, node.log);
      assert.equal((await node.cli("audit", "verify")).code, 0);
      assert.doesNotMatch(node.log, /ERROR/);
    }));
}
