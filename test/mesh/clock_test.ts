/** Nodes whose clocks are wrong, with faketime: processes that believe in another time and keep a true monotonic clock. */
import assert from "node:assert/strict";
import { until } from "../inference/local_fixture.ts";
import { cleanEnvironment, NodeProcess } from "../support/node_process.ts";
import { runMain } from "../cli/run_main.ts";
import { FIXTURES, MODEL } from "./test_node.ts";

const LIBRARIES = [
  "/usr/lib/x86_64-linux-gnu/faketime/libfaketimeMT.so.1",
  "/usr/lib/aarch64-linux-gnu/faketime/libfaketimeMT.so.1",
  "/usr/lib/faketime/libfaketimeMT.so.1",
];

const LONG = Deno.env.get("ARK_LONG") === "1";
/** Whose clock is wrong. */
const [ASKS, ANSWERS] = ["the one that asks", "the one that answers"];
const ASK = ["ask", MODEL, "The", "--max-tokens", "2", "--temperature", "0"];

/** Runs a command against a node, inside the test's process. */
function run(node: NodeProcess, ...args: string[]) {
  return runMain([...args, "--data", node.ready.data]);
}

async function library(): Promise<string | null> {
  for (const path of LIBRARIES) {
    if (await Deno.stat(path).then(() => true, () => false)) return path;
  }
  // deno-lint-ignore no-console
  console.log("Skipped: there is no libfaketime (apt install faketime) with which a node's clock could be wrong");
  return null;
}

function clockOf(path: string, time: string): Record<string, string> {
  return {
    ...cleanEnvironment(),
    LD_PRELOAD: path,
    FAKETIME: time,
    FAKETIME_DONT_FAKE_MONOTONIC: "1",
    // The files' times stay true.
    NO_FAKE_STAT: "1",
  };
}

/** How often a node asked its callers to sign again with a nonce of its own. */
async function clockRefusals(node: NodeProcess): Promise<number> {
  const text = await (await fetch(`${node.ready.api}/metrics`)).text();
  return Number(text.match(/^ark_denials_total\{code="clock"\} (\d+)/m)?.[1] ?? 0);
}

Deno.test.each([
  { what: "50 years behind", time: "-50y", first: ASKS },
  { what: "10 years ahead", time: "+10y", first: ANSWERS },
  { what: "a hundred times too fast", time: "+0 x100", first: ASKS },
])("T32: A peer whose clock is $what is let in, and asked to sign again once at most", async ({ time, first }) => {
  const path = await library();
  if (path === null) return;
  const args = ["--no-mdns", "--gpu", "off"];
  for (const wrong of LONG ? [ASKS, ANSWERS] : [first]) {
    const env = clockOf(path, time);
    await using b = await NodeProcess.start({
      name: "B",
      args: [...args, "--models", FIXTURES],
      ...(wrong === ANSWERS ? { env } : {}),
    });
    await using a = await NodeProcess.start({
      name: "A",
      args: [...args, "--peer", b.ready.mesh],
      ...(wrong === ASKS ? { env } : {}),
    });
    assert.equal((await run(a, "peers", "approve", b.id, "--name", "B")).code, 0);
    assert.equal((await run(b, "peers", "approve", a.id, "--name", "A", "--max", "1")).code, 0);
    await until(async () => (await run(a, "peers")).stdout.includes("ready"));
    const before = await clockRefusals(b);
    for (let question = 0; question < 3; question++) {
      const { code, stderr } = await run(a, ...ASK);
      assert.equal(code, 0, `${wrong}: ${stderr}`);
    }
    // One nonce serves for all that is asked in nearly two minutes.
    assert.ok(await clockRefusals(b) - before <= 1, wrong);
    // Order is that of the numbers, whatever the times say.
    for (const node of [a, b]) {
      const { code, stdout } = await run(node, "audit", "verify");
      assert.equal(code, 0, stdout);
    }
  }
});

Deno.test("T32: A clock that runs a hundred times too fast gives nobody his limit back early", async () => {
  const path = await library();
  if (path === null) return;
  const args = ["--no-mdns", "--gpu", "off"];
  await using b = await NodeProcess.start({
    name: "B",
    args: [...args, "--models", FIXTURES],
    env: clockOf(path, "+0 x100"),
  });
  await using a = await NodeProcess.start({ name: "A", args: [...args, "--peer", b.ready.mesh] });
  assert.equal((await run(a, "peers", "approve", b.id, "--name", "B")).code, 0);
  const token = (await Deno.readTextFile(`${b.ready.data}/admin.token`)).trim();
  const approved = await fetch(`${b.ready.api}/peers/approve`, {
    method: "POST",
    headers: { authorization: `Bearer ${token}`, "content-type": "application/json" },
    body: JSON.stringify({
      node_id: a.id,
      permissions: {
        can_request_inference: true,
        models_shared: ["*"],
        max_concurrent_requests: 4,
        max_requests_per_minute: 2,
      },
    }),
  });
  assert.equal(approved.status, 200, await approved.text());
  await until(async () => (await run(a, "peers")).stdout.includes("ready"));
  const codes: number[] = [];
  const began = performance.now();
  // By B's wall clock many minutes go by.
  while (codes.length < 4 || performance.now() - began < 3_000) codes.push((await run(a, ...ASK)).code);
  const most = 2 * (1 + Math.floor((performance.now() - began) / 60_000));
  assert.ok(codes.filter((code) => code === 0).length <= most, codes.join());
  assert.equal(codes[0], 0);
  assert.notEqual(codes.at(-1), 0);
});
