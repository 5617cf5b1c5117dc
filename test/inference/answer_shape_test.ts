/** What an answer may and will look like, on the real engines and a tiny model that would never write it by itself. */
import assert from "node:assert/strict";
import { Ajv2020 } from "ajv/dist/2020.js";
import type { AnswerPart, ChatInput, GenerationParameters, JsonSchema, Tool } from "@ark/node/protocol";
import { withDirectory } from "../support/temporary.ts";
import { type EngineAnswer, EngineProcess } from "../support/engine_process.ts";

const FIXTURE = "test/fixtures/arkling-9m-q4_0.gguf";
const SCHEMA: JsonSchema = {
  type: "object",
  properties: {
    city: { type: "string", maxLength: 12 },
    kind: { enum: ["sun", "rain"] },
    days: { type: "array", items: { type: "integer", minimum: 0, maximum: 31 }, minItems: 1, maxItems: 3 },
  },
  required: ["city", "kind", "days"],
  additionalProperties: false,
};
const TOOLS: Tool[] = [{ name: "weather", description: "The weather", parameters: SCHEMA }, { name: "now" }];

function chat(parts: Partial<ChatInput> = {}): ChatInput {
  return { kind: "chat", messages: [{ role: "user", content: "How is the weather?" }], ...parts };
}

function tokensOf(parts: readonly AnswerPart[]): number {
  return parts.reduce((sum, part) => sum + ("tokens" in part ? part.tokens : 0), 0);
}

function callsOf({ parts }: EngineAnswer): { name: string; arguments: string }[] {
  const calls: { name: string; arguments: string }[] = [];
  for (const part of parts) {
    if (part.type === "tool_call") calls[part.index] = { name: part.name, arguments: "" };
    const call = part.type === "tool_arguments" ? calls[part.index] : undefined;
    if (part.type === "tool_arguments" && call !== undefined) call.arguments += part.text;
  }
  return calls;
}

/** Tokens of the fixture's vocabulary: `<`, `function` and `=`, and `x`. */
const MARK = [29, 1405, 30];
const X = 89;

const validate = new Ajv2020().compile(SCHEMA);

