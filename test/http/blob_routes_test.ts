import assert from "node:assert/strict";
import {
  Bitfield,
  CHUNK_BYTES,
  chunkCount,
  decodeChunkList,
  decodeHave,
  decodeSignedManifest,
} from "@ark/node/protocol";
import { until } from "../transport/mesh_fixture.ts";
import { blobPath, MemoryBlob, ServingNode } from "./serving_fixture.ts";

const MODEL = "llama3.1:8b";
const SECRET = "secret:1b";
const MANIFEST = "/ark/v1/models/manifest";
const NOBODY = "0".repeat(64);

Deno.test("blobRoutes() gives a manifest, the list of chunks, what is here, and each chunk, byte for byte", async () => {
  const blob = new MemoryBlob(2 * CHUNK_BYTES + 77);
  await using node = await ServingNode.start({ files: [[blob, [MODEL]]] });
  const peer = node.peer("llama*");
  const manifest = await peer.get(`${MANIFEST}?model=${MODEL}`);
  assert.equal(manifest.status, 200);
  const signed = decodeSignedManifest(JSON.parse(manifest.text));
  assert.equal(signed.manifest.files[0]?.sha256, blob.sha256);
  assert.equal(signed.signed_by, node.identity.id);
  const chunks = await peer.get(blobPath(blob.sha256, "chunks"));
  assert.equal(chunks.headers["content-type"], "application/octet-stream");
  assert.deepEqual(decodeChunkList(chunks.bytes), await blob.chunks());
  const have = await peer.get(blobPath(blob.sha256, "have"));
  assert.deepEqual(decodeHave(have.bytes, blob.size), { version: 1, have: Bitfield.full(3) });
  for (const index of [2, 0, 1]) {
    const data = await peer.data(blob, index);
    assert.deepEqual([data.status, data.headers["content-length"]], [200, String(blob.chunk(index).length)]);
    assert.deepEqual(data.bytes, blob.chunk(index));
  }
  await until(() => node.slots.running === 0);
  assert.equal(node.sent.get(peer.id), blob.size);
});

Deno.test("blobRoutes() tells nobody of what he may not download: the same bytes for what is there and what is not", async () => {
  const shared = new MemoryBlob(1_000);
  const secret = new MemoryBlob(1_000);
  await using node = await ServingNode.start({ files: [[shared, [MODEL]], [secret, [SECRET]]] });
  const some = node.peer(MODEL);
  const none = node.peer("*");
  none.may({ can_pull_models: false });
  const paused = node.peer("*");
  paused.may({}, { paused: true });
  const asks = node.peer();
  asks.may({ can_request_inference: true, can_pull_models: false, models_shared: ["*"] });
  // What is not there at all, for somebody who may have everything, is the measure.
  const all = node.peer("*");
  const missing = await all.get(`${MANIFEST}?model=not:there`);
  assert.equal(missing.status, 404);
  assert.equal(JSON.parse(missing.text).error.code, "ark_model_not_found");
  const hidden = [
    `${MANIFEST}?model=${SECRET}`,
    `${MANIFEST}?model=not:there`,
    `${MANIFEST}?model=`,
    MANIFEST,
    ...["chunks", "have", "data?chunk=0", "data?chunk=9", "data", "data?chunk=x"].flatMap((what) => [
      blobPath(secret.sha256, what),
      blobPath(NOBODY, what),
    ]),
    blobPath(shared.sha256.toUpperCase(), "chunks"),
    blobPath(shared.sha256.slice(1), "chunks"),
    blobPath(`${shared.sha256}0`, "chunks"),
    blobPath(shared.sha256, "other"),
    `/ark/v1/blobs/sha512-${shared.sha256}/chunks`,
    "/ark/v1/blobs/",
  ];
  for (const peer of [some, none, paused, asks]) {
    const own = peer === some ? [] : [
      `${MANIFEST}?model=${MODEL}`,
      ...["chunks", "have", "data?chunk=0"].map((what) => blobPath(shared.sha256, what)),
    ];
    for (const path of [...hidden, ...own]) assert.deepEqual(await peer.get(path), missing, path);
  }
  assert.equal(secret.reads, 0);
  assert.deepEqual(node.audit, [], "Nothing was begun");
  assert.deepEqual(node.sent.size, 0);
  assert.ok(node.denials.every(({ code }) => code === "model_not_found"));
  assert.equal((await some.get(`${MANIFEST}?model=${MODEL}`)).status, 200);
});

