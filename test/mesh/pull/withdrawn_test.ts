import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { CHUNK_BYTES } from "@ark/node/protocol";
import { until } from "../../inference/local_fixture.ts";
import { withDirectory } from "../../support/temporary.ts";
import { TestNode } from "../test_node.ts";
import { modelFile } from "./file_peer.ts";
import { filesOf, follow, type Line, pull, seen } from "./pulling.ts";

const BYTES = modelFile(6 * CHUNK_BYTES);
const MODEL = "tiny:1k-f32";
const PULL = { can_pull_models: true };

interface Scene {
  /** Pulls. */
  a: TestNode;
  /** Has the model, and sends it slowly. */
  b: TestNode;
}

async function withScene(test: (scene: Scene) => Promise<void>): Promise<void> {
  await withDirectory(async (directory) => {
    await Deno.writeFile(`${directory}/tiny.gguf`, BYTES);
    await using b = await TestNode.start({ name: "B", models: [directory], flags: { "upload-limit": "10MB" } });
    await using a = await TestNode.start({ name: "A", peers: [b.mesh] });
    await b.approve({ publicKey: a.publicKey, name: "A" }, PULL);
    await a.approve({ publicKey: b.publicKey, name: "B" });
    await seen(a);
    await until(() => typeof b.daemon.engine?.catalogue.find(MODEL)?.digest === "string");
    await test({ a, b });
  });
}

/** Pulls, does something when some chunks are here, and gives all lines. */
async function pullAnd(a: TestNode, act: () => Promise<unknown>): Promise<Line[]> {
  const lines: Line[] = [];
  let acted = false;
  for await (const line of follow(a, MODEL)) {
    lines.push(line);
    if (acted || (line.completed ?? 0) < 2 * CHUNK_BYTES) continue;
    acted = true;
    await act();
  }
  assert.ok(acted, JSON.stringify(lines));
  return lines;
}

const ENDS: Record<
  string,
  { act(scene: Scene): Promise<unknown>; undo(scene: Scene): Promise<unknown>; says: RegExp }
> = {
  "the peer's owner revokes this node": {
    act: ({ a, b }) => b.admin("/peers/revoke", { node_id: a.daemon.id }),
    undo: async ({ a, b }) => {
      await b.approve({ publicKey: a.publicKey, name: "A" }, PULL);
    },
    says: /B \(.+\)/,
  },
  "the peer's owner takes the permission to download back": {
    act: ({ a, b }) => b.approve({ publicKey: a.publicKey, name: "A" }, { can_pull_models: false }),
    undo: ({ a, b }) => b.approve({ publicKey: a.publicKey, name: "A" }, PULL),
    says: /B \(B has it not, or does not share it with this node\)/,
  },
  "the peer's owner shares the model no more": {
    act: ({ a, b }) => b.approve({ publicKey: a.publicKey, name: "A" }, { ...PULL, models_shared: ["other:*"] }),
    undo: ({ a, b }) => b.approve({ publicKey: a.publicKey, name: "A" }, PULL),
    says: /B \(B has it not, or does not share it with this node\)/,
  },
  "this node's owner revokes the peer": {
    act: ({ a, b }) => a.admin("/peers/revoke", { node_id: b.daemon.id }),
    undo: async ({ a, b }) => {
      await a.approve({ publicKey: b.publicKey, name: "B" });
    },
    says: /B \(You revoked or paused it\)/,
  },
};

for (const [what, { act, undo, says }] of Object.entries(ENDS)) {
  Deno.test(`A pull ends with a sentence when ${what}, keeps what came, and goes on when that is undone`, async () => {
    await withScene(async (scene) => {
      const { a } = scene;
      const lines = await pullAnd(a, () => act(scene));
      const last = lines.at(-1)?.error;
      assert.match(last?.message ?? JSON.stringify(lines.at(-1)), says);
      assert.match(last?.message ?? "", /What came is kept/);
      assert.deepEqual(await filesOf(a), []);
      const kept = lines.findLast(({ completed }) => completed !== undefined)?.completed ?? 0;
      assert.ok(kept >= 2 * CHUNK_BYTES && kept < BYTES.length, `${kept}`);
      await undo(scene);
      await seen(a);
      const then = await pull(a, MODEL);
      assert.deepEqual(then.at(-1), { status: "success" }, JSON.stringify(then.at(-1)));
      const first = then.find(({ completed }) => completed !== undefined);
      assert.ok((first?.completed ?? 0) >= kept, `${first?.completed} of ${kept}`);
      const [file] = (await filesOf(a)).filter((path) => path.endsWith(".gguf"));
      assert.equal(sha256(await Deno.readFile(file ?? "")), sha256(BYTES));
    });
  });
}

Deno.test("A model that is not shared is not told from one that is not there", async () => {
  await withScene(async ({ a, b }) => {
    await b.approve({ publicKey: a.publicKey, name: "A" }, { ...PULL, models_shared: ["other:*"] });
    const [hidden, missing] = [(await pull(a, MODEL)).at(-1), (await pull(a, "never:1b")).at(-1)];
    assert.equal(hidden?.error?.message.replace(MODEL, "X"), missing?.error?.message.replace("never:1b", "X"));
    assert.deepEqual(hidden?.error?.code, "ark_bad_request");
  });
});

Deno.test("Nobody but the owner makes a node pull", async () => {
  await withScene(async ({ a, b }) => {
    const closed = await fetch(`${a.api}/models/pull`, { method: "POST", body: JSON.stringify({ model: MODEL }) });
    assert.equal(closed.status, 401);
    await closed.body?.cancel();
    const lines = await pull(a, MODEL, { from: b.daemon.id.slice(0, 8) });
    assert.deepEqual(lines.at(-1), { status: "success" });
    const middle = lines.find(({ seconds_left }) => seconds_left !== undefined);
    assert.ok((middle?.speed ?? 0) > 0 && middle?.sources?.[0]?.share === 1, JSON.stringify(middle));
  });
});

function sha256(bytes: Uint8Array): string {
  return createHash("sha256").update(bytes).digest("hex");
}
