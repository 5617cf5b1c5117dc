import assert from "node:assert/strict";
import { fileURLToPath } from "node:url";
import { cleanEnvironment, finished, FROM_SOURCE, NodeProcess } from "../support/node_process.ts";
import { withDirectory } from "../support/temporary.ts";

const [DENO = "", ...MAIN] = FROM_SOURCE;
const ARGS = ["--no-mdns"];

function serve(data: string, options: { args?: string[]; env?: Record<string, string> } = {}) {
  const { args = [], env = {} } = options;
  const own = ["serve", ...ARGS, "--data", data, "--listen", "127.0.0.1:0", "--mesh-listen", "127.0.0.1:0"];
  return finished(DENO, { args: [...MAIN, ...own, ...args], env: { ...cleanEnvironment(), ...env } });
}

for (const signal of ["SIGTERM", "SIGINT"] as const) {
  Deno.test(`serve ends with 0 on ${signal}, and leaves its directory to the next`, () =>
    withDirectory(async (data) => {
      for (let round = 0; round < 2; round++) {
        const node = await NodeProcess.start({ name: "N", args: ARGS, data });
        assert.equal((await fetch(`${node.ready.api}/healthz`).then((answer) => answer.json())).status, "ok");
        node.kill(signal);
        assert.equal((await node.ended()).code, 0, node.log);
        const { code } = await node.cli("status");
        assert.equal(code, 3);
      }
    }));
}

Deno.test("serve prints a banner that says who it is, where it listens and what to do next", () =>
  withDirectory(async (data) => {
    const args = [
      ...MAIN,
      ...ARGS,
      "--data",
      data,
      "--name",
      "Attic",
      "--listen",
      "127.0.0.1:0",
      "--mesh-listen",
      "127.0.0.1:0",
    ];
    const command = new Deno.Command(DENO, {
      args,
      env: cleanEnvironment(),
      clearEnv: true,
      stdout: "piped",
      stderr: "null",
    });
    const child = command.spawn();
    let text = "";
    for await (const chunk of child.stdout.pipeThrough(new TextDecoderStream())) {
      text += chunk;
      if (text.includes("Ctrl-C")) child.kill("SIGTERM");
    }
    assert.equal((await child.status).code, 0);
    assert.match(text, /^ark-node \d+\.\d+\.\d+ {2}Attic {2}compute, gateway\n/);
    assert.match(text, /id +([a-z2-7]{8}-){6}[a-z2-7]{8}\n/);
    assert.match(text, /api +http:\/\/127\.0\.0\.1:\d+\/v1/);
    assert.match(text, /mesh +127\.0\.0\.1:\d+/);
    assert.match(text, /ark-node peers pair/);
    assert.match(text, /Ready after \d+ ms/);
  }));

Deno.test("serve refuses a data directory that another node uses, in one sentence", async () => {
  await using node = await NodeProcess.start({ name: "N", args: ARGS });
  const { code, stderr } = await serve(node.ready.data);
  assert.equal(code, 1);
  assert.match(
    stderr,
    /^ark-node: Another node \(process \d+, http:\S+\) already uses .*: stop it first, or choose another directory with --data\n$/,
  );
  assert.ok(stderr.includes(String(node.ready.pid)));
});

Deno.test("serve refuses a busy port, in one sentence that names the flag", () =>
  withDirectory(async (directory) => {
    await using node = await NodeProcess.start({ name: "N", args: ARGS });
    const api = new URL(node.ready.api).host;
    const busyApi = await serve(`${directory}/a`, { args: ["--listen", api] });
    assert.equal(busyApi.code, 1);
    assert.match(busyApi.stderr, new RegExp(`Another program already listens on ${api}: .* with --listen\n$`));
    const busyMesh = await serve(`${directory}/b`, { args: ["--mesh-listen", node.ready.mesh] });
    assert.equal(busyMesh.code, 1);
    assert.match(
      busyMesh.stderr,
      new RegExp(`Another program already listens on ${node.ready.mesh}: .* with --mesh-listen\n$`),
    );
  }));

Deno.test("serve exits with 78 when others can read its key, or when its environment defeats the pin", () =>
  withDirectory(async (directory) => {
    const data = `${directory}/data`;
    const unsafe: [string, string][] = [
      ["SSLKEYLOGFILE", `${directory}/keys`],
      ["DENO_CERT", `${directory}/none.pem`],
      ["NODE_EXTRA_CA_CERTS", `${directory}/none.pem`],
      ["DENO_TLS_CA_STORE", "system"],
      ["NODE_TLS_REJECT_UNAUTHORIZED", "0"],
    ];
    for (const [name, value] of unsafe) {
      const { code, stderr } = await serve(data, { env: { [name]: value } });
      // Deno itself stops at a certificate file that it cannot read.
      if (code === 78) assert.match(stderr, new RegExp(name));
      else assert.notEqual(code, 0);
    }
    const node = await NodeProcess.start({ name: "N", args: ARGS, data });
    await node[Symbol.asyncDispose]();
    await Deno.chmod(`${data}/node.key`, 0o644);
    const { code, stderr } = await serve(data);
    assert.equal(code, 78);
    assert.match(stderr, /^ark-node: [^\n]*node\.key[^\n]*\n$/);
  }));

/** A node in the middle of an answer of a fake engine, which takes two seconds. */
async function answering(): Promise<{ node: NodeProcess; reader: ReadableStreamDefaultReader<string> }> {
  const main = fileURLToPath(new URL("../support/fake_node.ts", import.meta.url));
  const models = fileURLToPath(new URL("../fixtures", import.meta.url));
  const command = [DENO, "run", "-A", main];
  const node = await NodeProcess.start({ name: "N", command, args: [...ARGS, "--models", models] });
  const response = await fetch(`${node.ready.api}/v1/chat/completions`, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify({
      model: "arkling",
      stream: true,
      max_tokens: 100,
      messages: [{ role: "user", content: "#slow=20" }],
    }),
  });
  assert.ok(response.body !== null);
  const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
  await reader.read();
  return { node, reader };
}

Deno.test("serve lets a running answer end, and takes no new work meanwhile", async () => {
  const { node, reader } = await answering();
  await using _node = node;
  node.kill("SIGTERM");
  while (!node.log.includes("Stopping")) await new Promise((resolve) => setTimeout(resolve, 5));
  await assert.rejects(fetch(`${node.ready.api}/healthz`));
  let text = "";
  for (let step = await reader.read(); !step.done; step = await reader.read()) text += step.value;
  assert.match(text, /w99/);
  assert.match(text, /data: \[DONE\]/);
  assert.equal((await node.ended()).code, 0);
});

Deno.test("serve exits at once on a second signal", async () => {
  const { node, reader } = await answering();
  await using _node = node;
  node.kill("SIGTERM");
  while (!node.log.includes("Stopping")) await new Promise((resolve) => setTimeout(resolve, 5));
  node.kill("SIGTERM");
  assert.equal((await node.ended()).code, 130);
  await reader.cancel().catch(() => {});
});