Deno.test("blobRoutes() gives a file that belongs to several models to whoever may have one of them", async () => {
  const blob = new MemoryBlob(5_000);
  await using node = await ServingNode.start({ files: [[blob, [SECRET, MODEL]]] });
  assert.deepEqual((await node.peer(MODEL).data(blob, 0)).bytes, blob.bytes);
  // What is recorded is the model that he may have.
  assert.deepEqual(node.audit.map(({ model }) => model), [MODEL]);
});

Deno.test("blobRoutes() has nothing but GET, and no chunk that the file has not", async () => {
  const blob = new MemoryBlob(CHUNK_BYTES + 1);
  await using node = await ServingNode.start({ files: [[blob, [MODEL]]] });
  const peer = node.peer("*");
  for (const path of [`${MANIFEST}?model=${MODEL}`, blobPath(blob.sha256, "chunks"), blobPath(NOBODY, "chunks")]) {
    const posted = await peer.get(path, { method: "POST" });
    assert.deepEqual([posted.status, JSON.parse(posted.text).error.code], [400, "ark_bad_request"]);
  }
  const wrong = ["2", "-1", "00", "1.0", "1e0", "", "0x1", "99999999999999999999", "1&chunk=0", "0%20", "NaN"];
  for (const index of wrong) {
    const answer = await peer.get(blobPath(blob.sha256, `data?chunk=${index}`));
    assert.deepEqual([answer.status, JSON.parse(answer.text).error.code], [400, "ark_bad_request"], index);
  }
  assert.equal((await peer.get(blobPath(blob.sha256, "data"))).status, 400);
  assert.equal(blob.reads, 0);
});

Deno.test("blobRoutes() gives of a file that is here in part only what was checked", async () => {
  const have = new Bitfield(4);
  have.set(0);
  have.set(3);
  const blob = new MemoryBlob(3 * CHUNK_BYTES + 9, { have });
  await using node = await ServingNode.start({ files: [[blob, [MODEL]]] });
  const peer = node.peer("*");
  assert.deepEqual(decodeHave((await peer.get(blobPath(blob.sha256, "have"))).bytes, blob.size).have, have);
  assert.deepEqual((await peer.data(blob, 3)).bytes, blob.chunk(3));
  for (const index of [1, 2]) {
    const answer = await peer.data(blob, index);
    assert.deepEqual([answer.status, JSON.parse(answer.text).error.code], [404, "ark_model_not_found"]);
  }
  have.set(1);
  blob.version++;
  assert.equal(decodeHave((await peer.get(blobPath(blob.sha256, "have"))).bytes, blob.size).version, 2);
  assert.deepEqual((await peer.data(blob, 1)).bytes, blob.chunk(1));
  assert.equal(blob.reads, 2);
});

/** How a permission ends in the middle of a chunk that flows slowly. */
const ENDS: Record<string, (node: ServingNode, peer: ReturnType<ServingNode["peer"]>) => void> = {
  "its permission is withdrawn": (_, peer) => peer.may({ can_pull_models: false }),
  "the model is not shared any more": (_, peer) => peer.may({ models_shared: ["other*"] }),
  "it is paused": (_, peer) => peer.may({}, { paused: true }),
  "its approval is gone": (node, peer) => void node.peers.delete(peer.id),
  "it is revoked, which cuts its connections": (node, peer) => {
    node.peers.delete(peer.id);
    node.listener.disconnect(peer.id);
  },
};

