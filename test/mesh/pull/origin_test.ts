import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { Bitfield, CHUNK_BYTES } from "@ark/node/protocol";
import type { PullProgress } from "@ark/node/models";
import type { ArkEvent } from "@ark/node/telemetry";
import { ModelServer } from "../../models/model_server.ts";
import { withDirectory } from "../../support/temporary.ts";
import { FilePeer, type FilePeerOptions, modelFile } from "./file_peer.ts";
import { LightStore } from "./light_store.ts";
import { filesOf } from "./pulling.ts";

const BYTES = modelFile(6 * CHUNK_BYTES + 99);
const SHA256 = createHash("sha256").update(BYTES).digest("hex");
const REVISION = "c0ffee".padEnd(40, "0");
const FILE = `/some/tiny-GGUF/resolve/${REVISION}/tiny-q4_0.gguf`;
const REPOSITORY = "hf.co/some/tiny-GGUF";

interface Scene {
  light: LightStore;
  server: ModelServer;
  peers: FilePeer[];
  data: string;
  events: ArkEvent[];
}

/** A server that is Hugging Face and a registry of Ollama at once, peers, and a store that knows both. */
async function withScene(peers: Partial<FilePeerOptions>[], test: (scene: Scene) => Promise<void>): Promise<void> {
  await withDirectory(async (directory) => {
    const data = await Deno.realPath(directory);
    await Deno.mkdir(`${data}/models`);
    await using stack = new AsyncDisposableStack();
    const server = stack.use(ModelServer.start());
    const list = {
      sha: REVISION,
      siblings: [{ rfilename: "tiny-q4_0.gguf", size: BYTES.length, lfs: { sha256: SHA256 } }],
    };
    server.files.set("/api/models/some/tiny-GGUF/revision/main?blobs=true", JSON.stringify(list));
    server.files.set("/cdn/tiny", BYTES);
    server.redirects.set(FILE, `${server.url}/cdn/tiny`);
    const layer = { mediaType: "application/vnd.ollama.image.model", digest: `sha256:${SHA256}`, size: BYTES.length };
    const manifest = { schemaVersion: 2, config: { digest: `sha256:${"0".repeat(64)}`, size: 2 }, layers: [layer] };
    server.files.set("/v2/library/tiny/manifests/1k", JSON.stringify(manifest));
    server.files.set(`/v2/library/tiny/blobs/sha256:${SHA256}`, BYTES);
    const started: FilePeer[] = [];
    for (const [index, options] of peers.entries()) {
      started.push(stack.use(await FilePeer.start({ name: `P${index}`, bytes: BYTES, ...options })));
    }
    const events: ArkEvent[] = [];
    const light = stack.use(
      new LightStore(
        `${data}/models`,
        started.map(({ name, identity, address }) => ({ id: identity.id, name, address })),
        {
          huggingFaceEndpoint: server.url,
          ollamaRegistry: server.url,
          events: { emit: (event) => void events.push(event) },
        },
      ),
    );
    await test({ light, server, peers: started, data, events });
  });
}

async function pulled(scene: Scene, ref: string): Promise<PullProgress[]> {
  const told: PullProgress[] = [];
  for await (const progress of scene.light.store.pull(ref, { signal: new AbortController().signal })) {
    told.push(progress);
  }
  const [file] = (await filesOf(scene)).filter((path) => path.endsWith(".gguf"));
  assert.equal(createHash("sha256").update(await Deno.readFile(file ?? "")).digest("hex"), SHA256);
  return told;
}

/** Bytes of the file that were asked of the server. */
function askedOf(server: ModelServer): number {
  return server.seen.filter(({ path }) => path === "/cdn/tiny" || path.includes("/blobs/sha256:")).length;
}

Deno.test("Peers that have the digest of a repository's file give it, and the repository's server gives none of it", () =>
  withScene([{}, {}], async (scene) => {
    const told = await pulled(scene, REPOSITORY);
    assert.equal(askedOf(scene.server), 0);
    assert.ok(scene.light.catalogue.find(REPOSITORY), "It is found as it was asked for");
    assert.ok(told.some(({ sources }) => sources?.some(({ name }) => /^P[01]$/.test(name))), JSON.stringify(told));
  }));

