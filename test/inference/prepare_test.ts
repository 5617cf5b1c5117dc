import assert from "node:assert/strict";
import fc from "fast-check";
import type { AnswerPart, ChatInput, Message, TokenLogprob, Tool } from "@ark/node/protocol";
import { AnswerWriter } from "../../src/inference/worker/answer_writer.ts";
import { TokenChances } from "../../src/inference/worker/token_chances.ts";
import { asked, lettersBuilder, readAnswer, shown, tokensOf, WEATHER } from "./chat/letters.ts";
import { FAMILIES } from "./chat/templates.ts";

const CONTROL = [
  "<|im_start|>",
  "<|im_end|>",
  "<think>",
  "</think>",
  "<|fim_prefix|>",
  "<|fim_suffix|>",
  "<|fim_middle|>",
];
const TURN = "{% for m in messages %}<|im_start|>{{ m.role }}\n{{ m.content }}<|im_end|>\n{% endfor %}" +
  "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}";

/** The text of a prompt. */
function rendered(template: string, input: ChatInput): string {
  const { tokens } = lettersBuilder(template, CONTROL).prepare(input, {});
  return shown(tokens, CONTROL).replaceAll(/[⟦⟧]/g, "");
}

const CALLED: Message[] = [
  { role: "user", content: "Weather?" },
  {
    role: "assistant",
    content: "",
    reasoning: "I look",
    tool_calls: [{ id: "x1", name: "weather", arguments: '{"city": "Oslo"}' }],
  },
  { role: "tool", content: "rain", tool_call_id: "x1" },
];

Deno.test("prepare() gives a template functions, calls as objects, results with their name, and thoughts", () => {
  const template =
    "{% for t in tools %}{{ t.type }}:{{ t.function.name }}:{{ t.function.parameters | tojson }}\n{% endfor %}" +
    "{% for m in messages %}{{ m.role }}:{{ m.name }}:{{ m.tool_call_id }}:{{ m.reasoning_content }}:{{ m.content }}" +
    "{% for c in m.tool_calls or [] %}{{ c.id }}:{{ c.function.name }}:{{ c.function.arguments.city }}" +
    "{{ c.function.arguments | tojson }}{% endfor %}\n{% endfor %}";
  assert.equal(
    rendered(template, asked({ messages: CALLED })),
    'function:weather:{"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}\n' +
      'user::::Weather?assistant:::I look:x1:weather:Oslo{"city": "Oslo"}tool:weather:x1::rain',
  );
});

Deno.test("prepare() gives a template calls as text where it wants text", () => {
  const template =
    "{% for m in messages %}{% for c in m.tool_calls or [] %}{% if c.function.arguments is not string %}" +
    "{{ raise_exception('text') }}{% endif %}{{ c.function.arguments }}{% endfor %}{{ m.content }}{% endfor %}{{ tools }}";
  assert.match(rendered(template, asked({ messages: CALLED })), /^Weather\?\{"city": "Oslo"\}rain/);
});

Deno.test("prepare() teaches a model whose template knows no functions", () => {
  const text = rendered(TURN, asked({ messages: [{ role: "system", content: "Be kind" }, ...CALLED] }));
  assert.match(text, /^<\|im_start\|>system\nYou may call functions[^]*"name":"weather"[^]*\n\nBe kind<\|im_end\|>/);
  assert.match(text, /assistant\n<tool_call>\n\{"name":"weather","arguments":\{"city":"Oslo"\}\}\n<\/tool_call>/);
  assert.match(text, /user\n<tool_response>\nrain\n<\/tool_response><\|im_end\|>\n<\|im_start\|>assistant\n$/);
  // Nor a system role: what it says goes before the question, and roles take turns.
  const strict = "{% for m in messages %}{% if m.role == 'system' or (m.role == 'user') != (loop.index0 % 2 == 0) %}" +
    "{{ raise_exception('no') }}{% endif %}[{{ m.role }}]{{ m.content }}{% endfor %}";
  const taught = rendered(
    strict,
    asked({
      messages: [{ role: "system", content: "Be kind" }, ...CALLED, { role: "user", content: "And?" }],
    }),
  );
  assert.match(
    taught,
    /^\[user\]You may call[^]*Be kind\n\nWeather\?\[assistant\]<tool_call>[^]*\[user\]<tool_response>/,
  );
});

Deno.test("prepare() gives calls one by one to a template that takes no more in a message", () => {
  const template = "{% for m in messages %}{% if m.tool_calls %}{% if m.tool_calls | length > 1 %}" +
    "{{ raise_exception('one') }}{% endif %}{{ m.tool_calls[0].function.arguments | tojson }}{% endif %}" +
    "{{ m.content }};{% endfor %}{{ tools | tojson }}";
  const calls = ["Oslo", "Rome"].map((city, index) => ({
    id: `x${index}`,
    name: "weather",
    arguments: JSON.stringify({ city }),
  }));
  const text = rendered(
    template,
    asked({
      messages: [
        { role: "user", content: "Weather?" },
        { role: "assistant", content: "I look.", tool_calls: calls },
        { role: "tool", content: "rain", tool_call_id: "x0" },
        { role: "tool", content: "sun", tool_call_id: "x1" },
      ],
    }),
  );
  assert.match(text, /^Weather\?;\{"city": "Oslo"\}I look\.;rain;\{"city": "Rome"\};sun;/);
});

