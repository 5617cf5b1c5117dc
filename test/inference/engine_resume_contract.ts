/** What every engine promises of answers that it goes on with, as tests that each can be put through. */
import assert from "node:assert/strict";
import { Ajv2020 } from "ajv/dist/2020.js";
import type { EngineChoice, EngineRequest } from "@ark/node/inference";
import {
  type AnswerPart,
  decodeTokenIds,
  encodeTokenIds,
  type GenerationParameters,
  joinParts,
  type JsonSchema,
} from "@ark/node/protocol";
import { type Asked, EngineWorker, type Question } from "../support/engine_worker.ts";
import { longPrompt } from "./engine_contract.ts";

const SCHEMA: JsonSchema = {
  type: "object",
  properties: {
    city: { type: "string", maxLength: 12 },
    kind: { enum: ["sun", "rain"] },
    days: { type: "array", items: { type: "integer", minimum: 0, maximum: 31 }, minItems: 2, maxItems: 5 },
  },
  required: ["city", "kind", "days"],
  additionalProperties: false,
};
const validate = new Ajv2020().compile(SCHEMA);
const TOOLS = [{ name: "weather", description: "The weather", parameters: SCHEMA }];
const MESSAGES = [{ role: "user" as const, content: "How is the weather?" }];

/** A question, and what holds for whole answers to it. */
interface Case {
  name: string;
  question: Question & { parameters: GenerationParameters };
  check?: (answer: Whole) => void;
}

/** An answer whose parts were put together, of one run or of two. */
type Whole = Pick<Asked, "parts" | "finish_reason">;

const CASES: Case[] = [
  { name: "text", question: { prompt: longPrompt(3), parameters: { temperature: 0, max_tokens: 40 } } },
  {
    name: "text with penalties and a text that may end it",
    question: {
      prompt: "A list of files: ",
      parameters: {
        temperature: 0,
        max_tokens: 40,
        repeat_penalty: 1.3,
        frequency_penalty: 0.5,
        stop: ["e the n", "\n\n\n"],
      },
    },
  },
  {
    name: "JSON after a schema",
    question: {
      input: { kind: "chat", messages: MESSAGES },
      parameters: { temperature: 0, max_tokens: 200, format: { kind: "json_schema", schema: SCHEMA } },
    },
    check({ parts, finish_reason }) {
      assert.equal(finish_reason, "stop");
      const text = parts.map((part) => part.type === "text" ? part.text : assert.fail(part.type)).join("");
      assert.ok(validate(JSON.parse(text)), text);
    },
  },
  {
    name: "a call of a function",
    question: {
      input: {
        kind: "chat",
        messages: MESSAGES,
        tools: TOOLS,
        tool_choice: { name: "weather" },
        parallel_tool_calls: false,
      },
      parameters: { temperature: 0, max_tokens: 200 },
    },
    check({ parts, finish_reason }) {
      assert.equal(finish_reason, "tool_calls");
      const calls = parts.filter(({ type }) => type === "tool_call");
      assert.deepEqual(calls.map((call) => call.type === "tool_call" ? [call.index, call.name] : []), [[0, "weather"]]);
      const text = parts.map((part) => part.type === "tool_arguments" && part.index === 0 ? part.text : "").join("");
      assert.ok(validate(JSON.parse(text)), text);
      assert.ok(parts.every(({ type }) => type.startsWith("tool_")));
    },
  },
];

/** Parts without what differs from run to run, as few as they can be. */
function joined(parts: readonly AnswerPart[]): AnswerPart[] {
  const all: AnswerPart[] = [];
  for (const each of parts) {
    const part = each.type === "tool_call" ? { ...each, id: "" } : each;
    const last = all.at(-1);
    const one = last === undefined ? null : joinParts(last, part);
    if (one === null) all.push(part);
    else all[all.length - 1] = one;
  }
  return all;
}

function idsOf(parts: readonly AnswerPart[]): number[] {
  return parts.flatMap((part) => "ids" in part ? part.ids ?? [] : []);
}

/** Asks, and tells the ids of the prompt, too. */
async function ask(worker: EngineWorker, question: Question): Promise<Asked & { prompt: number[] | null }> {
  let prompt: number[] | null = null;
  const answer = await worker.ask({ ids: true, ...question }, {
    seen(message) {
      if (message.type === "start" && message.prompt_ids !== undefined) prompt = decodeTokenIds(message.prompt_ids);
    },
  });
  return { ...answer, prompt };
}

