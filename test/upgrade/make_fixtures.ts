/**
 * Makes the fixtures anew, with the programs of then: `deno run -A test/upgrade/make_fixtures.ts [VERSION…]`. Each is a node that
 * answered a neighbour, with approvals, a revocation, API keys, an invitation and a pulled model, as far as its version had
 * them. All keys in them were made for this.
 */
import assert from "node:assert/strict";
import { generateIdentity } from "@ark/node/identity";
import { FIXTURES, MODEL } from "../mesh/test_node.ts";
import { NodeProcess } from "../support/node_process.ts";
import { VERSIONS, writeFixture } from "./fixture.ts";
import { OLD_VERSIONS, oldProgram } from "./old_program.ts";

/** Models and rooms kept on the disk are no part of a fixture: they are large, and of no version. */
const LEFT_OUT = /\.gguf|\.journal$|\.reserve$|node\.lock$|-shm$|^backups\//;

for (const version of Deno.args.length > 0 ? Deno.args : VERSIONS) await make(version);

async function make(version: string): Promise<void> {
  const folder = await Deno.makeTempDir({ prefix: "ark-fixture-" });
  try {
    const data = `${folder}/data`;
    const command = await oldProgram(version, folder) ?? assert.fail("There is no history to take it from");
    const told = await live({ version, data, command });
    const files: Record<string, string> = {};
    await collect(data, "", files);
    await writeFixture({ revision: OLD_VERSIONS[version] ?? "", version, ...told, files });
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

async function live({ version, data, command }: { version: string; data: string; command: string[] }) {
  await using node = await NodeProcess.start({
    name: "old node",
    command,
    data,
    args: ["--no-mdns", "--models", FIXTURES],
  });
  const args = ["--no-mdns", "--peer", node.ready.mesh];
  await using neighbour = await NodeProcess.start({ name: "neighbour", command, args });
  await node.json("peers", "approve", neighbour.ready.public_key, "--name", "Dave's Ark", "--max", "3", "--pull");
  await neighbour.json("peers", "approve", node.ready.public_key, "--name", "old node", "--pull");
  const stranger = generateIdentity();
  await node.json("peers", "approve", stranger.id, "--name", "Mallory");
  await node.json("peers", "revoke", "Mallory");
  let keys: { good: string; revoked: string } | null = null;
  if (version >= "0007") {
    const good = await node.json<{ text: string }>("keys", "create", "webui", "--rate", "10");
    const revoked = await node.json<{ text: string }>("keys", "create", "phone");
    await node.json("keys", "revoke", "phone");
    keys = { good: good.text, revoked: revoked.text };
    await node.json("invite", "--models", MODEL);
    await node.json("peers", "ignore", generateIdentity().id);
  }
  // The neighbour asks, over the mesh: 'start' and 'end' in this node's log.
  const deadline = performance.now() + 30_000;
  for (;;) {
    const { code, stderr } = await neighbour.cli("ask", MODEL, "one two three", "--json");
    if (code === 0) break;
    assert.ok(performance.now() < deadline, `${stderr}\n${node.log}\n${neighbour.log}`);
  }
  assert.equal((await node.cli("ask", MODEL, "one two three")).code, 0);
  if (version >= "0010") {
    // A download in its log.
    assert.equal((await neighbour.cli("models", "pull", MODEL, "--from", "old node")).code, 0);
    assert.equal((await node.cli("models", "keep", MODEL, "--copies", "1")).code, 0);
  }
  node.kill("SIGTERM");
  await node.ended();
  if (version >= "0010") {
    // And back: its own store has the model then.
    const flags = ["--no-mdns", "--peer", neighbour.ready.mesh];
    await using without = await NodeProcess.start({ name: "old node", command, data, args: flags });
    for (const until = performance.now() + 30_000;;) {
      const { code, stderr } = await without.cli("models", "pull", MODEL, "--from", "Dave's Ark");
      if (code === 0) break;
      assert.ok(performance.now() < until, stderr);
    }
    without.kill("SIGTERM");
    await without.ended();
  }
  return { keys, peers: { approved: neighbour.id, revoked: stranger.id } };
}

async function collect(root: string, below: string, files: Record<string, string>): Promise<void> {
  for await (const { name, isDirectory } of Deno.readDir(`${root}/${below}`)) {
    const path = below + name;
    if (LEFT_OUT.test(path)) continue;
    if (isDirectory) await collect(root, `${path}/`, files);
    else files[path] = (await Deno.readFile(`${root}/${path}`)).toBase64();
  }
}
