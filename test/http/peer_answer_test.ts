import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { generateIdentity } from "@ark/node/identity";
import type { Backend, InferOptions } from "@ark/node/inference";
import type { Lease } from "@ark/node/peers";
import { ArkError, decodeFrame, FrameSplitter, type InferenceEvent, type InferenceRequest } from "@ark/node/protocol";
import { type ByteSink, pushedBody } from "@ark/node/transport";
import { PeerAnswer } from "../../src/http/mesh/peer_answer.ts";
import { END, START } from "./api/scripted_answers.ts";

const REQUEST: InferenceRequest = { model: "m", input: { kind: "completion", prompt: "x" }, parameters: {} };

interface Scene {
  response: Response;
  records: { kind: string; outcome?: string | undefined; completion_tokens?: number | undefined }[];
  settled: unknown[];
  signal: () => AbortSignal;
  over: Promise<void>;
}

/** What is not as usual. */
interface Setting {
  /** Tokens that the peer has left. */
  left?: number;
  /** Whether nobody but this machine sees what the engine is asked. */
  here?: boolean;
  /** What the disk makes of a start, which it has been given. */
  disk?: Promise<void>;
}

/** An answer to a peer. */
async function begin(
  infer: (options: InferOptions) => AsyncIterable<InferenceEvent>,
  { left = Infinity, here = false, disk = Promise.resolve() }: Setting = {},
): Promise<Scene> {
  const identity = generateIdentity();
  const records: Scene["records"] = [];
  const settled: unknown[] = [];
  let signal = new AbortController().signal;
  let written = 0;
  const charge: Lease["charge"] = {
    maxTokens: 100,
    read: () => {},
    write: (tokens) => {
      if ((written += tokens) > left) throw new ArkError("busy", "No more tokens");
    },
    settle: (...how) => void settled.push(how),
  };
  const { promise: over, resolve } = Promise.withResolvers<void>();
  const answer = new PeerAnswer({
    caller: { nodeId: identity.id, publicKey: identity.publicKey, signature: "5a", remote: "::1", deadlineMs: 1_000 },
    lease: { charge, [Symbol.dispose]() {} } as Lease,
    audit: {
      append: (record, options) => {
        records.push(record as Scene["records"][number]);
        options?.written?.();
        return (record.kind === "start" ? disk : Promise.resolve()).then(() => ({ seq: 7 }) as never);
      },
    },
    identity,
    events: { emit: () => {} },
    logger: { warn: () => {} },
    model: "m",
    over: resolve,
  });
  const backend: Backend = {
    name: "fake",
    handles: () => true,
    ...here ? { worksHere: () => true } : {},
    infer: (_, options) => {
      signal = options.signal;
      return infer(options);
    },
  };
  const response = await answer.start(backend, { request: REQUEST, client: new AbortController() }).catch(
    async (error) => {
      await answer.fail(error);
      throw error;
    },
  );
  return { response, records, settled, signal: () => signal, over };
}

/** Pushes an answer, and tells its frames and in how many pieces they came. */
async function push({ response }: Scene, full: () => Promise<void> | null = () => null) {
  const pieces: Uint8Array[] = [];
  const sink: ByteSink = {
    idle: true,
    write(bytes) {
      pieces.push(bytes.slice());
      return full();
    },
  };
  const body = pushedBody(response.body ?? assert.fail()) ?? assert.fail();
  await body.pipe(sink);
  return { frames: framesOf(pieces), pieces: pieces.length, bytes: pieces };
}

function framesOf(pieces: readonly Uint8Array[]) {
  const splitter = new FrameSplitter();
  return pieces.flatMap((piece) => splitter.push(piece)).map((bytes) => ({ bytes, frame: decodeFrame(bytes) }));
}

/** What a frame says, in a word. */
function wordOf({ frame }: ReturnType<typeof framesOf>[number]): string {
  if (frame.type === "error") return frame.error.code;
  if (frame.type !== "event") return frame.type;
  return frame.event.type === "text" ? frame.event.text : frame.event.type;
}

/** An engine that gives its words in these groups by the short way, where that is open. */
function engine(groups: readonly string[][]) {
  let handed = 0;
  return {
    handed: () => handed,
    async *infer({ direct, signal }: InferOptions): AsyncGenerator<InferenceEvent> {
      yield START;
      for (const group of groups) {
        await new Promise((resolve) => setImmediate(resolve));
        if (signal.aborted) throw new ArkError("cancelled", "The request was cancelled");
        const parts = group.map((text) => ({ type: "text" as const, text, tokens: 1 }));
        if (direct?.open !== true) yield* parts;
        else {
          handed++;
          await direct.take(parts);
        }
      }
      yield END;
    },
  };
}

