import assert from "node:assert/strict";
import { type AnswerPart, ArkError, type InferenceEvent, type InferenceRequest } from "@ark/node/protocol";
import type { InferOptions } from "@ark/node/inference";
import { pushedBody } from "@ark/node/transport";
import { answerStream, type StreamWriter } from "../../../src/http/api/answer_stream.ts";
import { AnswerRun } from "../../../src/http/api/answer_run.ts";
import { until } from "../../inference/local_fixture.ts";

const REQUEST: InferenceRequest = {
  model: "m",
  input: { kind: "chat", messages: [{ role: "user", content: "?" }] },
  parameters: {},
};
const START: InferenceEvent = { type: "start", model: "m", digest: null, prompt_tokens: 1 };
const END: InferenceEvent = {
  type: "end",
  finish_reason: "stop",
  usage: { prompt_tokens: 1, completion_tokens: 1 },
  timings: { queue_ms: 0, load_ms: 0, prompt_ms: 0, generation_ms: 0 },
};
const ENCODER = new TextEncoder();

/** Writes events as words. */
const WORDS: StreamWriter = {
  write: (event) => event.type === "text" ? ENCODER.encode(`${event.text} `) : ENCODER.encode(`<${event.type}> `),
  finish: () => ENCODER.encode("whole"),
  fail: ({ code }) => ENCODER.encode(code),
};

function text(word: string): AnswerPart {
  return { type: "text", text: word, tokens: 1 };
}

type Infer = (options: InferOptions) => AsyncGenerator<InferenceEvent>;

/** What a client sees of an answer that is pushed, and how it ended. */
async function pushed(infer: Infer, { full }: { full?: () => Promise<void> | null } = {}) {
  const client = new AbortController();
  const run = new AnswerRun({ infer: (_, options) => infer(options) }, { request: REQUEST, client: client.signal });
  const failures: string[] = [];
  const stream = await answerStream(run, {
    writer: WORDS,
    keepAlive: ENCODER.encode("."),
    failed: ({ code }) => failures.push(code),
  });
  const said: string[] = [];
  const ended = pushedBody(stream)?.pipe({
    idle: true,
    write: (bytes) => {
      said.push(new TextDecoder().decode(bytes));
      return full?.() ?? null;
    },
  });
  return { client, said, ended, failures };
}

Deno.test("A pushed answer is the same by the short way and by events", async () => {
  let [short, long] = [0, 0];
  const { said, ended } = await pushed(async function* ({ direct }) {
    assert.ok(direct !== undefined && !direct.open);
    yield START;
    for (const word of ["a", "b", "c"]) {
      if (direct?.open) {
        assert.equal(direct.take([text(word), text(word)]), null);
        short++;
        await Promise.resolve();
      } else {
        yield text(word);
        long++;
      }
      if (word === "b") yield text("between");
    }
    yield END;
  });
  await ended;
  assert.equal(said.join(""), "<start> a a b b between c c <end> whole");
  assert.deepEqual([short, long], [3, 0]);
});

Deno.test("A pushed answer waits for a client that takes no more, by the short way too", async () => {
  let go = () => {};
  let waiting = 0;
  let made = 0;
  const { said, ended } = await pushed(async function* ({ direct }) {
    yield START;
    for (; made < 3; made++) await direct?.take([text("x")]);
    yield END;
  }, {
    full: () => {
      waiting++;
      return new Promise<void>((resolve) => go = resolve);
    },
  });
  for (let turn = 1; turn <= 5; turn++) {
    await until(() => waiting === turn);
    assert.equal(made, Math.max(0, Math.min(3, turn - 2)));
    go();
  }
  await ended;
  assert.equal(said.join(""), "<start> x x x <end> whole");
});

Deno.test("A pushed answer whose parts are in a wrong order fails once, and is told so at its end", async () => {
  let stopped = false;
  const { said, ended, failures } = await pushed(async function* ({ direct, signal }) {
    yield START;
    direct?.take([text("a"), START as unknown as AnswerPart, text("b")]);
    direct?.take([text("c")]);
    stopped = signal.aborted;
    throw new ArkError("cancelled", "The request was cancelled");
  });
  await ended;
  assert.deepEqual([said.join(""), failures, stopped], ["<start> a unavailable", ["unavailable"], true]);
});

Deno.test("A pushed answer whose client has left makes at most one token more", async () => {
  let made = 0;
  let left = false;
  const { client, ended } = await pushed(async function* ({ direct, signal }) {
    try {
      yield START;
      while (!signal.aborted) {
        direct?.take([text("x")]);
        made++;
        if (made === 5) client.abort();
        await Promise.resolve();
      }
      throw signal.reason;
    } finally {
      left = true;
    }
  });
  await assert.rejects(ended ?? Promise.resolve());
  assert.deepEqual([made, left], [5, true]);
});

Deno.test("A pushed answer that fails by the iteration is told so after what came by the short way", async () => {
  const { said, ended, failures } = await pushed(async function* ({ direct }) {
    yield START;
    direct?.take([text("a")]);
    await Promise.resolve();
    throw new ArkError("engine_failed", "The engine failed");
  });
  await ended;
  assert.deepEqual([said.join(""), failures], ["<start> a engine_failed", ["engine_failed"]]);
});