for (const engine of ["addon", "native"] as const) {
  Deno.test(`An answer has the shape that is asked for: ${engine} engine`, async (t) => {
    await using worker = await EngineProcess.load(FIXTURE, { engine, context_size: 1_024 });
    await t.step(`It writes what a schema allows, and then ends`, async () => {
      for (const seed of [1, 2, 3]) {
        const parameters: GenerationParameters = {
          format: { kind: "json_schema", schema: SCHEMA },
          seed,
          max_tokens: 300,
        };
        const answer = await worker.ask({ input: chat(), parameters });
        assert.equal(answer.finish_reason, "stop", answer.text);
        const value: unknown = JSON.parse(answer.text);
        assert.ok(validate(value), answer.text);
      }
      const any = await worker.ask({
        input: chat(),
        parameters: { format: { kind: "json" }, temperature: 0, max_tokens: 60 },
      });
      assert.match(any.text, /^\{/);
    });

    await t.step(`It keeps to a grammar, and refuses what is none`, async () => {
      const ask = (grammar: string) =>
        worker.ask({ input: chat(), parameters: { format: { kind: "grammar", grammar }, max_tokens: 20 } });
      const answer = await ask('root ::= ("yes" | "no") "!"');
      assert.match(answer.text, /^(yes|no)!$/);
      assert.equal(answer.finish_reason, "stop");
      for (
        const wrong of [
          "x",
          'a ::= "b"',
          "root ::= root",
          'root ::= "a',
          "root ::= nothing",
          `root ::= ${"(".repeat(500)}`,
        ]
      ) {
        await assert.rejects(ask(wrong), { code: "bad_request" }, wrong);
      }
      await assert.rejects(
        worker.ask({ input: chat(), parameters: { format: { kind: "json_schema", schema: { not: {} } } } }),
        { code: "bad_request", message: /"not"/ },
      );
      assert.equal((await ask('root ::= "a"')).text, "a");
    });

    await t.step(`It calls a function that must be called`, async () => {
      for (const tool_choice of ["required" as const, { name: "weather" }]) {
        const input = chat({ tools: TOOLS, tool_choice, parallel_tool_calls: false });
        const answer = await worker.ask({ input, parameters: { seed: 5, max_tokens: 300 } });
        assert.equal(answer.finish_reason, "tool_calls");
        assert.equal(answer.text, "");
        const [call, ...more] = callsOf(answer);
        assert.ok(call !== undefined && more.length === 0);
        const value: unknown = JSON.parse(call.arguments);
        if (call.name === "weather") assert.ok(validate(value), call.arguments);
        else assert.deepEqual([call.name, value], ["now", {}]);
        assert.ok(tokensOf(answer.parts) <= answer.usage.completion_tokens);
      }
    });

    await t.step(`It tells which stop text ended an answer, and counts without writing`, async () => {
      const plain = await worker.ask({ parameters: { temperature: 0, max_tokens: 12 } });
      const word = plain.text.trim().split(/\s+/)[2] ?? assert.fail(plain.text);
      const stopped = await worker.ask({ parameters: { temperature: 0, max_tokens: 12, stop: ["\u0001", word] } });
      assert.equal(stopped.stop_text, word);
      assert.equal(stopped.finish_reason, "stop");
      assert.ok(plain.text.startsWith(stopped.text) && !stopped.text.includes(word));
      const counted = await worker.ask({ count_only: true });
      assert.deepEqual(counted.parts, []);
      assert.equal(counted.usage.prompt_tokens, plain.usage.prompt_tokens);
      assert.equal(counted.usage.completion_tokens, 0);
    });

    await t.step(`It tells how likely tokens were`, async () => {
      const answer = await worker.ask({ parameters: { temperature: 0, max_tokens: 12, logprobs: 3 } });
      const logprobs = answer.parts.flatMap((part) => part.type === "text" ? part.logprobs ?? [] : []);
      assert.equal(logprobs.length, 12);
      assert.equal(logprobs.map(({ token }) => token).join(""), answer.text);
      for (const { logprob, token, top, bytes } of logprobs) {
        assert.ok(logprob <= 0 && logprob > -20);
        assert.equal(top.length, 3);
        // At temperature 0 the likeliest one is taken.
        assert.equal(top[0]?.token, token);
        assert.ok(Math.abs((top[0]?.logprob ?? 0) - logprob) < 1e-4);
        assert.ok((top[1]?.logprob ?? 0) <= logprob && (top[2]?.logprob ?? 0) <= (top[1]?.logprob ?? 0));
        assert.equal(new TextDecoder().decode(Uint8Array.from(bytes)), token);
      }
      const none = await worker.ask({ parameters: { temperature: 0, max_tokens: 2, logprobs: 0 } });
      assert.deepEqual(none.parts.flatMap((part) => part.type === "text" ? part.logprobs?.map(({ top }) => top) : []), [
        [],
        [],
      ]);
      const without = await worker.ask({ parameters: { temperature: 0, max_tokens: 2 } });
      assert.ok(without.parts.every((part) => !("logprobs" in part)));
    });

    await t.step(`It makes tokens more and less likely`, async () => {
      const ask = (logit_bias: [number, number][]) =>
        worker.ask({ parameters: { temperature: 0, max_tokens: 4, logit_bias } });
      assert.equal((await ask([[X, 100]])).text, "xxxx");
      assert.equal((await ask([[X, 100], [MARK[0] ?? 0, 90], [X, -100]])).text, "<<<<");
      const prompt = [X, 10_000_000];
      await assert.rejects(worker.ask({ input: { kind: "completion", prompt } }), { code: "bad_request" });
    });
  });

  Deno.test(`The ${engine} engine holds a call to its grammar once the model begins one`, async () => {
    await withDirectory(async (directory) => {
      const path = `${directory}/functionary.gguf`;
      await withTemplate(path, "{% if tools %}{{ tools | tojson }}<function={% endif %}{{ messages[0]['content'] }}");
      await using worker = await EngineProcess.load(path, { engine, context_size: 1_024 });
      const input = chat({ tools: TOOLS });
      const free = await worker.ask({ input, parameters: { temperature: 0, max_tokens: 8 } });
      assert.equal(callsOf(free).length, 0);
      assert.notEqual(free.text, "");
      // The model would never call: it is led to. Each token of the mark is likelier than the next one, until it is used.
      const logit_bias = MARK.map((token, at): [number, number] => [token, 100 - 15 * at]);
      const led = await worker.ask({
        input,
        parameters: { temperature: 0, max_tokens: 300, logit_bias, repeat_penalty: 2, repeat_last_n: 3 },
      });
      const [call] = callsOf(led);
      assert.ok(call !== undefined, JSON.stringify(led));
      const value: unknown = JSON.parse(call.arguments);
      if (call.name === "weather") assert.ok(validate(value), call.arguments);
      else assert.deepEqual([call.name, value], ["now", {}]);
      // What the limit cut off in the middle of a call is told as text. A whole call never is.
      assert.doesNotMatch(led.text, /<function=(now|weather)>\s*\{[^]*\}/);
    });
  });
}

/** The fixture with another chat template in the place of its own, which is at least as long. */
async function withTemplate(path: string, template: string): Promise<void> {
  const bytes = await Deno.readFile(FIXTURE);
  const key = "tokenizer.chat_template";
  const at = new TextDecoder("latin1").decode(bytes).indexOf(key) + key.length + 4;
  const littleEndian = true;
  const length = new DataView(bytes.buffer).getUint32(at, littleEndian);
  assert.ok(template.length <= length, `Only ${length} characters fit`);
  bytes.set(new TextEncoder().encode(template.padEnd(length)), at + 8);
  await Deno.writeFile(path, bytes);
}
