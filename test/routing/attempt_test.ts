/** What an attempt does about tokens that come by the short way: they are shown at once, and noted some at a time. */
import assert from "node:assert/strict";
import type { Backend, PartSink } from "@ark/node/inference";
import { type AnswerPart, ArkError, type InferenceEvent } from "@ark/node/protocol";
import { Attempt } from "../../src/routing/attempt.ts";
import { StallRule } from "../../src/routing/stall_rule.ts";
import { StallWatch } from "../../src/routing/stall_watch.ts";
import { until } from "./scripted_peer.ts";
import { someCandidate } from "./some_candidate.ts";

const TOKENS = 40;
const START = { type: "start", model: "m:1b", digest: null, prompt_tokens: 3 } as const;
const REQUEST = { model: "m:1b", input: { kind: "completion", prompt: "Hi" }, parameters: {} } as const;

function token(index: number): AnswerPart {
  return { type: "text", text: `t${index} `, tokens: 1 };
}

/** A leading attempt whose tokens are handed over by `give`, and all that it tells. */
async function leading(sink: Partial<PartSink> = {}) {
  const observed: { count: number; at: number | undefined }[] = [];
  const outcomes: string[] = [];
  const shown: AnswerPart[] = [];
  const noted: { parts: AnswerPart[]; times: number[] } = { parts: [], times: [] };
  let direct: PartSink | undefined;
  const ended = Promise.withResolvers<void>();
  const backend: Pick<Backend, "name" | "handles" | "infer"> = {
    name: "fake",
    handles: () => true,
    async *infer(_, options): AsyncGenerator<InferenceEvent> {
      direct = options.direct;
      yield START;
      await ended.promise;
    },
  };
  const attempt = new Attempt({
    choice: { ...someCandidate(), backend, model: "m:1b", digest: null } as never,
    request: REQUEST,
    asking: { priority: "owner", principal: "owner", direct: { open: true, take: () => null } },
    observation: {
      started() {},
      firstToken() {},
      tokens: (count, at) => void observed.push({ count, at }),
      end: (outcome) => void outcomes.push(outcome),
    },
  });
  await attempt.next();
  attempt.sink = {
    open: true,
    take: (parts) => (shown.push(...parts), null),
    later: {
      show: (parts) => (shown.push(...parts), null),
      note(parts, times) {
        noted.parts.push(...parts);
        noted.times.push(...times);
      },
    },
    ...sink,
  };
  const waits = attempt.next();
  waits.catch(() => {});
  await until(() => direct?.open === true);
  const give = (...parts: AnswerPart[]) => direct?.take(parts) ?? null;
  const close = async () => {
    attempt.stop(new ArkError("cancelled", "Enough"));
    ended.resolve();
    await attempt.settled;
  };
  return { attempt, give, close, observed, outcomes, shown, noted };
}

Deno.test("Attempt shows each token at once and notes each once, in its order and with its own time", async () => {
  const { give, close, observed, shown, noted } = await leading();
  const given: number[] = [];
  for (let index = 0; index < TOKENS; index++) {
    given.push(performance.now());
    assert.equal(give(token(index)), null);
    assert.equal(shown.length, index + 1, "Nobody waits for a token");
  }
  assert.ok(noted.parts.length < TOKENS, "Some at a time");
  await close();
  assert.deepEqual(noted.parts, Array.from({ length: TOKENS }, (_, index) => token(index)));
  assert.deepEqual(observed.map(({ count, at }) => [count, at]), noted.times.map((at) => [1, at]));
  noted.times.forEach((at, index) =>
    assert.ok(at >= (given[index] ?? Infinity) && at <= (given[index + 1] ?? Infinity))
  );
});

Deno.test("Attempt notes what it has shown before anything else comes, and before it is told to be over", async () => {
  const { attempt, give, close, shown, noted, observed, outcomes } = await leading();
  give(token(0));
  give(token(1));
  give({ type: "tool_call", index: 0, id: "call_1", name: "f", tokens: 2 });
  assert.equal(shown.length, 3);
  assert.deepEqual(noted.parts, [token(0), token(1)], "The call goes the usual way, behind them");
  assert.deepEqual(observed.map(({ count }) => count), [1, 1, 2]);
  give(token(2));
  assert.deepEqual(outcomes, []);
  attempt.stop(new ArkError("unavailable", "It fell silent"));
  assert.deepEqual([noted.parts.length, observed.length, outcomes], [3, 4, ["unavailable"]]);
  give(token(3));
  assert.deepEqual([shown.length, noted.parts.length], [4, 3], "What comes after it is nobody's");
  await close();
});

Deno.test("Attempt counts the token at which its reader stops everything", async () => {
  const scene: { attempt?: Attempt } = {};
  const noted: AnswerPart[] = [];
  const later = {
    show: () => {
      scene.attempt?.stop(new ArkError("cancelled", "Enough"));
      return null;
    },
    note: (parts: readonly AnswerPart[]) => void noted.push(...parts),
  };
  const { attempt, give, close, observed } = await leading({ later });
  scene.attempt = attempt;
  give(token(0));
  assert.deepEqual([noted, observed.length], [[token(0)], 1]);
  await close();
});

Deno.test("Attempt waits for a reader without room, and takes that for nobody's silence", async () => {
  const room = Promise.withResolvers<void>();
  const later = { show: () => room.promise, note() {} };
  const { attempt, give, close, observed } = await leading({ later });
  const stalls: string[] = [];
  attempt.watch = new StallWatch(new StallRule({ setting: 20 }), {
    half() {},
    stalled: () => stalls.push("stalled") > 0,
    looks: () => attempt.catchUp(),
  });
  attempt.watch.wait();
  const full = give(token(0));
  assert.ok(full !== null);
  assert.equal(observed.length, 1, "What is waited for is noted at once");
  await new Promise((resolve) => setTimeout(resolve, 120));
  assert.deepEqual(stalls, []);
  room.resolve();
  await full;
  await until(() => stalls.length > 0);
  await close();
});

Deno.test("Attempt tells its watch of tokens that are not noted yet before that takes them for silence", async () => {
  const { attempt, give, close, noted } = await leading();
  const stalls: number[] = [];
  attempt.watch = new StallWatch(new StallRule({ setting: 400 }), {
    half() {},
    stalled: () => stalls.push(noted.parts.length) > 0,
    looks: () => attempt.catchUp(),
  });
  attempt.watch.wait();
  for (let index = 0; index < 10; index++) {
    give(token(index));
    await new Promise((resolve) => setTimeout(resolve, 80));
  }
  assert.deepEqual(stalls, [], "It was never silent for so long");
  await until(() => stalls.length > 0);
  assert.equal(stalls[0], 10);
  await close();
});