Deno.test("prepare() offers no functions where none may be called", () => {
  const { template, control } = FAMILIES["Hermes and Qwen"] ?? assert.fail();
  const builder = lettersBuilder(template, control);
  const prepared = builder.prepare(asked({ tool_choice: "none" }), {});
  assert.deepEqual(prepared.tokens, builder.prepare({ kind: "chat", messages: asked().messages }, {}).tokens);
  assert.equal(prepared.grammar, null);
});

Deno.test("prepare() gives a template that wants short names of calls such names", () => {
  const template = "[TOOL_CALLS]{% for m in messages %}{% for c in m.tool_calls or [] %}{% if c.id | length != 9 %}" +
    "{{ raise_exception('9') }}{% endif %}{{ c.id }}{{ c.function.arguments | tojson }}{% endfor %}{{ m.tool_call_id }}" +
    "{{ m.content }}{% endfor %}{{ tools | tojson }}";
  assert.match(rendered(template, asked({ messages: CALLED })), /call00000.*call00000rain/);
});

Deno.test("prepare() tells a template whether to think, and ends thoughts that begin all the same", () => {
  const template = TURN +
    "{% if enable_thinking is defined %}{{ 'on' if enable_thinking else 'off' }}{% endif %}<think>{{ '\n' }}";
  const chat = (think?: boolean): ChatInput => ({
    kind: "chat",
    messages: [{ role: "user", content: "Hi" }],
    ...think === undefined ? {} : { think },
  });
  const yes = true;
  const no = false;
  assert.match(rendered(template, chat()), /assistant\n<think>\n$/);
  assert.match(rendered(template, chat(yes)), /on<think>\n$/);
  assert.match(rendered(template, chat(no)), /off<think>\n\n<\/think>\n\n$/);
  // What the prompt has begun is thought until it is closed.
  const builder = lettersBuilder(template, CONTROL);
  const answer = tokensOf("Well </think>\n\nHello", CONTROL);
  assert.partialDeepStrictEqual(readAnswer(builder.prepare(chat(), {}), answer), { reasoning: "Well", text: "Hello" });
  assert.partialDeepStrictEqual(readAnswer(builder.prepare(chat(no), {}), tokensOf("Hello", CONTROL)), {
    reasoning: "",
    text: "Hello",
  });
  const unfinished = readAnswer(builder.prepare(chat(), {}), tokensOf("Well, I", CONTROL));
  assert.partialDeepStrictEqual(unfinished, { reasoning: "Well, I", text: "" });
});

Deno.test("prepare() keeps thoughts out of what a format holds", () => {
  const builder = lettersBuilder(`${TURN}{# <think> #}</think>`, CONTROL);
  const input: ChatInput = { kind: "chat", messages: [{ role: "user", content: "Hi" }] };
  const { grammar } = builder.prepare(input, { format: { kind: "json" } });
  assert.match(grammar?.gbnf ?? "", /^root ::= \("<think>" r\d+ ws\)\? r\d+\n/);
  const raw = builder.prepare({ kind: "completion", prompt: "a" }, { format: { kind: "json" } });
  assert.match(raw.grammar?.gbnf ?? "", /^root ::= r\d+\n/);
});

Deno.test("prepare() fills a gap where the vocabulary has the marks for it", () => {
  const input = { kind: "completion", prompt: "a<|im_end|>", suffix: "b" } as const;
  const text = shown(lettersBuilder("", CONTROL).prepare(input, {}).tokens, CONTROL);
  assert.equal(text, "⟦<|fim_prefix|>⟧a<|im_end|>⟦<|fim_suffix|>⟧b⟦<|fim_middle|>⟧");
  assert.throws(() => lettersBuilder("", []).prepare(input, {}), { code: "bad_request", message: /suffix/ });
});