for (const [how, end] of Object.entries(ENDS)) {
  Deno.test(`blobRoutes() stops in the middle of a chunk when ${how}`, async () => {
    const blob = new MemoryBlob(CHUNK_BYTES);
    await using node = await ServingNode.start({ files: [[blob, [MODEL]]], limit: 400_000 });
    const peer = node.peer(MODEL);
    const running = peer.data(blob, 0);
    const waiting = Array.from({ length: 5 }, () => peer.data(blob, 0).catch(() => null));
    await until(() => (node.sent.get(peer.id) ?? 0) > 0);
    const before = node.sent.get(peer.id) ?? 0;
    assert.ok(before < CHUNK_BYTES);
    end(node, peer);
    await assert.rejects(running, { code: "unavailable" });
    await Promise.all(waiting);
    await until(() => node.slots.running === 0);
    // No piece was let go after that; those that were on their way had been.
    assert.equal(node.sent.get(peer.id), before);
    node.sessions.recheck();
    await until(() => node.audit.length === 2);
    assert.deepEqual([node.audit[1]?.kind, node.audit[1]?.outcome, node.audit[1]?.count], ["end", "forbidden", 0]);
  });
}

Deno.test("blobRoutes() gives nothing to whoever lost his permission while the chunk was read, or while he waited", async () => {
  const blob = new MemoryBlob(10_000);
  const { promise, resolve } = Promise.withResolvers<void>();
  blob.gate = promise;
  await using node = await ServingNode.start({ files: [[blob, [MODEL]]] });
  const peer = node.peer(MODEL);
  const answers = Array.from({ length: 6 }, () => peer.data(blob, 0));
  await until(() => blob.reads === 4);
  peer.may({ can_pull_models: false });
  resolve();
  for (const { status } of await Promise.all(answers)) assert.equal(status, 404);
  assert.equal(blob.reads, 4);
  assert.equal(node.sent.size, 0);
  assert.equal(node.slots.running, 0);
});

Deno.test("blobRoutes() sends a peer four chunks at a time, lets some wait, and refuses what two hundred connections want beyond", async () => {
  const blob = new MemoryBlob(100_000);
  const { promise, resolve } = Promise.withResolvers<void>();
  blob.gate = promise;
  await using node = await ServingNode.start({ files: [[blob, [MODEL]]] });
  const greedy = node.peer(MODEL);
  // One after the other, or a listener would take them for a flood.
  const wanted: Promise<number>[] = [];
  let refused = 0;
  for (let count = 0; count < 200; count++) {
    const asked = greedy.data(blob, 0).then(({ status, headers, text }) => {
      if (status === 200) return status;
      assert.deepEqual([status, JSON.parse(text).error.code], [429, "ark_busy"]);
      assert.ok(Number(headers["retry-after"]) >= 1);
      refused++;
      return status;
    });
    wanted.push(asked);
  }
  await until(() => refused === 188);
  assert.equal(blob.reads, 4);
  assert.equal(node.slots.running, 4);
  // Another peer does not even notice.
  const other = node.peer(MODEL);
  const otherAsked = other.data(blob, 0);
  await until(() => blob.reads === 5);
  resolve();
  assert.equal((await otherAsked).status, 200);
  const statuses = await Promise.all(wanted);
  assert.equal(statuses.filter((status) => status === 200).length, 12);
});

Deno.test("blobRoutes() makes no more than two lists of chunks for a peer at a time", async () => {
  const blob = new MemoryBlob(100);
  const { promise, resolve } = Promise.withResolvers<void>();
  const list = await blob.chunks();
  let made = 0;
  blob.chunks = async () => {
    made++;
    await promise;
    return list;
  };
  await using node = await ServingNode.start({ files: [[blob, [MODEL]]] });
  const [peer, other] = [node.peer(MODEL), node.peer(MODEL)];
  const path = blobPath(blob.sha256, "chunks");
  const two = [peer.get(path), peer.get(path)];
  await until(() => made === 2);
  for (let count = 0; count < 20; count++) assert.equal((await peer.get(path)).status, 429);
  two.push(other.get(path));
  await until(() => made === 3);
  resolve();
  for (const { status } of await Promise.all(two)) assert.equal(status, 200);
  assert.equal((await peer.get(path)).status, 200);
});

