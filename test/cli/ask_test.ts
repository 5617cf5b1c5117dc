/** `ark-node ask`: what the question is made of, and how an answer ends. */
import assert from "node:assert/strict";
import { cleanEnvironment, FROM_SOURCE } from "../support/node_process.ts";
import { noPseudoTerminal, PseudoTerminal } from "../support/pseudo_terminal.ts";
import { withDirectory } from "../support/temporary.ts";
import { until } from "../inference/local_fixture.ts";
import { runMain, runPiped } from "./run_main.ts";
import { ScriptedNode } from "./scripted_node.ts";

const CHAT = "/v1/chat/completions";
const reason = await noPseudoTerminal();
// deno-lint-ignore no-console -- a skip says why
if (reason !== null) console.log(`Answers on a terminal are not tested: ${reason}`);

/** An answer as the API streams it. */
function streamed(parts: readonly string[], finish = "stop"): Response {
  const chunks = [
    ...parts.map((content) => ({ choices: [{ delta: { content }, finish_reason: null }] })),
    { choices: [{ delta: {}, finish_reason: finish }] },
    { choices: [], usage: { prompt_tokens: 3, completion_tokens: parts.length, total_tokens: 3 + parts.length } },
  ].map((chunk) => `data: ${JSON.stringify(chunk)}\n\n`).join("");
  return new Response(`${chunks}data: [DONE]\n\n`, {
    headers: { "content-type": "text/event-stream", "x-ark-node": "Cellar", "x-ark-route": "peer" },
  });
}

/** The question that a node was sent. */
function asked({ posted }: ScriptedNode): { role: string; content: string }[] {
  const [path, body] = posted.at(-1) ?? [];
  assert.equal(path, CHAT);
  return (body as { messages: { role: string; content: string }[] }).messages;
}

Deno.test("ask makes one question of files, what is piped in, and words", () =>
  withDirectory(async (directory) => {
    await using node = await ScriptedNode.start({});
    const ask = async (args: string[], piped?: string) => {
      node.answers[CHAT] = streamed(["fine"]);
      const done = await runPiped(["ask", "m", ...args, "--data", node.data], piped === undefined ? {} : { piped });
      assert.deepEqual([done.code, done.stdout], [0, "fine\n"], done.stderr);
      return asked(node);
    };
    await Deno.writeTextFile(`${directory}/a.txt`, "alpha\n");
    await Deno.writeTextFile(`${directory}/b.md`, "```js\nbeta\n```\n");
    assert.deepEqual(await ask(["What", "now?"]), [{ role: "user", content: "What now?" }]);
    assert.deepEqual(await ask([], "  piped question\n"), [{ role: "user", content: "piped question" }]);
    assert.deepEqual(await ask(["-"], "dash\n"), [{ role: "user", content: "dash" }]);
    assert.deepEqual(await ask(["Why?", "--system", "Be brief."], "log line\n"), [
      { role: "system", content: "Be brief." },
      { role: "user", content: "standard input:\n```\nlog line\n```\n\nWhy?" },
    ]);
    // Nothing was piped in: /dev/null, a closed pipe.
    assert.deepEqual(await ask(["Why?"], ""), [{ role: "user", content: "Why?" }]);
    const [{ content } = assert.fail()] = await ask([
      "Compare",
      "-f",
      `${directory}/a.txt`,
      "--file",
      `${directory}/b.md`,
    ], "c");
    assert.equal(
      content,
      "a.txt:\n```\nalpha\n```\n\nb.md:\n````\n```js\nbeta\n```\n````\n\nstandard input:\n```\nc\n```\n\nCompare",
    );
  }));

Deno.test("ask refuses what is no text or too much, in one sentence, and sends nothing", () =>
  withDirectory(async (directory) => {
    await using node = await ScriptedNode.start({});
    const file = async (name: string, bytes: Uint8Array) => {
      await Deno.writeFile(`${directory}/${name}`, bytes);
      return `${directory}/${name}`;
    };
    const png = await file("photo.png", new Uint8Array([0x89, 0x50, 0x4e, 0x47, 13, 10]));
    const pdf = await file("paper.pdf", new TextEncoder().encode("%PDF-1.7"));
    const binary = await file("a.bin", new Uint8Array([65, 0, 66]));
    const latin = await file("latin.txt", new Uint8Array([0x67, 0xfc, 0x6e]));
    const big = await file("big.txt", new Uint8Array(4_000_001).fill(97));
    const wrong: [string[], RegExp][] = [
      [["-f", png], /Cannot ask about .*photo\.png: it is an image, and this node reads text only/],
      [["-f", pdf], /it is a PDF/],
      [["-f", binary], /Cannot ask about .*a\.bin: it is no text/],
      [["-f", latin], /Cannot ask about .*latin\.txt: it is no text in UTF-8/],
      [["-f", big], /There is too much text with .*big\.txt: a question may have 4\.0 MB/],
      [["-f", `${directory}/none`], /Cannot read .*none: there is no such file/],
      [["-f", directory], /Cannot read /],
      [["--seed", "x"], /Flag --seed is a number/],
    ];
    for (const [args, sentence] of wrong) {
      const { code, stdout, stderr } = await runMain(["ask", "m", "Why?", ...args, "--data", node.data]);
      assert.deepEqual([code, stdout], [2, ""], stderr);
      assert.match(stderr, sentence);
      assert.match(stderr, /^ark-node: [^\n]+\n$/, "One line");
    }
    const piped = await runPiped(["ask", "m", "--data", node.data], { piped: new Uint8Array(5_000_000).fill(97) });
    assert.deepEqual([piped.code, piped.stdout], [2, ""]);
    assert.match(piped.stderr, /There is too much text with what is piped in/);
    assert.match((await runPiped(["ask", "m", "--data", node.data], { piped: " \n" })).stderr, /There is no question/);
    assert.deepEqual(node.posted, []);
  }));

