import assert from "node:assert/strict";
import { dataPaths } from "@ark/node/config";
import { rotateKey } from "@ark/node/daemon";
import { runMain } from "../cli/run_main.ts";
import { until } from "../inference/local_fixture.ts";
import { finished, FROM_SOURCE, NodeProcess } from "../support/node_process.ts";
import { withDirectory } from "../support/temporary.ts";
import { auditOf, FIXTURES, MODEL, TestNode } from "./test_node.ts";

const ASK = ["ask", MODEL, "The", "--max-tokens", "2", "--temperature", "0"];

interface Peers {
  peers: { node_id: string; state: string; name: string; models: string[] }[];
  rotations: { sentence: string; old: string; new: string }[];
}

/** Runs a command against a node, inside the test's process. */
function run(node: NodeProcess, ...args: string[]) {
  return runMain([...args, "--data", node.ready.data]);
}

async function json<T>(node: NodeProcess, ...args: string[]): Promise<T> {
  const { code, stdout, stderr } = await run(node, ...args, "--json");
  assert.equal(code, 0, stderr);
  return JSON.parse(stdout);
}

function plain(id: string): string {
  return id.replaceAll("-", "");
}

Deno.test("T10: A node whose key other users can read does not start, says why, and ends with 78", async () => {
  await withDirectory(async (directory) => {
    const [program = "", ...first] = FROM_SOURCE;
    const args = [...first, "serve", "--data", directory, "--no-mdns", "--listen", "127.0.0.1:0", "--mesh-listen"];
    await Deno.chmod(directory, 0o700);
    {
      await using _node = await NodeProcess.start({ name: "A", data: directory, args: ["--no-mdns"] });
    }
    const key = await Deno.readTextFile(`${directory}/node.key`);
    for (const path of ["node.key", "."]) {
      await Deno.chmod(`${directory}/${path}`, path === "." ? 0o755 : 0o644);
      const { code, stdout, stderr } = await finished(program, { args: [...args, "127.0.0.1:0"] });
      assert.deepEqual([code, stdout], [78, ""]);
      assert.match(stderr, /open to other users \(mode 0\d{3}\): run chmod \d00 /);
      await Deno.chmod(`${directory}/${path}`, path === "." ? 0o700 : 0o600);
    }
    assert.equal(await Deno.readTextFile(`${directory}/node.key`), key);
  });
});