/** Adds the tests of the contract for one engine. */
export function engineResumeContract(engine: Exclude<EngineChoice, "auto">): void {
  Deno.test(`Engine ${engine} goes on with an answer from its tokens, wherever it was cut: nothing doubled, nothing lost`, async (t) => {
    await using worker = await EngineWorker.start({ engine });
    let [cuts, same] = [0, 0];
    for (const { name, question, check = () => {} } of CASES) {
      await t.step(name, async () => {
        const whole = await ask(worker, question);
        const prompt = whole.prompt ?? assert.fail("The prompt was not told");
        assert.equal(prompt.length, whole.usage.prompt_tokens);
        for (const part of whole.parts) {
          if ("ids" in part && part.ids !== undefined) assert.equal(part.ids.length, part.tokens);
        }
        check(whole);
        const places = whole.parts.flatMap((part, index) => "ids" in part && part.ids !== undefined ? [index] : []);
        // Some of them, from the first to the last, and the one in the midst of all in another's name: nothing is cached.
        const step = Math.max(1, Math.floor(places.length / 7));
        for (const [at, index] of places.filter((_, each) => each % step === 0).entries()) {
          const shown = whole.parts.slice(0, index + 1);
          const written = idsOf(shown);
          const { max_tokens = 1 } = question.parameters;
          if (written.length >= max_tokens) continue;
          const rest = await ask(worker, {
            ...question,
            // Neither is rendered again: it only says how to read what follows.
            ...question.prompt === undefined ? {} : { prompt: "Something else" },
            parameters: { ...question.parameters, max_tokens: max_tokens - written.length },
            resume: { prompt: encodeTokenIds(prompt), written: encodeTokenIds(written) },
            ...at % 2 === 1 ? { principal: `other ${at}` } : {},
          });
          assert.deepEqual(rest.prompt, prompt);
          assert.equal(rest.usage.prompt_tokens, prompt.length);
          assert.ok(rest.usage.cached_tokens <= prompt.length);
          assert.ok(written.length + rest.usage.completion_tokens <= max_tokens);
          const both = { parts: [...shown, ...rest.parts], finish_reason: rest.finish_reason };
          check(both);
          cuts++;
          const ids = [...written, ...idsOf(rest.parts)];
          if (ids.join() === idsOf(whole.parts).join()) {
            same++;
            assert.deepEqual(joined(both.parts), joined(whole.parts));
            assert.equal(rest.stop_text, whole.stop_text);
            assert.equal(rest.finish_reason, whole.finish_reason);
            assert.equal(written.length + rest.usage.completion_tokens, whole.usage.completion_tokens);
          }
        }
      });
    }
    // deno-lint-ignore no-console -- The figure that the bound below is far from.
    console.log(`${same} of ${cuts} answers that the ${engine} engine went on with are the same to the last token`);
    // What was decoded is read as a prompt now, which may round otherwise, so that a near tie falls the other way.
    assert.ok(cuts >= 15 && same >= cuts / 4, `${same} of ${cuts}`);
  });

  Deno.test(`Engine ${engine} goes on in a way that follows from seed and place, and refuses what it cannot go on with`, async () => {
    await using worker = await EngineWorker.start({ engine });
    const question = { prompt: "To install the package", parameters: { seed: 11, max_tokens: 24 } };
    const whole = await ask(worker, question);
    const prompt = encodeTokenIds(whole.prompt ?? []);
    const written = idsOf(whole.parts).slice(0, 10);
    const again = (request: Partial<EngineRequest> & { prompt?: string }) =>
      ask(worker, { ...question, resume: { prompt, written: encodeTokenIds(written) }, ...request });
    const [first, second] = [await again({}), await again({})];
    assert.equal(second.text, first.text);
    const other = await again({ parameters: { ...question.parameters, seed: 12 } });
    assert.notEqual(other.text, first.text);
    // A prompt that is not told is rendered again.
    const rendered = await again({ resume: { written: encodeTokenIds(written) } });
    assert.deepEqual([rendered.text, rendered.prompt], [first.text, whole.prompt]);

    const refused = async (request: Partial<EngineRequest>, message: RegExp, code = "bad_request") => {
      await assert.rejects(again(request), { code, message });
      await worker.ask({ parameters: { max_tokens: 1 } });
    };
    const of = (ids: number[], before = prompt) => ({ resume: { prompt: before, written: encodeTokenIds(ids) } });
    await refused(of([5, 4_096]), /^The answer cannot be gone on with: the model has 4096 tokens/);
    await refused(of(written, encodeTokenIds([2 ** 30])), /4096 tokens/);
    await refused({ resume: { prompt, written: "AAA=" } }, /cannot be read/);
    await refused({ count_only: true }, /leave resume out/);
    await refused({ input: { kind: "embed", texts: ["a"] } }, /write|leave resume out/);
    const format = { kind: "grammar" as const, grammar: 'root ::= "yes" | "no"' };
    const parameters = { ...question.parameters, format };
    await refused({ ...of(written), parameters }, /not what its format or its functions allow$/);
    await refused(of(Array.from({ length: 1_020 }, () => 90)), /no room to go on/, "context_exceeded");
  });

  Deno.test(`Engine ${engine} ends an answer at once that was complete with what was written`, async () => {
    await using worker = await EngineWorker.start({ engine });
    const question = { prompt: "To install the package", parameters: { temperature: 0, max_tokens: 30 } };
    const whole = await ask(worker, question);
    const resume = { prompt: encodeTokenIds(whole.prompt ?? []), written: encodeTokenIds(idsOf(whole.parts)) };
    const stop = whole.parts.map((part) => part.type === "text" && part.ids ? part.text : "").join("").slice(-4);
    const stopped = await ask(worker, { ...question, resume, parameters: { ...question.parameters, stop: [stop] } });
    assert.deepEqual([stopped.parts, stopped.finish_reason, stopped.stop_text], [[], "stop", stop]);
    assert.deepEqual(stopped.usage, { prompt_tokens: whole.prompt?.length, completion_tokens: 0, cached_tokens: 0 });

    const call = CASES.at(-1)?.question ?? assert.fail();
    const called = await ask(worker, call);
    const over = await ask(worker, {
      ...call,
      resume: { prompt: encodeTokenIds(called.prompt ?? []), written: encodeTokenIds(idsOf(called.parts)) },
    });
    assert.equal(over.finish_reason, "tool_calls");
    assert.ok(over.parts.every(({ type }) => type === "tool_arguments" || type === "text"), JSON.stringify(over.parts));

    const { prompt: marks } = await ask(worker, { prompt: "</s>", parameters: { max_tokens: 1 } });
    const end = marks?.at(-1) ?? assert.fail();
    const ended = await ask(worker, { ...question, resume: { ...resume, written: encodeTokenIds([90, end]) } });
    assert.deepEqual([ended.parts, ended.finish_reason], [[], "stop"]);
    // The engine is free, and as it was.
    assert.equal((await ask(worker, question)).text, whole.text);
  });
}
