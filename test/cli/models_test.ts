/** Models as the owner meets them on the command line. */
import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { Output } from "../../src/cli/output.ts";
import { PullDisplay } from "../../src/cli/pull_display.ts";
import { until } from "../inference/local_fixture.ts";
import { FIXTURES, MODEL, TestNode } from "../mesh/test_node.ts";
import { ggufBytes } from "../models/gguf_bytes.ts";
import { ModelServer } from "../models/model_server.ts";
import { splitGguf } from "../models/split_gguf.ts";
import { cleanEnvironment, NodeProcess } from "../support/node_process.ts";
import { runMain } from "./run_main.ts";

const FIXTURE = `${FIXTURES}/arkling-9m-q4_0.gguf`;

Deno.test("models pull fetches a split model that then answers in its sandbox, and rm removes it", async () => {
  await using server = ModelServer.start();
  const parts = splitGguf(await Deno.readFile(FIXTURE), 2);
  const siblings = parts.map((part, index) => {
    const rfilename = `arkling-q4_0-0000${index + 1}-of-00002.gguf`;
    server.files.set(`/ark/arkling/resolve/${"a".repeat(40)}/${rfilename}`, part);
    return { rfilename, size: part.length, lfs: { sha256: createHash("sha256").update(part).digest("hex") } };
  });
  const list = { sha: "a".repeat(40), siblings };
  server.files.set("/api/models/ark/arkling/revision/main?blobs=true", JSON.stringify(list));
  const env = { ...cleanEnvironment(), HF_ENDPOINT: server.url };
  await using node = await NodeProcess.start({
    name: "N",
    args: ["--no-mdns", "--gpu", "off", "--alias", "gpt=arkling"],
    env,
  });
  const pulled = await node.cli("models", "pull", "hf.co/ark/arkling:Q4_0");
  assert.equal(pulled.code, 0, pulled.stderr);
  const digests = siblings.map(({ lfs }) => lfs.sha256.slice(0, 12));
  assert.deepEqual(
    pulled.stdout.trim().split("\n"),
    [
      "pulling manifest",
      `pulling ${digests[0]} (2.6 MB)`,
      `pulling ${digests[1]} (2.6 MB)`,
      "verifying sha256 digest",
      "writing manifest",
      "success",
    ].map((line, index) => index === 1 || index === 2 ? line.replace("2.6 MB", sizeOf(parts[index - 1])) : line),
  );
  const listed = await node.cli("models");
  assert.match(
    listed.stdout,
    /^arkling:9m-q4_0 = gpt = hf\.co\/ark\/arkling:q4_0 +5\.\d MB +q4_0 +1024 +chat,completion +here +-$/m,
  );
  for (const ref of [MODEL, "gpt", "hf.co/ark/arkling:Q4_0"]) {
    const asked = await fetch(`${node.ready.api}/v1/completions`, {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: JSON.stringify({ model: ref, prompt: "The node", max_tokens: 4 }),
    });
    assert.equal(asked.status, 200, await asked.text());
  }
  const shown = await node.cli("models", "show", "gpt");
  assert.match(shown.stdout, /^model +arkling:9m-q4_0\nalso called +gpt, hf\.co/);
  assert.match(shown.stdout, /size +5\.\d MB in 2 files\nsha256 +[0-9a-f]{64}\nsource +own/);
  assert.match((await node.cli("models", "rm", "gpt")).stderr, /second name of arkling:9m-q4_0 by --alias/);
  assert.equal((await node.cli("models", "rm", MODEL)).stdout, `Removed ${MODEL}.\n`);
  assert.match((await node.cli("models", "rm", MODEL)).stderr, /There is no model arkling:9m-q4_0 on this node/);
  assert.match((await node.cli("models")).stdout, /There is no model: fetch one/);
});

function sizeOf(part: Uint8Array | undefined): string {
  return `${((part?.length ?? 0) / 1e6).toFixed(1)} MB`;
}

