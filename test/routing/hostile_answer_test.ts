/** Approved peers that answer as they should not: what their caller gets to see, and what it costs. */
import assert from "node:assert/strict";
import { generateIdentity } from "@ark/node/identity";
import { ALIVE_FRAME, encodeEventFrame, type InferenceEvent, LIMITS } from "@ark/node/protocol";
import { type PeerTable, RemoteBackend } from "@ark/node/routing";
import { asking, question } from "../inference/backend_contract.ts";
import {
  answerEvents,
  type Arrived,
  type AuditFixture,
  openAudit,
  read,
  ScriptedPeer,
  tableOf,
} from "./scripted_peer.ts";

const HELLO = question("tiny:1b", "Hello there", { max_tokens: 3 });
const [START, WORD] = answerEvents("tiny:1b") as [InferenceEvent, InferenceEvent];
const ENCODER = new TextEncoder();

/** A hostile peer: its body, and what its caller is told. `made` counts the bytes that it was asked for. */
interface Hostile {
  body(bob: ScriptedPeer, arrived: Arrived): AsyncIterable<Uint8Array> | Iterable<Uint8Array>;
  error: RegExp;
  /** Most bytes that are taken from it. */
  most: number;
}

async function* endless(piece: Uint8Array): AsyncGenerator<Uint8Array> {
  for (;;) yield piece;
}

async function* then(first: Uint8Array[], rest: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array> {
  yield* first;
  yield* rest;
}

/** Waits for ever, as someone does who says a word a minute. */
async function* silence(): AsyncGenerator<Uint8Array> {
  yield* [];
  await new Promise(() => {});
}

const frame = encodeEventFrame;
const LITTLE = 1 << 20;
const LONG_WORD = frame({ type: "text", text: "x".repeat(60_000), tokens: 1 });

const HOSTILE: Record<string, Hostile> = {
  "words without end": {
    body: () => then([frame(START)], endless(LONG_WORD)),
    error: /sent more than an answer may hold/,
    most: LIMITS.answerBytes + 2 * LONG_WORD.length,
  },
  "signs of life without end": {
    body: () => then([frame(START)], endless(new Uint8Array(Array(10_000).fill([...ALIVE_FRAME]).flat()))),
    error: /sent more than an answer may hold/,
    most: LIMITS.answerBytes + LITTLE,
  },
  "a word a minute": {
    body: () => then([frame(START), frame(WORD)], silence()),
    error: /fell silent for 0.3 s/,
    most: LITTLE,
  },
  "nothing at all": { body: () => silence(), error: /fell silent for 0.3 s/, most: LITTLE },
  "half a frame, and then nothing": {
    body: () => then([frame(START), frame(WORD).slice(0, 9)], silence()),
    error: /fell silent for 0.3 s/,
    most: LITTLE,
  },
  "bytes of a frame that never ends": {
    body: () => then([frame(START)], endless(ENCODER.encode("x".repeat(1_000)))),
    error: /^[^\n]+$/,
    most: LIMITS.eventBytes + LITTLE,
  },
  "a giant event": {
    body: () => [frame(START), frame({ type: "text", text: "x".repeat(2 * LIMITS.eventBytes), tokens: 1 })],
    error: /^[^\n]+$/,
    most: 2 * LITTLE,
  },
  "no receipt": {
    body: (bob, arrived) => bob.honest(arrived).slice(0, -1),
    error: /broke off before its answer was complete/,
    most: LITTLE,
  },
  "a receipt by somebody else": {
    body(bob, arrived) {
      const frames = bob.honest(arrived).slice(0, -1);
      const events = answerEvents("tiny:1b");
      return [...frames, bob.receiptFor(frames, { events, hash: arrived.hash, by: generateIdentity() })];
    },
    error: /receipt that does not match/,
    most: LITTLE,
  },
  "a receipt of another request": {
    body: (bob, arrived) =>
      bob.signed(answerEvents("tiny:1b"), { hash: arrived.hash, lie: { request: "00".repeat(32) } }),
    error: /receipt that does not match/,
    most: LITTLE,
  },
  "more after the receipt": {
    body: (bob, arrived) => then(bob.honest(arrived), endless(frame(WORD))),
    error: /went on after its receipt/,
    most: LITTLE,
  },
  "an end without a beginning": { body: () => [frame(WORD)], error: /wrong order/, most: LITTLE },
  "another model's answer": {
    body: (bob, arrived) => bob.signed(answerEvents("small:1b"), { hash: arrived.hash }),
    error: /another model than it was asked for/,
    most: LITTLE,
  },
  "bytes that are no frame": {
    body: () => [ENCODER.encode("HTTP/1.1 200 OK\r\n\r\n\n\n"), ENCODER.encode("data: [DONE]\n\n")],
    error: /^[^\n]+$/,
    most: LITTLE,
  },
};

interface Scene extends AuditFixture {
  bob: ScriptedPeer;
  table: PeerTable;
  backend: RemoteBackend;
}

async function open(): Promise<Scene> {
  const fixture = await openAudit();
  const bob = new ScriptedPeer();
  const table = await tableOf([bob]);
  const client = { request: (_to: unknown, call: Parameters<ScriptedPeer["request"]>[0]) => bob.request(call) };
  const backend = new RemoteBackend({ peer: bob.peer, table, client, audit: fixture.audit, silenceMs: 300 });
  return { ...fixture, bob, table, backend };
}

for (const [what, { body, error: expected, most }] of Object.entries(HOSTILE)) {
  Deno.test(`T26: A peer that answers with ${what} is cut off, and its caller is told so in one sentence`, async () => {
    await using scene = await open();
    const { bob, backend, audit } = scene;
    let made = 0;
    bob.onInfer = (arrived) => ({
      body: (async function* () {
        for await (const bytes of body(bob, arrived)) {
          made += bytes.length;
          yield bytes;
        }
      })(),
    });
    const { events, error } = await read(backend.infer(HELLO, asking()));
    assert.equal(error?.code, "unavailable");
    assert.match(error.message, /^[^\n]{1,200}$/);
    assert.match(error.message, expected);
    // Never an end without its receipt, so never an answer that looks whole.
    assert.ok(!events.some(({ type }) => type === "end"));
    assert.ok(made <= most, `${made} bytes were taken`);
    assert.equal((await audit.tail(1))[0]?.outcome, "unavailable");
    // The peer is heard again when it behaves.
    bob.onInfer = (arrived) => ({ body: bob.honest(arrived) });
    await scene.table.ask(bob.id, new AbortController().signal);
    assert.equal((await read(backend.infer(HELLO, asking()))).error, null);
  });
}