Deno.test("What no peer has comes from the origin, in ranges, beside what peers have", () =>
  withScene([{ rate: 30e6 }], async (scene) => {
    const [peer] = scene.peers;
    assert.ok(peer);
    peer.have = new Bitfield(7);
    for (const index of [1, 2, 3]) peer.have.set(index);
    await pulled(scene, REPOSITORY);
    assert.deepEqual([...new Set(peer.asked)].sort(), [1, 2, 3]);
    assert.equal(askedOf(scene.server), 4);
    assert.ok(scene.server.asked("/cdn/tiny").every(({ range }) => /^bytes=\d+-\d+$/.test(range ?? "")));
  }));

Deno.test("A peer that goes in the middle is followed by the origin, which fetches nothing twice", () =>
  withScene([{ rate: 30e6 }], async (scene) => {
    const [peer] = scene.peers;
    assert.ok(peer);
    peer.mischief = () => peer.asked.length > 3 ? 404 : undefined;
    await pulled(scene, REPOSITORY);
    assert.ok(askedOf(scene.server) <= 7 - 3 + 1, `${askedOf(scene.server)}`);
    assert.deepEqual(scene.light.offenders, []);
  }));

Deno.test("A plain name is fetched from peers first, and the registry helps where it has the very same file", () =>
  withScene([{}], async (scene) => {
    const [peer] = scene.peers;
    assert.ok(peer);
    await pulled(scene, "tiny:1k");
    assert.deepEqual(scene.server.seen, [], "The registry is not even asked where peers have everything");
    assert.ok(scene.light.catalogue.find("tiny:1k"));
  }));

Deno.test("The registry gives what peers lack of a plain name", () =>
  withScene([{}], async (scene) => {
    const [peer] = scene.peers;
    assert.ok(peer);
    peer.have = new Bitfield(7);
    for (const index of [0, 1]) peer.have.set(index);
    await pulled(scene, "tiny:1k");
    assert.equal(askedOf(scene.server), 5);
  }));

Deno.test("A registry that has another file of the name gives nothing, and the sentence says so", () =>
  withScene([{}], async (scene) => {
    const [peer] = scene.peers;
    assert.ok(peer);
    peer.have = new Bitfield(7);
    peer.have.set(0);
    const other = { mediaType: "application/vnd.ollama.image.model", digest: `sha256:${"ab".repeat(32)}`, size: 9 };
    const config = { digest: `sha256:${"0".repeat(64)}`, size: 2 };
    scene.server.files.set(
      "/v2/library/tiny/manifests/1k",
      JSON.stringify({ schemaVersion: 2, config, layers: [other] }),
    );
    const stop = new AbortController();
    let last: PullProgress | undefined;
    let since: number | undefined;
    await assert.rejects(async () => {
      for await (const progress of scene.light.store.pull("tiny:1k", { signal: stop.signal })) {
        last = progress;
        // The peer may get the rest yet, so the pull waits.
        if ((progress.completed ?? 0) < CHUNK_BYTES) continue;
        since ??= performance.now();
        if (performance.now() > since + 1_500) stop.abort();
      }
    }, /cancelled/);
    assert.equal(last?.completed, CHUNK_BYTES);
    assert.equal(askedOf(scene.server), 0, "Files are never mixed");
  }));

Deno.test("A pull that came from peers goes on from the origin alone when they are gone", () =>
  withScene([{ rate: 20e6 }], async (scene) => {
    const stop = new AbortController();
    await assert.rejects(async () => {
      for await (const { completed = 0 } of scene.light.store.pull(REPOSITORY, { signal: stop.signal })) {
        if (completed >= 2 * CHUNK_BYTES) stop.abort();
      }
    }, /cancelled/);
    scene.light.peers = [];
    await pulled(scene, REPOSITORY);
    assert.ok(askedOf(scene.server) <= 5, JSON.stringify(scene.server.seen));
  }));

Deno.test("Events tell of a pull at most once a second: how far it is, how fast, and how it ended", () =>
  withScene([{ rate: 10e6 }], async (scene) => {
    await pulled(scene, "tiny:1k");
    const told = scene.events.filter((event) => event.type === "pull");
    assert.ok(told.length >= 3 && told.length <= 8, `${told.length} events in three seconds`);
    assert.ok(told.some(({ speed, sources }) => speed > 1e6 && sources === 1), JSON.stringify(told));
    assert.equal(told.at(-1)?.state, "done");
    assert.equal(told.at(-1)?.completed, BYTES.length);
  }));