Deno.test("models pull says in one sentence why it failed, and leaving it ends the pull in the node", async () => {
  await using server = ModelServer.start();
  await using node = await TestNode.start({ name: "N", models: [FIXTURES] });
  const run = (...words: string[]) => runMain(["models", ...words, "--data", node.data]);
  const failed = await run("pull", `${server.url}/none.gguf`);
  assert.deepEqual([failed.code, failed.stderr.replace(/:\d+/, "")], [
    1,
    'ark-node: 127.0.0.1 has not "none.gguf" (404)\n',
  ]);
  assert.match((await run("pull", "llama3.1:8b")).stderr, /^ark-node: This node fetches no plain names/);
  assert.match((await run("rm", MODEL)).stderr, /^ark-node: This node removes only what it fetched itself/);
  assert.deepEqual([(await run("pull")).code, (await run("rm")).code, (await run("show", "a", "b")).code], [2, 2, 2]);

  // Not a file that is here already: that would not be fetched.
  const bytes = ggufBytes({ data: 3_000_000 });
  server.files.set("/m.gguf", bytes);
  server.mischief = [{ stallAfter: 1_000_000 }];
  const stop = new AbortController();
  const token = (await Deno.readTextFile(`${node.data}/admin.token`)).trim();
  const order = {
    method: "POST",
    headers: { authorization: `Bearer ${token}`, "content-type": "application/json" },
    body: JSON.stringify({ model: `${server.url}/m.gguf#sha256=${createHash("sha256").update(bytes).digest("hex")}` }),
  };
  const response = await fetch(`${node.api}/models/pull`, { ...order, signal: stop.signal });
  const reader = (response.body ?? assert.fail()).getReader();
  const decoder = new TextDecoder();
  for (let text = ""; !text.includes('"completed":1000000');) text = decoder.decode((await reader.read()).value);
  stop.abort();
  await assert.rejects(reader.read());
  await until(() => server.open === 0);
  const again = await fetch(`${node.api}/models/pull`, order);
  const lines = (await again.text()).trim().split("\n").map((line) => JSON.parse(line));
  assert.deepEqual(lines.at(-1), { status: "success" });
  const [first, second] = server.asked("/m.gguf");
  assert.deepEqual([first?.range, second?.range], [null, "bytes=1000000-"], "The first one had ended");
  const open = await fetch(`${node.api}/models/pull`, { ...order, headers: { "content-type": "application/json" } });
  assert.equal(open.status, 401, "Only the owner fetches models");
  await open.body?.cancel();
  await until(async () => (await run()).stdout.includes("here"));
});

Deno.test("serve refuses a second name that is a model's own", async () => {
  await assert.rejects(
    TestNode.start({ name: "N", models: [FIXTURES], flags: { alias: [`${MODEL}=llama`] } }),
    { name: "StartError", message: /Cannot use --alias: The name arkling:9m-q4_0 is a model's own already/ },
  );
});

Deno.test("PullDisplay shows a bar with speed and time left to a person, and lines to everyone else", () => {
  const shown = ({ terminal }: { terminal: boolean }) => {
    let text = "";
    let now = 0;
    const stdout = {
      isTerminal: () => terminal,
      writeSync: (bytes: Uint8Array) => (text += new TextDecoder().decode(bytes), bytes.length),
    };
    const display = new PullDisplay(new Output({ stdout, stderr: stdout, columns: () => 120 }), () => now);
    display.show({ status: "pulling manifest" });
    for (const completed of [0, 50e6, 100e6]) {
      display.show({ status: "pulling abc", digest: "sha256:abc", total: 200e6, completed });
      now += 1_000;
    }
    display.show({ status: "success" });
    display.end();
    return text;
  };
  assert.equal(shown({ terminal: false }), "pulling manifest\npulling abc (200 MB)\nsuccess\n");
  const bars = shown({ terminal: true }).split("\r\u001b[K");
  assert.equal(bars.length, 4);
  assert.equal(
    bars[3],
    "pulling abc [############------------]  50 %  100 MB of 200 MB  50.0 MB/s, 2 s left\nsuccess\n",
  );
});