Deno.test("ask passes long answers whole, says where one was cut, and is exact for other programs", async () => {
  await using node = await ScriptedNode.start({});
  const parts = Array.from({ length: 5_000 }, (_, number) => `part ${number} \u001b[31m\n`);
  node.answers[CHAT] = streamed(parts);
  const whole = await runMain(["ask", "m", "x", "--data", node.data]);
  assert.equal(whole.stdout, parts.join("") + "\n");
  node.answers[CHAT] = streamed(["cut"], "length");
  assert.match((await runMain(["ask", "m", "x", "--data", node.data])).stderr, /The answer ends here/);
  node.answers[CHAT] = streamed(["a", "b"]);
  const json = JSON.parse((await runMain(["ask", "m", "x", "--json", "--data", node.data])).stdout);
  assert.deepEqual([json.text, json.node, json.route, json.finish_reason, json.usage.completion_tokens], [
    "ab",
    "Cellar",
    "peer",
    "stop",
    2,
  ]);
});

Deno.test({
  name: "ask makes an answer harmless on a terminal, and asks a person for the question",
  ignore: reason !== null,
  async fn() {
    await using node = await ScriptedNode.start({});
    node.answers[CHAT] = streamed(["safe \u001b[2J\u001b]0;owned\u0007 \u202etxt", "\u009b5n end"]);
    await using terminal = new PseudoTerminal([...FROM_SOURCE, "ask", "m", "--data", node.data], {
      columns: 120,
      rows: 24,
      env: cleanEnvironment(),
    });
    await terminal.shows(/Type the question, then Ctrl-D on a line of its own\./);
    await terminal.type("Who are\nyou?\n\u0004");
    await terminal.shows(/safe \\u001b\[2J\\u001b\]0;owned\\u0007 \\u202etxt\\u009b5n end/);
    assert.equal((await terminal.end()).code, 0);
    assert.deepEqual(terminal.screen.strange, []);
    assert.deepEqual(asked(node), [{ role: "user", content: "Who are\nyou?" }]);
  },
});

for (const json of [false, true]) {
  Deno.test({
    name: `Ctrl-C ends an answer here and at the node, and ask ends with 130${json ? ", as JSON" : ""}`,
    ignore: reason !== null,
    async fn() {
      const gone = Promise.withResolvers<void>();
      await using node = await ScriptedNode.start({
        [CHAT]: (request: Request) => endless(request.signal, gone.resolve),
      });
      await using terminal = new PseudoTerminal(
        [...FROM_SOURCE, "ask", "m", "Tell me everything", ...json ? ["--json"] : [], "--data", node.data],
        { columns: 80, rows: 24, env: cleanEnvironment() },
      );
      if (json) await until(() => node.posted.length > 0);
      else await terminal.shows(/on and on/);
      await terminal.type("\u0003");
      assert.equal((await terminal.end()).code, 130);
      assert.match(terminal.screen.text, json ? /"finish_reason": "stopped"/ : /The answer was stopped\./);
      // The node hears of it: it ends the generation as soon as nobody reads.
      await gone.promise;
    },
  });
}

Deno.test("ask says that the node went away in the middle of an answer, and fails", async () => {
  await using node = await ScriptedNode.start({});
  node.answers[CHAT] = new Response('data: {"choices":[{"delta":{"content":"half"}}]}\n\n');
  const { code, stdout, stderr } = await runMain(["ask", "m", "x", "--data", node.data]);
  assert.deepEqual([code, stdout], [1, "half"]);
  assert.match(stderr, /The answer broke off: the node went away; ask again/);
});

/** An answer that goes on until nobody reads it. */
function endless(signal: AbortSignal, gone: () => void): Response {
  let timer: ReturnType<typeof setInterval> | undefined;
  const body = new ReadableStream<Uint8Array>({
    start(controller) {
      const more = new TextEncoder().encode(
        'data: {"choices":[{"delta":{"content":"on and "},"finish_reason":null}]}\n\n',
      );
      timer = setInterval(() => controller.enqueue(more), 20);
      signal.addEventListener("abort", () => clearInterval(timer));
    },
    cancel() {
      clearInterval(timer);
      gone();
    },
  });
  return new Response(body, { headers: { "content-type": "text/event-stream", "x-ark-node": "Cellar" } });
}
