import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { CHUNK_BYTES, encodeChunkList } from "@ark/node/protocol";
import { TestNode } from "../test_node.ts";
import { chunkListOf, FilePeer, type FilePeerOptions, type Mischief, modelFile } from "./file_peer.ts";
import { filesOf, pull, seen } from "./pulling.ts";

const BYTES = modelFile(5 * CHUNK_BYTES + 1_234);
const MODEL = "tiny:1k";

/** Runs a test with a node and peers that it has approved. */
async function withPeers(
  options: FilePeerOptions[],
  test: (scene: { node: TestNode; peers: FilePeer[] }) => Promise<void>,
): Promise<void> {
  await using stack = new AsyncDisposableStack();
  const peers: FilePeer[] = [];
  for (const one of options) peers.push(stack.use(await FilePeer.start(one)));
  const node = stack.use(await TestNode.start({ name: "A", peers: peers.map(({ mesh }) => mesh) }));
  for (const peer of peers) await node.approve(peer);
  await seen(node);
  await test({ node, peers });
}

/** Spoils every chunk from the third one on. */
function spoiling(spoil: (chunk: Uint8Array<ArrayBuffer>) => ReturnType<Mischief>): Mischief {
  return ({ what, chunk }) => {
    if (what !== "data" || chunk < 2) return undefined;
    return spoil(BYTES.slice(chunk * CHUNK_BYTES, (chunk + 1) * CHUNK_BYTES));
  };
}

const SPOILT: Record<string, Mischief> = {
  "a bit flipped": spoiling((chunk) => {
    chunk[1_000] = (chunk[1_000] ?? 0) ^ 4;
    return chunk;
  }),
  "pieces cut short": spoiling((chunk) => chunk.slice(0, chunk.length - 1)),
  "pieces too long": spoiling((chunk) => new Uint8Array([...chunk.subarray(0, 1_000), ...chunk])),
  "pieces without end": spoiling(() => new Response(new Uint8Array(CHUNK_BYTES + 5))),
  "pieces swapped": ({ what, chunk }) =>
    what === "data" && chunk > 1 && chunk < 5
      ? BYTES.slice((5 - chunk + 1) * CHUNK_BYTES - (chunk === 3 ? CHUNK_BYTES : 0)).slice(0, CHUNK_BYTES)
      : undefined,
};

for (const [what, mischief] of Object.entries(SPOILT)) {
  Deno.test(`T18: Of a peer that sends ${what} nothing is installed; it is named, and another brings the rest`, async () => {
    await withPeers([{ name: "Mallory", bytes: BYTES, mischief }], async ({ node, peers }) => {
      const lines = await pull(node, MODEL);
      const alone = lines.at(-1);
      assert.match(alone?.error?.message ?? "", /Mallory \(it sent pieces that are not what they should be\)/);
      assert.match(alone?.error?.message ?? "", /What came is kept/);
      assert.deepEqual(await filesOf(node), [], "Nothing is installed");
      const asked = peers[0]?.asked.length ?? 0;
      assert.ok(asked < 12, `It is asked no more: ${asked}`);
      const kept = lines.findLast(({ completed }) => completed !== undefined)?.completed ?? 0;
      assert.ok(kept < BYTES.length);

      await using honest = await FilePeer.start({ name: "Honest", bytes: BYTES });
      const data = await copied(node);
      await using _data = { [Symbol.asyncDispose]: () => Deno.remove(data, { recursive: true }) };
      await using second = await TestNode.start({ name: "A", data, peers: [honest.mesh] });
      await second.approve(honest);
      await seen(second);
      const then = (await pull(second, MODEL)).at(-1);
      assert.deepEqual(then, { status: "success" }, JSON.stringify(then));
      assert.equal(honest.sent, BYTES.length - kept, "What was right is not fetched again");
      const [file] = await filesOf(second);
      assert.ok(file);
      assert.ok(same(await Deno.readFile(file)));
    });
  });
}

/** A copy of a node's store in a new data directory. */
async function copied(node: TestNode): Promise<string> {
  const data = await Deno.makeTempDir({ prefix: "ark-test-" });
  await Deno.mkdir(`${data}/models/.parts`, { recursive: true });
  for await (const { name } of Deno.readDir(`${node.data}/models/.parts`)) {
    await Deno.copyFile(`${node.data}/models/.parts/${name}`, `${data}/models/.parts/${name}`);
  }
  return data;
}

