/** Whole nodes: one that does not share refuses its peers at once, and neither its owner nor his other nodes. */
import assert from "node:assert/strict";
import type { PeerStatus, SharingDetails } from "@ark/node/http";
import { availableParallelism, cpus } from "node:os";
import { cleanEnvironment, NodeProcess } from "../support/node_process.ts";
import { until } from "../inference/local_fixture.ts";
import { MeshPeer } from "./mesh_peer.ts";
import { auditOf, FIXTURES, MODEL, Pair, readStream, TestNode } from "./test_node.ts";

/** How the only peer of a node stands. */
async function peerOf(node: TestNode): Promise<PeerStatus> {
  const { body } = await node.admin<{ peers: PeerStatus[] }>("/peers/status");
  return body.peers[0] ?? assert.fail("There is no peer");
}

/** Status of a question for the model. */
async function statusOf(node: TestNode): Promise<number> {
  const response = await node.chat({ model: MODEL });
  await response.body?.cancel();
  return response.status;
}

const QUESTION = { model: MODEL, input: { kind: "completion", prompt: "a b" }, parameters: { max_tokens: 2 } };

Deno.test("A pause is told to peers at once, refuses what they ask with a time to ask again, and ends when it is ended", async () => {
  await using pair = await Pair.start();
  const { a, b } = pair;
  await using peer = new MeshPeer(b.daemon.id, b.daemon.mesh);
  await using own = new MeshPeer(b.daemon.id, b.daemon.mesh);
  await b.approve(peer);
  await b.admin("/peers/approve", {
    public_key: own.publicKey,
    own: true,
    permissions: { can_request_inference: true, models_shared: ["*"], max_concurrent_requests: 2 },
  });
  assert.equal((await peer.ask(QUESTION)).code, null);

  const paused = await b.admin<SharingDetails>("/sharing/pause", { for_s: 3_600 });
  assert.deepEqual([paused.status, paused.body.state, paused.body.shares], [200, "paused", false]);
  const left = Date.parse(paused.body.until ?? "") - Date.now();
  assert.ok(left > 3_500_000 && left <= 3_600_000, `${left}`);
  await until(async () => (await peerOf(a)).state === "yielding");
  const refused = await peer.ask(QUESTION);
  assert.deepEqual([refused.status, refused.code], [429, "ark_busy"]);
  assert.ok((refused.retryAfter ?? 0) >= 1);
  // Of the reason nothing is told.
  assert.doesNotMatch(refused.text + JSON.stringify(await peerOf(a)), /paus|game|GPU|processor/i);
  assert.equal((await peer.get(`/ark/v1/models/manifest?model=${MODEL}`)).status, 404);
  assert.equal((await peer.get(`/ark/v1/blobs/sha256-${"0".repeat(64)}/have`)).status, 429);
  assert.equal((await peer.get("/ark/v1/content")).status, 429);
  assert.equal(await statusOf(a), 404);

  // Neither the owner nor his own nodes are kept away.
  assert.equal(await statusOf(b), 200);
  assert.equal((await own.ask(QUESTION)).code, null);
  const offered = JSON.parse((await own.get("/ark/v1/offer")).text);
  assert.deepEqual([offered.ready, offered.state], [true, "ready"]);

  const why = (await b.admin<{ sentence: string; here: { reason: string } }>(`/peers/why?peer=A&model=${MODEL}`)).body;
  assert.equal(why.here.reason, "yielding");
  assert.match(why.sentence, /A cannot ask .* here, because this node does not share now/);

  const resumed = await b.admin<SharingDetails>("/sharing/resume", {});
  assert.deepEqual([resumed.body.state, resumed.body.shares], ["sharing", true]);
  await until(async () => (await peerOf(a)).state === "ready");
  assert.equal(await statusOf(a), 200);
  const acts = auditOf(b).filter(({ kind, direction, peer }) => kind === "config" && !direction && !peer);
  assert.equal(acts.length, 2);

  for (
    const body of [{ for_s: -1 }, { for_s: "1h" }, { until: "soon" }, { for_s: 1e12 }, {
      for_s: 1,
      until: "2099-01-01",
    }]
  ) {
    assert.equal((await b.admin("/sharing/pause", body)).status, 400, JSON.stringify(body));
  }
});

