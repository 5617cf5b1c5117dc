import assert from "node:assert/strict";
import type { ArkError } from "@ark/node/protocol";
import { ModelCatalogue } from "@ark/node/models";
import { PromptBuilder } from "../../src/inference/worker/prompt.ts";
import { withDirectory } from "../support/temporary.ts";
import { answerOf, asking } from "./backend_contract.ts";
import { alive, realBackend } from "./local_fixture.ts";

const FIXTURE = "test/fixtures/arkling-9m-q4_0.gguf";
const LITTLE_ENDIAN = true;
const MESSAGES = [{ role: "user" as const, content: "Hello" }];

/** What a template gives, as plain text. */
function rendered(template: string): string {
  let text = "";
  const builder = new PromptBuilder({
    template,
    bosText: null,
    eosText: null,
    bos: null,
    controlTexts: [],
    tokenize(piece) {
      text += piece;
      return [1];
    },
  });
  builder.tokens({ kind: "chat", messages: MESSAGES });
  return text;
}

/** Ways out of a template that work in other engines, or would with JavaScript's own objects. */
const WAYS_OUT = [
  "{{ range.constructor('return process')() }}",
  "{{ [].constructor.constructor('return Deno')() }}",
  "{{ messages.__proto__.polluted }}{{ messages.constructor.prototype }}",
  "{% set messages.__proto__.polluted = 'yes' %}",
  "{% set ns = namespace() %}{% set ns.__proto__ = 'yes' %}{% set ns.constructor = 'yes' %}",
  "{{ self._TemplateReference__context.cycler.__init__.__globals__.os.popen('id').read() }}",
  "{{ ''.__class__.__mro__[1].__subclasses__() }}",
  "{{ lipsum.__globals__['os'].system('id') }}",
  "{% include '/etc/passwd' %}",
  "{% import '/etc/passwd' as x %}",
  "{% extends '/etc/passwd' %}",
  "{{ fetch('http://127.0.0.1/') }}",
  "{{ Deno.readTextFileSync('/etc/passwd') }}",
  "{{ globalThis }}{{ process }}{{ Deno }}",
  "{{ raise_exception(messages[0].content) }}",
];

for (const template of WAYS_OUT) {
  Deno.test(`T20: A chat template calls nobody: ${template}`, () => {
    let text = "";
    try {
      text = rendered(`begin${template}end`);
    } catch (error) {
      // A refusal tells nothing of the messages.
      assert.match((error as Error).message, /^The model's chat template/);
      assert.doesNotMatch((error as Error).message, /Hello/);
      return;
    }
    assert.doesNotMatch(text, /root:|uid=|\[object|function|native code|Deno/);
    assert.equal(({} as Record<string, unknown>).polluted, undefined);
  });
}

Deno.test("T20: A chat template that makes a text without bounds is refused", () => {
  const doubled = "{% set ns = namespace(x='aaaaaaaaaaaaaaaa') %}{% for i in range(40) %}{% set ns.x = ns.x + ns.x %}" +
    "{% endfor %}{{ ns.x }}";
  assert.throws(() => rendered(doubled), /^ArkError: The model's chat template/);
  assert.throws(
    () => rendered("{% for i in range(600) %}{{ '" + "y".repeat(20_000) + "' }}{% endfor %}"),
    /far too long/,
  );
});

/** The fixture with another chat template in the place of its own, which is at least as long. */
async function withTemplate(directory: string, template: string): Promise<void> {
  const bytes = await Deno.readFile(FIXTURE);
  const text = new TextDecoder("latin1").decode(bytes);
  const key = "tokenizer.chat_template";
  const at = text.indexOf(key) + key.length + 4;
  const length = new DataView(bytes.buffer).getUint32(at, LITTLE_ENDIAN);
  assert.ok(template.length <= length, `Only ${length} characters fit`);
  bytes.set(new TextEncoder().encode(template.padEnd(length)), at + 8);
  await Deno.writeFile(`${directory}/hostile.gguf`, bytes);
}

Deno.test("T20: An engine whose chat template never ends is ended, and the next question gets a new one", async () => {
  await withDirectory(async (directory) => {
    await withTemplate(directory, "{% for a in range(9999) %}{% for b in range(9999) %}{% endfor %}{% endfor %}");
    const catalogue = new ModelCatalogue({ directories: [directory] });
    await catalogue.refresh();
    await using backend = await realBackend({ catalogue, workerTimes: { tokens: 1_000 } });
    const ask = (input: Parameters<typeof backend.infer>[0]["input"]) =>
      answerOf(backend.infer({ model: "hostile", input, parameters: { max_tokens: 2 } }, asking()));
    const raw = { kind: "completion", prompt: "The node" } as const;
    assert.equal((await ask(raw)).usage.completion_tokens, 2);
    const [before] = backend.loaded();
    await assert.rejects(ask({ kind: "chat", messages: MESSAGES }), (error: ArkError) => {
      assert.equal(error.code, "engine_failed");
      assert.match(error.message, /the model's chat template may not end$/);
      return true;
    });
    assert.ok(!alive(before?.pid ?? 0));
    assert.equal((await ask(raw)).usage.completion_tokens, 2);
  });
});