Deno.test("PeerAnswer pushes what comes by the short way, each group as one piece, and its receipt is over all of it", async () => {
  const { infer, handed } = engine([["a", "b"], ["c"]]);
  const scene = await begin(infer);
  const { frames, pieces } = await push(scene);
  await scene.over;
  assert.deepEqual(frames.map(wordOf), ["start", "a", "b", "c", "end", "receipt"]);
  assert.deepEqual([handed(), pieces], [2, 4]);
  const last = frames.at(-1)?.frame;
  const signed = last?.type === "receipt" ? last.signed : assert.fail();
  const hash = createHash("sha256");
  for (const { bytes } of frames.slice(0, -1)) hash.update(bytes);
  assert.equal(signed.receipt.stream, hash.digest("hex"));
  assert.equal(signed.receipt.leaf, 7);
  assert.deepEqual(scene.records.map(({ kind, outcome }) => [kind, outcome]), [["start", undefined], ["end", "ok"]]);
});

Deno.test("PeerAnswer says the same as a stream as it pushes", async () => {
  const pushed = await push(await begin(engine([["a"], ["b", "c"]]).infer));
  const { response, over } = await begin(engine([["a"], ["b", "c"]]).infer);
  const streamed = framesOf([new Uint8Array(await response.arrayBuffer())]);
  await over;
  assert.deepEqual(streamed.map(wordOf), pushed.frames.map(wordOf));
});

Deno.test("PeerAnswer ends an answer on the short way where its tokens run out, with what came before, and stops the engine", async () => {
  const scene = await begin(engine([["a"], ["b", "c"], ["d"]]).infer, { left: 2 });
  const { frames } = await push(scene);
  await scene.over;
  assert.deepEqual(frames.map(wordOf), ["start", "a", "b", "busy"]);
  assert.ok(scene.signal().aborted);
  assert.partialDeepStrictEqual(scene.records.at(-1), { kind: "end", outcome: "busy", completion_tokens: 2 });
  assert.deepEqual(scene.settled, [["failed", 2]]);
});

Deno.test("PeerAnswer makes the engine wait for a connection that takes no more", async () => {
  let room = Promise.withResolvers<void>();
  const { infer, handed } = engine([["a"], ["b"], ["c"]]);
  const scene = await begin(infer);
  let writes = 0;
  const pushing = push(scene, () => ++writes === 2 ? room.promise : null);
  while (handed() === 0) await new Promise((resolve) => setImmediate(resolve));
  for (let turn = 0; turn < 20; turn++) await new Promise((resolve) => setImmediate(resolve));
  assert.equal(handed(), 1);
  room.resolve();
  room = Promise.withResolvers();
  assert.deepEqual((await pushing).frames.map(wordOf), ["start", "a", "b", "c", "end", "receipt"]);
  await scene.over;
});

Deno.test("PeerAnswer that nobody reads is over when its body is cancelled", async () => {
  const scene = await begin(engine([["a"]]).infer);
  await scene.response.body?.cancel();
  await scene.over;
  assert.ok(scene.signal().aborted);
  assert.partialDeepStrictEqual(scene.records.at(-1), { kind: "end", outcome: "cancelled" });
});

/** An answer that has had time to begin, and whose record is at the disk; with how often its engine was asked. */
async function atTheDisk({ here }: Pick<Setting, "here">) {
  const disk = Promise.withResolvers<void>();
  const { infer } = engine([["a"]]);
  const seen = { asked: 0, answered: false };
  const scene = begin((options) => {
    seen.asked++;
    return infer(options);
  }, { ...here === undefined ? {} : { here }, disk: disk.promise });
  void scene.then(() => seen.answered = true);
  for (let turn = 0; turn < 20; turn++) await new Promise((resolve) => setImmediate(resolve));
  return { scene, seen, disk };
}

Deno.test("PeerAnswer asks an engine of this machine while the disk is at the record, and answers when it is durable", async () => {
  const { scene, seen, disk } = await atTheDisk({ here: true });
  assert.deepEqual(seen, { asked: 1, answered: false });
  disk.resolve();
  const { frames } = await push(await scene);
  assert.deepEqual(frames.map(wordOf), ["start", "a", "end", "receipt"]);
  assert.equal(seen.asked, 1);
});

Deno.test("PeerAnswer asks nobody outside this machine before the record is durable", async () => {
  const { scene, seen, disk } = await atTheDisk({});
  assert.equal(seen.asked, 0);
  disk.resolve();
  assert.equal((await scene).response.status, 200);
  assert.equal(seen.asked, 1);
});

Deno.test("PeerAnswer stops an engine whose request could not be made durable, and gives nothing of its answer", async () => {
  const left = Promise.withResolvers<boolean>();
  async function* infer({ signal }: InferOptions): AsyncGenerator<InferenceEvent> {
    try {
      yield START;
    } finally {
      left.resolve(signal.aborted);
    }
  }
  const disk = Promise.reject(new ArkError("audit_unavailable", "The disk takes nothing"));
  await assert.rejects(begin(infer, { here: true, disk }), { code: "audit_unavailable" });
  assert.ok(await left.promise);
});
