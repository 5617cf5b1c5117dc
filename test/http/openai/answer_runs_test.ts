import assert from "node:assert/strict";
import { ArkError, type InferenceEvent, type InferenceRequest } from "@ark/node/protocol";
import { AnswerRuns, type ChoiceEvent } from "../../../src/http/openai/answer_runs.ts";
import { DirectAnswers } from "../api/direct_answers.ts";
import { END, MODEL, type Script, ScriptedAnswers, START } from "../api/scripted_answers.ts";

const TEXT: InferenceEvent = { type: "text", text: "Hi", tokens: 1 };

function requests(count: number): InferenceRequest[] {
  return Array.from({ length: count }, (_, seed) => {
    return { model: MODEL, input: { kind: "completion", prompt: "x" }, parameters: { seed } };
  });
}

function runs(script: Script, count: number, client = new AbortController().signal) {
  const answers = new ScriptedAnswers(script);
  return { answers, runs: new AnswerRuns(answers, { requests: requests(count), client }) };
}

async function all(runs: AnswerRuns): Promise<ChoiceEvent[]> {
  const events: ChoiceEvent[] = [];
  for (let event = await runs.next(); event !== null; event = await runs.next()) events.push(event);
  runs.end();
  return events;
}

/** Counts how many answers are made at the same time, each with a turn of the event loop between its events. */
function counted(most = Infinity) {
  const seen = { now: 0, peak: 0, refused: 0 };
  const script: Script = async function* ({ choose }) {
    if (seen.now >= most) {
      seen.refused++;
      throw new ArkError("busy", "All places are taken");
    }
    seen.now++;
    seen.peak = Math.max(seen.peak, seen.now);
    try {
      choose("kitchen", null);
      for (const event of [START, TEXT, TEXT, END]) {
        await new Promise(setImmediate);
        yield event;
      }
    } finally {
      seen.now--;
    }
  };
  return { seen, script };
}

Deno.test("AnswerRuns.next() gives each answer's own events in their order, several at the same time", async () => {
  const { seen, script } = counted();
  const { runs: three } = runs(script, 3);
  const events = await all(three);
  for (const index of [0, 1, 2]) {
    assert.deepEqual(events.filter((one) => one.index === index).map(({ event }) => event), [START, TEXT, TEXT, END]);
  }
  assert.equal(seen.peak, 3);
  assert.deepEqual([three.node?.name, three.ran, three.size], ["kitchen", true, 3]);
});

Deno.test("AnswerRuns makes at most eight answers at the same time, and all of them in the end", async () => {
  const { seen, script } = counted();
  const { runs: many } = runs(script, 20);
  const events = await all(many);
  assert.equal(events.filter(({ event }) => event.type === "end").length, 20);
  assert.equal(seen.peak, 8);
});

Deno.test("AnswerRuns lets answers wait for each other where fewer are allowed at a time", async () => {
  for (const most of [1, 2, 3]) {
    const { seen, script } = counted(most);
    const { runs: six } = runs(script, 6);
    const events = await all(six);
    assert.equal(events.filter(({ event }) => event.type === "end").length, 6);
    assert.equal(seen.peak, most);
    assert.ok(seen.refused > 0);
  }
});

Deno.test("AnswerRuns fails as busy where no other answer of the request is made", async () => {
  for (const count of [1, 2, 9]) {
    const { script, seen } = counted(0);
    const { runs: none } = runs(script, count);
    await assert.rejects(all(none), (error) => error instanceof ArkError && error.code === "busy");
    await none.stop();
    assert.ok(seen.refused <= count);
    assert.ok(!none.ran);
  }
});

Deno.test("AnswerRuns ends all answers when one fails, and when it is stopped", async () => {
  const left: number[] = [];
  const script: Script = async function* ({ request, signal }) {
    const { seed = 0 } = request.parameters;
    try {
      yield START;
      if (seed === 1) throw new ArkError("engine_failed", "It died");
      await new Promise((_resolve, reject) => signal.addEventListener("abort", () => reject(signal.reason)));
    } finally {
      left.push(seed);
    }
  };
  const { runs: three } = runs(script, 3);
  await assert.rejects(all(three), (error) => error instanceof ArkError && error.code === "engine_failed");
  await three.stop();
  assert.ok(three.signal.aborted);
  assert.deepEqual(left.sort(), [0, 1, 2]);
});

Deno.test("AnswerRuns ends all answers when the client goes away, and asks for none after that", async () => {
  const client = new AbortController();
  const script: Script = async function* ({ signal }) {
    yield START;
    await new Promise((_resolve, reject) => signal.addEventListener("abort", () => reject(signal.reason)));
  };
  const { runs: two, answers } = runs(script, 2, client.signal);
  await two.next();
  const waiting = all(two);
  client.abort();
  // Whether it fails or just ends is all the same to a client that is gone.
  await waiting.catch((error) => assert.equal(error.code, "cancelled"));
  await two.stop();
  assert.ok((await answers.left).aborted);
});

Deno.test("AnswerRuns makes no more than one event of each answer ahead", async () => {
  let made = 0;
  const script: Script = async function* () {
    await Promise.resolve();
    yield START;
    for (;;) {
      made++;
      yield TEXT;
    }
  };
  const { runs: two } = runs(script, 2);
  for (let read = 0; read < 10; read++) await two.next();
  await new Promise(setImmediate);
  assert.ok(made <= 10, String(made));
  await two.stop();
});

Deno.test("AnswerRuns lets the parts of each of several answers take the short way, after its start", async () => {
  const answers = new DirectAnswers("a", "b", "c");
  const three = new AnswerRuns(answers, { requests: requests(3), client: new AbortController().signal });
  const seen: ChoiceEvent[] = [];
  const first = await three.next();
  seen.push(first ?? assert.fail());
  three.receive((events) => {
    seen.push(...events);
    return null;
  });
  for (let event = await three.next(); event !== null; event = await three.next()) seen.push(event);
  for (const index of [0, 1, 2]) {
    const own = seen.filter((one) => one.index === index).map(({ event }) => event);
    const texts = own.map((event) => event.type === "text" ? event.text : event.type);
    assert.deepEqual(texts, ["start", "a", "b", "c", "end"]);
  }
  assert.equal(answers.direct, 9);
});
