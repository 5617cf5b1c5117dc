/** Whole nodes whose models others download: permission, record, revocation. */
import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { CHUNK_BYTES, chunkHash, decodeChunkList, decodeHave, decodeSignedManifest } from "@ark/node/protocol";
import { writeRandomModel } from "../bench/random_model.ts";
import { until } from "../inference/local_fixture.ts";
import { withDirectory } from "../support/temporary.ts";
import { MeshPeer } from "./mesh_peer.ts";
import { auditOf, TestNode } from "./test_node.ts";

const BYTES = 3 * CHUNK_BYTES + 1_234;

/** A node with one model of some chunks, and a peer. */
async function scene(
  work: (scene: Scene) => Promise<void>,
  { flags = {} }: { flags?: Record<string, string> } = {},
): Promise<void> {
  await withDirectory(async (directory) => {
    const sha256 = await writeRandomModel(`${directory}/random.gguf`, BYTES);
    await using node = await TestNode.start({ name: "B", models: [directory], flags });
    await using peer = new MeshPeer(node.daemon.id, node.daemon.mesh);
    const [model] = node.daemon.engine?.catalogue.list() ?? [];
    assert.ok(model !== undefined);
    await until(() => node.daemon.engine?.catalogue.find(model.id)?.digest !== null);
    const approve = (permissions: Record<string, unknown>) =>
      node.approve({ publicKey: peer.publicKey, name: "puller" }, { can_request_inference: false, ...permissions });
    await work({ node, peer, sha256, model: model.id, directory, approve });
  });
}

interface Scene {
  node: TestNode;
  peer: MeshPeer;
  sha256: string;
  model: string;
  directory: string;
  approve: (permissions: Record<string, unknown>) => Promise<void>;
}

async function get(
  { node, peer }: Scene,
  path: string,
): Promise<{ status: number; bytes: Uint8Array<ArrayBuffer>; text: string }> {
  const to = { id: node.daemon.id, addresses: [node.daemon.mesh] };
  const { status, body } = await peer.client.request(to, { method: "GET", path, deadlineMs: 60_000 });
  const bytes = new Uint8Array(await new Response(body).arrayBuffer());
  return { status, bytes, text: status === 200 ? "" : new TextDecoder().decode(bytes) };
}

Deno.test("An approved peer downloads a model from a node: what its manifest and chunks say is what the file is", () =>
  scene(async (all) => {
    const { node, peer, sha256, model, directory, approve } = all;
    await approve({ can_pull_models: true });
    const made = await get(all, `/ark/v1/models/manifest?model=${model}`);
    assert.equal(made.status, 200, made.text);
    const { manifest, signed_by } = decodeSignedManifest(JSON.parse(new TextDecoder().decode(made.bytes)));
    assert.equal(signed_by, node.daemon.id);
    assert.deepEqual(manifest.files.map((file) => [file.sha256, file.size]), [[sha256, BYTES]]);
    const blob = `/ark/v1/blobs/sha256-${sha256}`;
    const list = decodeChunkList((await get(all, `${blob}/chunks`)).bytes);
    assert.ok(decodeHave((await get(all, `${blob}/have`)).bytes, BYTES).have.full);
    const file = await Deno.readFile(`${directory}/random.gguf`);
    for (let index = 0; index < 4; index++) {
      const { bytes } = await get(all, `${blob}/data?chunk=${index}`);
      assert.equal(createHash("sha256").update(bytes).digest("hex"), chunkHash(list, index).toHex());
      assert.deepEqual(bytes, file.subarray(index * CHUNK_BYTES, (index + 1) * CHUNK_BYTES));
    }
    const metrics = async (headers: HeadersInit) => await (await fetch(`${node.api}/metrics`, { headers })).text();
    const token = (await Deno.readTextFile(`${node.data}/admin.token`)).trim();
    const named = `ark_peer_upload_bytes_total{peer="${peer.identity.id.slice(0, 8)}"} ${BYTES}`;
    assert.match(await metrics({}), new RegExp(`^ark_upload_bytes_total ${BYTES}$`, "m"));
    assert.ok((await metrics({ authorization: `Bearer ${token}` })).includes(named));
    assert.ok(!(await metrics({})).includes(named), "Who downloads is for the owner alone");
    // Not more than it was approved for.
    await approve({ can_pull_models: true, models_shared: ["other*"] });
    for (const path of [`/ark/v1/models/manifest?model=${model}`, `${blob}/chunks`, `${blob}/data?chunk=0`]) {
      const refused = await get(all, path);
      assert.deepEqual([refused.status, JSON.parse(refused.text).error.code], [404, "ark_model_not_found"]);
    }
    // One pair of entries, and what was refused.
    await until(() => auditOf(node).some(({ kind }) => kind === "end"));
    const own = auditOf(node).filter(({ kind }) => kind !== "approve").map(
      ({ kind, model, outcome, count, digest }) => {
        return [kind, model, outcome, count, digest];
      },
    );
    assert.deepEqual(own.filter(([kind]) => kind !== "deny"), [
      ["start", model, undefined, 0, undefined],
      ["end", model, "forbidden", 4, sha256],
    ]);
    assert.ok(own.some(([kind, , outcome]) => kind === "deny" && outcome === "model_not_found"));
    const why = await node.admin<{ details: string[] }>(`/peers/why?peer=puller&model=${model}`);
    assert.ok(
      why.body.details.includes(`puller cannot download ${model} from here, because you share other* with it.`),
    );
  }));

for (const how of ["revoke", "pause", "approve"] as const) {
  Deno.test(`A download stops in the middle of a chunk when its owner calls /peers/${how}`, () =>
    scene(async (all) => {
      const { node, peer, sha256, approve } = all;
      await approve({ can_pull_models: true });
      const to = { id: node.daemon.id, addresses: [node.daemon.mesh] };
      const path = `/ark/v1/blobs/sha256-${sha256}/data?chunk=0`;
      const response = await peer.client.request(to, { method: "GET", path, deadlineMs: 60_000 });
      assert.equal(response.status, 200);
      let got = 0;
      const reading = assert.rejects(async () => {
        for await (const bytes of response.body) got += bytes.length;
      }, { code: "unavailable" });
      await until(() => got > 0);
      if (how === "approve") await approve({ can_pull_models: false });
      else await node.admin(`/peers/${how}`, { public_key: peer.publicKey });
      await reading;
      assert.ok(got < CHUNK_BYTES, `${got} bytes`);
      await until(async () => (await get(all, path).catch(() => ({ status: 0 }))).status !== 200);
    }, { flags: { "upload-limit": "400kB" } }));
}
