/** Models that are carried between nodes without a network, on the command line. */
import assert from "node:assert/strict";
import { join } from "node:path";
import { shortId } from "@ark/node/identity";
import { FIXTURES, MODEL, TestNode } from "../mesh/test_node.ts";
import { withDirectory } from "../support/temporary.ts";
import { runMain } from "./run_main.ts";

const FIXTURE = `${FIXTURES}/arkling-9m-q4_0.gguf`;

Deno.test("models export and import carry a model; --approve-models lets it wait until models approve, then it answers", () =>
  withDirectory(async (directory) => {
    const usb = join(directory, "usb");
    await using giver = await TestNode.start({ name: "G", models: [FIXTURES] });
    await using taker = await TestNode.start({ name: "T", flags: { "approve-models": true } });
    const run = (node: TestNode, ...words: string[]) => runMain(["models", ...words, "--data", node.data]);

    const exported = await run(giver, "export", MODEL, usb);
    assert.equal(exported.code, 0, exported.stderr);
    assert.match(
      exported.stdout,
      /^5\.\d MB are to come, .* are free\nwriting [0-9a-f]{12} \(5\.\d MB\)\n/m,
    );
    assert.match((await run(giver, "export", "none:1b", usb)).stderr, /There is no model none:1b on this node/);
    assert.equal((await run(giver, "export", MODEL)).code, 2);

    const imported = await run(taker, "import", usb);
    assert.equal(imported.code, 0, imported.stderr);
    const stranger = new RegExp(
      `signed by a node that you do not know \\(${shortId(giver.daemon.id)}\\): nobody that you know`,
    );
    assert.match(imported.stdout, stranger);
    assert.match(imported.stdout, /^waiting for approval: ark-node models approve arkling:9m-q4_0\nsuccess$/m);
    const listed = await run(taker, "list");
    assert.match(
      listed.stdout,
      /^Waiting for your approval: arkling:9m-q4_0 \(5\.\d MB\) from the folder .*usb: ark-node/m,
    );
    assert.match((await run(taker, "show", MODEL)).stderr, /There is no model/);
    const { waiting, disk } = JSON.parse((await run(taker, "list", "--json")).stdout);
    assert.deepEqual(waiting.map(({ name }: { name: string }) => name), [MODEL]);
    assert.ok(disk.waitingBytes > 5_000_000);

    assert.match((await run(taker, "approve", "none:1b")).stderr, /No model none:1b waits for approval/);
    const approved = await run(taker, "approve", MODEL);
    assert.match(approved.stdout, /^Approved arkling:9m-q4_0, which came from the folder .*usb\.\n$/);
    assert.match((await run(taker, "show", MODEL)).stdout, /source +own/);
    const asked = await fetch(`${taker.api}/v1/completions`, {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: JSON.stringify({ model: MODEL, prompt: "The node", max_tokens: 4 }),
    });
    assert.equal(asked.status, 200, await asked.text());

    const bytes = await Deno.readFile(FIXTURE);
    const [blob] = (await Array.fromAsync(Deno.readDir(join(usb, "blobs")))).filter(({ name }) => !/\./.test(name));
    await Deno.writeFile(join(usb, "blobs", blob?.name ?? ""), bytes.with(9, 0xff));
    await run(taker, "rm", MODEL);
    const damaged = await run(taker, "import", usb);
    assert.equal(damaged.code, 1);
    assert.match(damaged.stderr, /A piece of .* is damaged \(the first at byte 0\)/);
    assert.match((await run(taker, "list")).stdout, /^1 file that is not whole takes \d/m);
    const lines = (await run(giver, "import", usb, "--json")).stdout.trim().split("\n").map((line) => JSON.parse(line));
    assert.match(lines[0].status, /signed by this node itself/);
  }));

Deno.test("Nobody without the admin token exports, imports or approves, and a folder is an absolute path", async () => {
  await using node = await TestNode.start({ name: "N" });
  for (const call of ["export", "import", "approve"]) {
    const order = { method: "POST", headers: { "content-type": "application/json" }, body: "{}" };
    const open = await fetch(`${node.api}/models/${call}`, order);
    await open.body?.cancel();
    assert.equal(open.status, 401, call);
  }
  for (const directory of ["usb", "../x", "", 7, "/a\n", `/${"a".repeat(5_000)}`]) {
    const token = (await Deno.readTextFile(`${node.data}/admin.token`)).trim();
    const response = await fetch(`${node.api}/models/import`, {
      method: "POST",
      headers: { authorization: `Bearer ${token}`, "content-type": "application/json" },
      body: JSON.stringify({ directory }),
    });
    assert.equal(response.status, 400, String(directory));
    await response.body?.cancel();
  }
});