Deno.test("T18: A peer that sends wrong pieces is dropped, named and scored while others bring the file", async () => {
  const mischief = SPOILT["a bit flipped"] ?? (() => undefined);
  const options = [{ name: "Mallory", bytes: BYTES, mischief, rate: 40e6 }, {
    name: "Honest",
    bytes: BYTES,
    rate: 20e6,
  }];
  await withPeers(options, async ({ node, peers: [mallory, honest] }) => {
    assert.ok(mallory && honest);
    const lines = await pull(node, MODEL);
    assert.deepEqual(lines.at(-1), { status: "success" }, JSON.stringify(lines.at(-1)));
    const [file] = await filesOf(node);
    assert.ok(same(await Deno.readFile(file ?? "")));
    const dropped = lines.find(({ wrong }) => wrong !== undefined);
    assert.match(dropped?.status ?? "", /^dropped Mallory: it sent pieces that are not what they should be$/);
    assert.equal(dropped?.wrong, mallory.identity.id);
    const { body } = await node.admin<{ peers: { name: string; reliability: number }[] }>("/peers/reputation");
    const of = (name: string) => body.peers.find((peer) => peer.name === name)?.reliability ?? 1;
    assert.ok(of("Mallory") < of("Honest"), JSON.stringify(body));
  });
});

Deno.test("T18: Hashes of pieces that a peer made up are found out by the whole file, and the next peer's are taken", async () => {
  // Everything that it says fits together; it is only not the file.
  const other = BYTES.slice();
  other[2 * CHUNK_BYTES + 7] = (other[2 * CHUNK_BYTES + 7] ?? 0) ^ 1;
  const lies: Mischief = ({ what, chunk }) => {
    if (what === "chunks") return encodeChunkList(chunkListOf(other));
    return what === "data" ? other.slice(chunk * CHUNK_BYTES, (chunk + 1) * CHUNK_BYTES) : undefined;
  };
  await withPeers([{ name: "Mallory", bytes: BYTES, mischief: lies }], async ({ node }) => {
    const alone = (await pull(node, MODEL)).at(-1);
    assert.match(alone?.error?.message ?? "", /told the digests|not the file|hashes/i);
    assert.deepEqual(await filesOf(node), []);
  });
  for (const order of [["Mallory", "Honest"], ["Honest", "Mallory"]]) {
    const options = order.map((name) => ({ name, bytes: BYTES, ...name === "Mallory" ? { mischief: lies } : {} }));
    await withPeers(options, async ({ node }) => {
      const lines = await pull(node, MODEL);
      assert.deepEqual(lines.at(-1), { status: "success" }, JSON.stringify(lines));
      const [file] = await filesOf(node);
      assert.ok(same(await Deno.readFile(file ?? "")), "Never a wrong byte");
    });
  }
});

Deno.test("Two peers with different files of one name are never mixed: the owner says which, or most decide", async () => {
  const other = modelFile(3 * CHUNK_BYTES, 7);
  const options = [{ name: "One", bytes: BYTES }, { name: "Two", bytes: other }];
  await withPeers(options, async ({ node, peers }) => {
    const said = (await pull(node, MODEL)).at(-1)?.error;
    assert.equal(said?.code, "ark_bad_request");
    assert.match(
      said?.message ?? "",
      /One \(sha256 [0-9a-f]{12}\); Two \(sha256 [0-9a-f]{12}\)\. Choose with --from PEER/,
    );
    const lines = await pull(node, MODEL, { from: "two" });
    assert.deepEqual(lines.at(-1), { status: "success" }, JSON.stringify(lines.at(-1)));
    const [file] = await filesOf(node);
    const digest = createHash("sha256").update(await Deno.readFile(file ?? "")).digest("hex");
    assert.equal(digest, peers[1]?.sha256);
    assert.equal(peers[0]?.asked.length, 0, "Nothing was asked of the other");
    assert.match(
      (await pull(node, MODEL, { from: "Three" })).at(-1)?.error?.message ?? "",
      /No approved peer is called "Three"/,
    );
  });
  await withPeers([...options, { name: "Three", bytes: other }], async ({ node, peers }) => {
    const lines = await pull(node, MODEL);
    assert.deepEqual(lines.at(-1), { status: "success" }, JSON.stringify(lines.at(-1)));
    assert.match(
      lines.map(({ status }) => status).join("\n"),
      /found sha256 [0-9a-f]{12} at (?:Two, Three|Three, Two)/,
    );
    assert.equal(peers[0]?.asked.length, 0);
  });
});

function same(bytes: Uint8Array): boolean {
  return bytes.length === BYTES.length && createHash("sha256").update(bytes).digest("hex") ===
      createHash("sha256").update(BYTES).digest("hex");
}