Deno.test("blobRoutes() frees the place of whoever leaves: before his turn, while it is read, in the middle", async () => {
  const blob = new MemoryBlob(CHUNK_BYTES);
  const { promise, resolve } = Promise.withResolvers<void>();
  blob.gate = promise;
  await using node = await ServingNode.start({ files: [[blob, [MODEL]]], limit: 300_000 });
  const peer = node.peer(MODEL);
  const leaves = new AbortController();
  const asked = Array.from({ length: 9 }, () => peer.data(blob, 0, leaves.signal).catch(({ code }) => code));
  await until(() => blob.reads === 4);
  resolve();
  await until(() => (node.sent.get(peer.id) ?? 0) > 0);
  leaves.abort();
  assert.deepEqual(await Promise.all(asked), Array(9).fill("cancelled"));
  await until(() => node.slots.running === 0);
  assert.ok((node.sent.get(peer.id) ?? 0) < CHUNK_BYTES);
});

Deno.test("blobRoutes() gives nothing that it cannot record", async () => {
  const blob = new MemoryBlob(1_000);
  let full = true;
  await using node = await ServingNode.start({ files: [[blob, [MODEL]]], unrecorded: () => full });
  const peer = node.peer(MODEL);
  for (
    const path of [`${MANIFEST}?model=${MODEL}`, blobPath(blob.sha256, "chunks"), blobPath(blob.sha256, "data?chunk=0")]
  ) {
    assert.ok((await peer.get(path)).status >= 500, path);
  }
  assert.equal(blob.reads, 0);
  full = false;
  assert.equal((await peer.data(blob, 0)).status, 200);
});

Deno.test("blobRoutes() records a download once, however many chunks and connections it has", async () => {
  const blob = new MemoryBlob(3 * CHUNK_BYTES);
  await using node = await ServingNode.start({ files: [[blob, [MODEL]]] });
  const peer = node.peer(MODEL);
  await peer.get(`${MANIFEST}?model=${MODEL}`);
  await Promise.all(Array.from({ length: chunkCount(blob.size) }, (_, index) => peer.data(blob, index)));
  await peer.data(blob, 1);
  await until(() => node.slots.running === 0);
  assert.equal(node.audit.length, 1);
  const [start] = node.audit;
  assert.deepEqual([start?.kind, start?.direction, start?.peer, start?.model], ["start", "in", peer.id, MODEL]);
  assert.match(start?.request ?? "", /^[0-9a-f]{64}$/);
  await node.sessions.close();
  const end = node.audit[1];
  assert.deepEqual(
    [end?.kind, end?.direction, end?.model, end?.outcome, end?.count, end?.digest, end?.request],
    ["end", "in", MODEL, "ok", 4, blob.sha256, start?.request],
  );
  const told = node.events.map((event) => event.type === "upload" ? [event.phase, event.bytes] : event.type);
  assert.deepEqual(told, [["start", undefined], ["end", 4 * CHUNK_BYTES]]);
});

Deno.test({
  name: "blobRoutes() takes as long for what is not shared as for what is not here (ARK_LONG=1)",
  ignore: Deno.env.get("ARK_LONG") !== "1",
  fn: async () => {
    const secret = new MemoryBlob(64);
    await using node = await ServingNode.start({ files: [[secret, [SECRET]]] });
    const peer = node.peer(MODEL);
    const pairs = [
      [blobPath(secret.sha256, "data?chunk=0"), blobPath(NOBODY, "data?chunk=0")],
      [`${MANIFEST}?model=${SECRET}`, `${MANIFEST}?model=absent:1b`],
    ] as const;
    for (const [hidden, absent] of pairs) {
      const times: Record<string, number[]> = { [hidden]: [], [absent]: [] };
      for (let round = 0; round < 4_000; round++) {
        // In changing order, so that neither always comes second.
        for (const path of round % 2 === 0 ? [hidden, absent] : [absent, hidden]) {
          const began = performance.now();
          await peer.get(path);
          times[path]?.push(performance.now() - began);
        }
      }
      // How often one of the first kind is slower than one of the second: a coin, where nothing can be told.
      const [first = [], second = []] = [times[hidden], times[absent]];
      const slower = first.filter((ms, index) => ms > (second[index] ?? 0)).length / first.length;
      assert.ok(Math.abs(slower - 0.5) < 0.05, `${hidden}: slower in ${(100 * slower).toFixed(1)} % of the rounds`);
    }
  },
});