Deno.test("T10: A node whose key was stolen gets a new one, its peer lets it go on, and the old key is worth nothing", async () => {
  await withDirectory(async (directory) => {
    await Deno.chmod(directory, 0o700);
    const began = performance.now();
    await using b = await NodeProcess.start({ name: "B", args: ["--no-mdns", "--gpu", "off", "--models", FIXTURES] });
    const start = (data: string) => NodeProcess.start({ name: "A", data, args: ["--no-mdns", "--peer", b.ready.mesh] });
    let [old, between] = ["", ""];
    {
      await using a = await start(directory);
      old = a.id;
      await json(a, "peers", "approve", b.id, "--name", "B");
      await json(b, "peers", "approve", a.id, "--name", "Anna", "--max", "3");
      await until(async () => (await run(a, "peers")).stdout.includes("ready"));
      assert.equal((await run(a, ...ASK)).code, 0);
      // While it runs, the key is made; it counts from the next start on, and making it again changes nothing.
      const rotated = await json<{ old: string; new: string; restart: boolean }>(a, "id", "rotate");
      assert.deepEqual([plain(rotated.old), rotated.restart], [a.id, true]);
      between = rotated.new;
      assert.deepEqual(await json(a, "id", "rotate"), rotated);
      assert.equal((await run(a, ...ASK)).code, 0);
      assert.equal(plain((await json<{ node_id: string }>(a, "id")).node_id), old);
    }
    // While it is stopped, it is completed, and done once more: the peer hears of both at once.
    for (const count of [1, 2]) {
      const stopped = await runMain(["id", "rotate", "--json", "--data", directory]);
      assert.equal(stopped.code, 0, stopped.stderr);
      assert.equal(JSON.parse(stopped.stdout).new === between, count === 1);
    }
    await using a = await start(directory);
    assert.notEqual(a.id, old);
    let found: Peers["rotations"] = [];
    await until(async () => (found = (await json<Peers>(b, "peers", "discovered")).rotations).length > 0);
    assert.match(found[0]?.sentence ?? "", /^Anna is the same node with a new key, \w{8}, signed by the old one: /);
    assert.deepEqual(found.map((one) => [plain(one.old), plain(one.new)]), [[old, a.id]]);
    assert.match((await run(b, "peers")).stdout, /signed by the old one/);
    for (const id of [a.id, old]) {
      assert.match((await run(b, "peers", "why", id, MODEL)).stdout, /signed by the old one/);
    }
    // Nothing has moved by itself.
    assert.notEqual((await run(a, ...ASK)).code, 0);
    const accepted = await run(b, "peers", "accept-rotation", a.id.slice(0, 8));
    assert.equal(accepted.code, 0, accepted.stderr);
    assert.match(
      accepted.stdout,
      /^Anna may ask any of your models, three questions at a time\..*\nIts id is .* now; the old one is revoked\.\n$/,
    );
    await until(async () => (await run(a, ...ASK)).code === 0);
    // Processes that start, on a machine that does other things: a time of its own only where nothing else runs.
    if (Deno.env.get("ARK_LONG") === "1") assert.ok(performance.now() - began < 60_000);

    const { peers, rotations } = await json<Peers>(b, "peers", "list");
    assert.deepEqual(peers.map(({ node_id, name }) => [plain(node_id), name]), [[a.id, "Anna"]]);
    assert.deepEqual(rotations, []);
    const kinds = (data: string) =>
      auditOf({ data }).filter(({ kind }) => kind === "rotate" || kind === "revoke").map((
        { kind, peer },
      ) => [kind, peer]);
    assert.deepEqual(kinds(b.ready.data), [["revoke", old], ["rotate", a.id]]);
    const own = kinds(directory);
    assert.deepEqual([own.length, own.at(-1)], [2, ["rotate", a.id]]);
    // Whoever has the old key, and starts a node with it, gets nothing.
    await withDirectory(async (thief) => {
      await Deno.chmod(thief, 0o700);
      await Deno.copyFile(`${directory}/node.key.old-1`, `${thief}/node.key`);
      await Deno.chmod(`${thief}/node.key`, 0o600);
      await using node = await start(thief);
      assert.equal(node.id, old);
      await json(node, "peers", "approve", b.id, "--name", "B");
      await until(async () => (await run(node, "peers")).stdout.includes("revoked"));
    });
    for (const name of ["node.key", "node.key.old-1", "node.key.old-2"]) {
      assert.equal(((await Deno.stat(`${directory}/${name}`)).mode ?? 0) & 0o777, 0o600, name);
    }
  });
});

Deno.test("Nodes that let peers change their keys by themselves do so once a day, and say it in the audit log", async () => {
  await withDirectory(async (data) => {
    await Deno.chmod(data, 0o700);
    await using b = await TestNode.start({ name: "B", flags: { "auto-rotate": true } });
    const a = await TestNode.start({ name: "A", peers: [b.mesh], data });
    try {
      await b.approve(a);
      await a.approve(b);
    } finally {
      await a[Symbol.asyncDispose]();
    }
    const old = a.daemon.id;
    await rotateKey(dataPaths(data));
    const ready = async (node: TestNode) => {
      const { body } = await node.admin<{ peers: { state: string }[] }>("/peers/status");
      return body.peers[0]?.state === "ready";
    };
    {
      await using again = await TestNode.start({ name: "A", peers: [b.mesh], data });
      await until(() => ready(again));
      assert.deepEqual(b.daemon.book.list().map(({ node_id }) => node_id), [again.daemon.id]);
      assert.equal(b.daemon.book.standing(old), "revoked");
    }
    await rotateKey(dataPaths(data));
    await using third = await TestNode.start({ name: "A", peers: [b.mesh], data });
    const waiting = async () => {
      const { body } = await b.admin<{ rotations: { new: string }[] }>("/peers/rotations");
      return body.rotations.map(({ new: id }) => plain(id));
    };
    await until(async () => (await waiting()).length > 0);
    assert.deepEqual(await waiting(), [third.daemon.id]);
    assert.deepEqual(auditOf(b).filter(({ kind }) => kind === "rotate").length, 1);
  });
});
