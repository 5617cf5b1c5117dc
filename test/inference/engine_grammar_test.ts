import assert from "node:assert/strict";
import type { GenerationParameters } from "@ark/node/protocol";
import { isBounded } from "../../src/inference/worker/native/grammar.ts";
import { EngineWorker } from "../support/engine_worker.ts";

/** JSON without spaces between values, at most some levels deep. */
const JSON_GRAMMAR = `root ::= object
object ::= "{" ( pair ( "," pair )* )? "}"
pair ::= string ":" value
value ::= string | number | array | "true" | "false" | "null"
array ::= "[" ( item ( "," item )* )? "]"
item ::= string | number
string ::= "\\"" [a-z ]{0,8} "\\""
number ::= "-"? ("0" | [1-9] [0-9]{0,3})
`;

function grammar(text: string): Pick<GenerationParameters, "format"> {
  return { format: { kind: "grammar", grammar: text } };
}

Deno.test("The native engine writes nothing but what a grammar allows", async () => {
  await using worker = await EngineWorker.start({ engine: "native", slots: 4 });
  const answers = await Promise.all(
    Array.from({ length: 12 }, (_, seed) => seed).reduce<number[][]>(
      (groups, seed) => {
        const [last] = groups.slice(-1);
        if (last === undefined || last.length === 3) groups.push([seed]);
        else last.push(seed);
        return groups;
      },
      [],
    ).map(async (seeds, group) => {
      const written = [];
      for (const seed of seeds) {
        const parameters = { seed, temperature: seed % 2 === 0 ? 1.5 : 0, max_tokens: 300, ...grammar(JSON_GRAMMAR) };
        written.push(await worker.ask({ prompt: `An object: `, principal: `${group}`, parameters }));
      }
      return written;
    }),
  );
  for (const { text, finish_reason } of answers.flat()) {
    if (finish_reason === "stop") assert.equal(typeof JSON.parse(text), "object", text);
    else assert.match(text, /^\{/);
  }
  assert.ok(answers.flat().some(({ finish_reason }) => finish_reason === "stop"), "no answer came to its end");
  const choice = await worker.ask({ parameters: { max_tokens: 30, ...grammar('root ::= "yes" | "no"') } });
  assert.match(choice.text, /^(yes|no)$/);
  assert.equal(choice.finish_reason, "stop");
});

Deno.test("The native engine ends an answer where the grammar allows no token of the model", async () => {
  await using worker = await EngineWorker.start({ engine: "native" });
  const { text, finish_reason } = await worker.ask({
    parameters: { max_tokens: 9, ...grammar('root ::= "a" [\\x00]') },
  });
  assert.match(text, /^a/);
  assert.equal(finish_reason, "stop");
  await worker.ask({});
});

Deno.test("The native engine refuses a grammar that cannot be read, and no grammar ends it", async () => {
  await using worker = await EngineWorker.start({ engine: "native" });
  const hostile = [
    "",
    "root",
    "root ::=",
    "root ::= other",
    'other ::= "a"',
    "root ::= root",
    'root ::= root "a"',
    'root ::= ("a"',
    'root ::= "a"{1,999999999}',
    "root ::= [",
    'root ::= "\\x"',
    "root ::= <[999999]>",
    "(".repeat(100_000),
    `root ::= ${"(".repeat(90_000)}"a"${")".repeat(90_000)}`,
    Array.from({ length: 60_000 }, (_, index) => `r${index} ::= r${index + 1}`).join("\n"),
    `root ::= r0\n${
      Array.from({ length: 8_000 }, (_, index) => `r${index} ::= r${index + 1}`).join("\n")
    }\nr8000 ::= "a"`,
    "\0",
    'root ::= "\ud800"',
  ];
  for (const text of hostile) {
    const asked = worker.ask({ parameters: { max_tokens: 3, ...grammar(text) } });
    await asked.catch(({ code }) => assert.equal(code, "bad_request", text.slice(0, 60)));
  }
  await worker.ask({});
});

Deno.test("isBounded() refuses what is too deep, too long or has too many rules", () => {
  assert.ok(isBounded(JSON_GRAMMAR));
  assert.ok(!isBounded(" "));
  assert.ok(!isBounded(`root ::= ${"(".repeat(200)}`));
  assert.ok(!isBounded('a ::= "b"\n'.repeat(10_000)));
  assert.ok(!isBounded("a".repeat((1 << 20) + 1)));
});

Deno.test("A lazy grammar holds from the first of its triggers on, wherever tokens end, and is left out where it cannot", async () => {
  const gbnf = 'root ::= "<call>" [0-9]+ "</call>"';
  const texts = [
    "Anything { at <all> (.",
    "Text <call>",
    "Text <call>4",
    "<call>42</call>",
    "Text <call>x",
    "漢字 <call>",
  ];
  const { stdout, success } = await new Deno.Command(Deno.execPath(), {
    args: [
      "run",
      "-A",
      "test/support/lazy_grammar_main.ts",
      JSON.stringify({ gbnf, triggers: ["<call>", "[x]"], texts }),
    ],
    stderr: "null",
  }).output();
  assert.ok(success);
  const [free, begun, digit, over, odd, other] = JSON.parse(
    new TextDecoder().decode(stdout).trim().split("\n").at(-1) ?? "",
  );
  assert.equal(free, null);
  const digits = (tokens: string[]) => tokens.every((token) => /^[0-9]+(<\/?c?)?$/.test(token)) && tokens.length >= 10;
  assert.ok(digits(begun), JSON.stringify(begun));
  assert.ok(digit.includes("<") || digit.includes("</"), JSON.stringify(digit));
  assert.deepEqual(over, ["</s>"]);
  assert.equal(odd, null);
  assert.deepEqual(other, begun);
});