Deno.test("A pause survives a restart, and ends by itself", async () => {
  const data = await Deno.makeTempDir();
  try {
    {
      await using node = await TestNode.start({ name: "N", data });
      await node.admin("/sharing/pause", {});
    }
    await using node = await TestNode.start({ name: "N", data });
    const { body } = await node.admin<SharingDetails>("/sharing");
    assert.deepEqual([body.state, body.until], ["paused", null]);
    await node.admin("/sharing/pause", { for_s: 0.3 });
    await until(async () => (await node.admin<SharingDetails>("/sharing")).body.state === "sharing");
  } finally {
    await Deno.remove(data, { recursive: true });
  }
});

Deno.test("With --on-yield finish an answer that runs comes to its end, and one that waits is refused", async () => {
  await using pair = await Pair.start({ flags: { slots: "1" } });
  const { a, b } = pair;
  const running = await a.chat({
    model: MODEL,
    stream: true,
    max_tokens: 40,
    messages: [{ role: "user", content: "#slow=25" }],
  });
  const second = a.chat({ model: MODEL });
  await until(() => b.daemon.engine?.backend.queued === 1);
  await b.admin("/sharing/pause", {});
  // The one that has begun needs no place any more that another one could wait for.
  const refused = await second;
  assert.notEqual(refused.status, 200);
  await refused.body?.cancel();
  const { done, error } = await readStream(running);
  assert.deepEqual([done, error], [true, null]);
});

Deno.test("With --on-yield move an answer that runs goes on at another node with the same weights, from the very token", async () => {
  const flags = { "on-yield": "move" };
  await using b = await TestNode.start({ name: "B", models: [FIXTURES], flags });
  await using c = await TestNode.start({ name: "C", models: [FIXTURES], flags });
  await using a = await TestNode.start({ name: "A", role: "gateway", peers: [b.mesh, c.mesh] });
  for (const [node, name] of [[b, "B"], [c, "C"]] as const) {
    await node.approve({ publicKey: a.publicKey, name: "A" });
    await a.approve({ publicKey: node.publicKey, name });
  }
  await until(async () => {
    const { models } = (await a.admin<{ models: { id: string; digest: string | null }[] }>("/models")).body;
    return models.filter(({ id, digest }) => id === MODEL && digest !== null).length === 2;
  });
  const words = 30;
  const response = await a.chat({
    model: MODEL,
    stream: true,
    max_tokens: words,
    messages: [{ role: "user", content: "one #slow=20" }],
  });
  const writer = response.headers.get("x-ark-node") === "B" ? b : c;
  let raw = "";
  for await (const text of response.body?.pipeThrough(new TextDecoderStream()) ?? []) {
    const before = raw.length;
    raw += text;
    if (before === 0) await writer.admin("/sharing/pause", {});
  }
  const { text, done, error } = await readStream(new Response(raw));
  assert.deepEqual([done, error], [true, null]);
  assert.equal(text, Array.from({ length: words }, (_, index) => `w${index}`).join(" "));
  const other = writer === b ? c : b;
  assert.ok(auditOf(other).some(({ kind, direction }) => kind === "start" && direction === "in"));
  assert.ok(auditOf(writer).some(({ kind, outcome }) => kind === "end" && outcome === "busy"));
});