for (const [name, { template, control }] of Object.entries(FAMILIES)) {
  Deno.test(`Nothing that a caller writes speaks the model's control language: ${name}`, () => {
    const builder = lettersBuilder(template, control);
    const builtIn = control.length === 0 ? ["<tool_call>"] : control;
    const hostile = lettersBuilder(template, builtIn);
    const ask = (write: (text: string) => string): ChatInput => {
      const tools: Tool[] = [{
        name: "weather",
        description: write("Weather"),
        parameters: { type: "object", properties: { [write("city")]: { enum: [write("a")], title: write("b") } } },
      }];
      return {
        kind: "chat",
        tools,
        messages: [
          { role: "system", content: write("Be kind") },
          { role: "user", content: write("Hi") },
          {
            role: "assistant",
            content: write("So"),
            reasoning: write("think"),
            tool_calls: [{
              id: write("1"),
              name: write("weather"),
              arguments: JSON.stringify({ [write("c")]: [write("d")] }),
            }],
          },
          { role: "tool", content: write("rain"), tool_call_id: write("1"), name: write("weather") },
          { role: "user", content: write("And?") },
        ],
      };
    };
    const controls = (input: ChatInput) => hostile.prepare(input, {}).tokens.filter((token) => token < 0);
    const expected = controls(ask((text) => text));
    const piece = fc.constantFrom(...builtIn, "\uFDD0", "\uFDD1", "\uFDD00\uFDD1", "x", " ", "<|", "|>", '"', "\\");
    fc.assert(
      fc.property(fc.array(piece, { minLength: 1, maxLength: 5 }), (pieces) => {
        const input = ask((text) => text + pieces.join(""));
        assert.deepEqual(controls(input), expected);
      }),
      { numRuns: 60 },
    );
    assert.ok(builder.prepare(ask((text) => text), {}).tokens.length > 0);
  });
}

function chance(token: string): TokenLogprob {
  return { token, bytes: [...new TextEncoder().encode(token)], logprob: -1, top: [] };
}

Deno.test("AnswerWriter tells how likely the tokens of a text were, and of nothing else", () => {
  const { template, control } = FAMILIES["Qwen 3 that thinks"] ?? assert.fail();
  const prepared = lettersBuilder(template, control).prepare(asked(), {});
  const detokenize = (tokens: readonly number[]) =>
    tokens.filter((token) => token >= 0).map((token) => String.fromCodePoint(token)).join("");
  const write = (answer: string, stop: string[] = []) => {
    const writer = new AnswerWriter({ detokenize, prepared, parameters: { stop } });
    const parts: AnswerPart[] = [];
    for (const token of tokensOf(answer, control)) {
      const written = token < 0 ? control[-1 - token] ?? "" : String.fromCodePoint(token);
      const pushed = writer.push(token, chance(written));
      parts.push(...pushed.parts);
      if (pushed.stopped) break;
    }
    parts.push(...writer.flush());
    const texts = parts.flatMap((part) => part.type === "text" ? [part] : []);
    for (const { text, logprobs } of texts) assert.equal(logprobs?.map(({ token }) => token).join(""), text);
    return { text: texts.map(({ text }) => text).join(""), writer };
  };
  assert.equal(write("<think>So and so</think>So and so it is").text, "So and so it is");
  assert.equal(write('Yes.\n<tool_call>{"name": "weather", "arguments": {}}</tool_call>').text, "Yes.");
  const { text, writer } = write("Yes and no", [" an"]);
  assert.equal(text, "Yes");
  assert.equal(writer.stopText, " an");
});

Deno.test("TokenChances tells a token once, with the first of its text that is shown", () => {
  const chances = new TokenChances();
  const told = (text: string) => chances.take(text)?.map(({ token }) => token);
  assert.equal(told("x"), undefined);
  for (const token of ["So", " it", " is <", "tool> yes", "!"]) chances.push(chance(token), token);
  assert.deepEqual(told("So it"), ["So", " it"]);
  assert.deepEqual(told(" is"), [" is <"]);
  assert.deepEqual(told(" yes"), ["tool> yes"]);
  assert.deepEqual(told("!"), ["!"]);
  // The bytes of one character.
  chances.push(chance("\uFFFD"), "");
  chances.push(chance("\uFFFD"), "é");
  assert.deepEqual(told("é"), ["\uFFFD", "\uFFFD"]);
  // A token that ends within what is shown, and goes on with it.
  chances.push(chance("ab"), "ab");
  chances.push(chance("c"), "c");
  assert.deepEqual([told("a"), told("bc")], [["ab"], ["c"]]);
  for (const token of ["ab", "bc"]) chances.push(chance(token), token);
  assert.deepEqual([told("a"), told("b"), told("bc")], [["ab"], [], ["bc"]]);
});

Deno.test("AnswerWriter remembers as many tokens as penalties look back", () => {
  const prepared = lettersBuilder("", []).prepare({ kind: "completion", prompt: "abc" }, {});
  const detokenize = (tokens: readonly number[]) => String.fromCodePoint(...tokens);
  for (const [repeat_last_n, recent] of [[0, ""], [2, "cd"], [9, "abcd"]] as const) {
    const writer = new AnswerWriter({ detokenize, prepared, parameters: { repeat_last_n } });
    writer.push("d".codePointAt(0) ?? 0);
    assert.equal(String.fromCodePoint(...writer.recent), recent);
  }
});

Deno.test("A call that must be made is asked with the schema of its arguments", () => {
  const { template, control } = FAMILIES["Hermes and Qwen"] ?? assert.fail();
  const { grammar } = lettersBuilder(template, control).prepare(
    asked({ tools: [WEATHER], tool_choice: "required" }),
    {},
  );
  assert.match(grammar?.gbnf ?? "", /"\\"weather\\""/);
  assert.match(grammar?.gbnf ?? "", /"\\"city\\""/);
});