/** Waits until a node says that it stands so; uses must last for ten seconds before they count. */
async function comesTo(node: NodeProcess, state: SharingDetails["state"]): Promise<SharingDetails> {
  const deadline = performance.now() + 60_000;
  for (;;) {
    const { sharing } = await node.json<{ sharing: SharingDetails }>("status");
    if (sharing.state === state) return sharing;
    assert.ok(performance.now() < deadline, `It is ${sharing.state}: ${JSON.stringify(sharing)}`);
    await new Promise((resolve) => setTimeout(resolve, 1_000));
  }
}

// Of a machine whose processors this group may use only in part, no program here can use a quarter.
const whole = cpus().length === availableParallelism();
// deno-lint-ignore no-console
if (!whole) console.log("yield_test: without real use of the processors, this group may use only a part of them");

Deno.test({
  name: "A real node yields to a program that uses the processors, and to a game on the GPU that nvidia-smi tells of",
  ignore: Deno.build.os !== "linux",
  async fn() {
    const folder = await Deno.makeTempDir();
    // In the form of the tool's manual: nobody of this node is process 1.
    await Deno.writeTextFile(
      `${folder}/nvidia-smi`,
      `#!/bin/sh\n[ "$1" = pmon ] || exit 1\ncat <<'EOF'\n# gpu         pid   type     sm    mem    command\n` +
        `# Idx           #    C/G      %      %    name\n    0          1   C+G     83     20    game\nEOF\n`,
      { mode: 0o755 },
    );
    const env = { ...cleanEnvironment(), PATH: `${folder}:${Deno.env.get("PATH")}` };
    const args = ["--no-mdns", "--wireguard", "off"];
    const hogs = Array.from(
      { length: Math.ceil(availableParallelism() * 0.4) },
      () => new Deno.Command("sh", { args: ["-c", "while :; do :; done"], stdin: "null" }).spawn(),
    );
    try {
      await using worker = await NodeProcess.start({ name: "N", args: [...args, "--yield", "cpu"] });
      await using gamer = await NodeProcess.start({ name: "G", args: [...args, "--yield", "auto"], env });
      const [cpu, gpu] = await Promise.all([comesTo(worker, "cpu"), comesTo(gamer, "gpu")]);
      assert.match(
        cpu.sentence,
        /^Other programs use \d+ % of the processors: neighbours must wait until that is over$/,
      );
      assert.match(gpu.sentence, /^Other programs use 83 % of the GPU: /);
      assert.match((await gamer.cli("status")).stdout, /^ {2}sharing Other programs use 83 % of the GPU/m);
      // At a machine without a screen the processors are no sign of an owner.
      const { watches } = gpu;
      const blind = watches.find(({ what }) => what === "cpu")?.cannot_tell;
      if (blind !== null) assert.match(blind ?? "", /nobody is logged in at this machine's screen/);
    } finally {
      for (const child of hogs) {
        child.kill("SIGKILL");
        await child.status;
      }
      await Deno.remove(folder, { recursive: true });
    }
  },
});

Deno.test("The hours of sharing and what a node yields to are taken from a changed configuration file at once", async () => {
  const data = await Deno.makeTempDir();
  try {
    await Deno.writeTextFile(`${data}/ark.toml`, 'yield = "off"\n');
    await using node = await NodeProcess.start({ name: "N", data, args: ["--no-mdns", "--wireguard", "off"] });
    const { sharing } = await node.json<{ sharing: SharingDetails }>("status");
    assert.deepEqual([sharing.state, sharing.watches], ["sharing", []]);
    const hour = (new Date().getHours() + 12) % 24;
    await Deno.writeTextFile(
      `${data}/ark.toml`,
      `yield = "gpu"\non-yield = "move"\nshare-hours = "${hour}-${hour + 1}"\n`,
    );
    const changed = await comesTo(node, "outside_hours");
    assert.deepEqual([changed.watches.map(({ what }) => what), changed.on_yield], [["gpu"], "move"]);
    assert.match(changed.sentence, /: it goes on /);
    assert.match(node.log, /The changed configuration counts from now on/);
  } finally {
    await Deno.remove(data, { recursive: true });
  }
});
