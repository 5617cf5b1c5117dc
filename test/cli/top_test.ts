/** `ark-node top` as text, as JSON and as a view of the whole terminal. */
import assert from "node:assert/strict";
import { cleanEnvironment, FROM_SOURCE, NodeProcess } from "../support/node_process.ts";
import { noPseudoTerminal, PseudoTerminal } from "../support/pseudo_terminal.ts";
import { until } from "../inference/local_fixture.ts";
import { FIXTURES, MODEL } from "../mesh/test_node.ts";
import { runMain } from "./run_main.ts";
import { ScriptedNode } from "./scripted_node.ts";
import { HOSTILE, peerId, topAnswers } from "./top_answers.ts";

const reason = await noPseudoTerminal();
// deno-lint-ignore no-console -- a skip says why
if (reason !== null) console.log(`The view of the whole terminal is not tested: ${reason}`);
const ignore = reason !== null;

/** A shell that was there before, the program, and what it leaves. */
function topOf(
  data: string,
  { columns, rows, env = {} }: { columns: number; rows: number; env?: Record<string, string> },
) {
  const line = `echo BEFORE; "$@"; code=$?; echo "AFTER $code"; exit $code`;
  return new PseudoTerminal(["sh", "-c", line, "sh", ...FROM_SOURCE, "top", "--data", data], {
    columns,
    rows,
    env: { ...cleanEnvironment(), ...env },
  });
}

/** The terminal is as it was, and the program ended so. */
async function assertRestored(terminal: PseudoTerminal, code: number): Promise<void> {
  const end = await terminal.end();
  const { screen } = terminal;
  assert.deepEqual([end.code, end.echo], [code, true], screen.text);
  assert.deepEqual([screen.alternate, screen.cursor, screen.wraps], [false, true, true]);
  assert.match(screen.text, new RegExp(`BEFORE\n(.*\n)*AFTER ${code}\n`));
  assert.deepEqual(screen.strange, []);
}

Deno.test("top prints one frame where nobody reads along, and JSON", async () => {
  await using node = await ScriptedNode.start(topAnswers(["Cellar", HOSTILE]));
  const text = await runMain(["top", "--data", node.data]);
  assert.equal(text.code, 0, text.stderr);
  assert.doesNotMatch(text.stdout, /(?!\n)\p{C}/u);
  for (
    const part of [
      /^Desk +\d\d:\d\d:\d\d UTC\n/,
      /state +1 fault; 1 of 4 slots busy, 2 waiting; up 100 s/,
      /memory +8\.0 GB of 16\.0 GB free/,
      /loading +big:70b: 40 %/,
      /last minute 3 requests, 1 failed, 90 tokens, first after 120 ms/,
      /fault +The disk is almost full/,
      /key webui +arkling:9m-q4_0 +Cellar +7\+41 +\d+(\.\d)? +5\.\d s/,
      /Cellar +aaaaaaaa +ready +1\.5 ms +1 +0 +arkling/,
      /\\u001b\[31mevil/,
      /you asked arkling:9m-q4_0: Cellar answered with 41 tokens in 2\.0 s/,
    ]
  ) assert.match(text.stdout, part);

  const json = await runMain(["top", "--once", "--json", "--data", node.data]);
  const [line = "", ...more] = json.stdout.trimEnd().split("\n");
  assert.equal(more.length, 0);
  const { node: own, running, peers } = JSON.parse(line);
  assert.deepEqual([own.name, running[0].who, running[0].tokens, peers[1].name], ["Desk", "key webui", 41, HOSTILE]);
  for (const wrong of [["--interval", "0"], ["--interval", "x"], ["now"]]) {
    assert.equal((await runMain(["top", ...wrong, "--data", node.data])).code, 2, wrong.join(" "));
  }
});

for (const [columns, rows] of [[80, 24], [60, 16], [200, 50], [20, 5]] as const) {
  Deno.test({
    name: `top fits a terminal of ${columns} columns and ${rows} lines, whatever peers are called`,
    ignore,
    async fn() {
      const names = ["Cellar", HOSTILE, "地下室のサーバー👩‍👩‍👧‍👦👍🏽🇩🇪", `a${"\u0301".repeat(300)}b`, "x".repeat(300), ""];
      await using node = await ScriptedNode.start(topAnswers(names, `${HOSTILE}:1b`));
      await using terminal = topOf(node.data, { columns, rows });
      await terminal.shows(rows > 6 ? /q quit {3}\? help/ : /Desk/);
      const { screen } = terminal;
      assert.deepEqual([screen.alternate, screen.cursor, screen.wraps, screen.beyond], [true, false, false, 0]);
      assert.deepEqual(screen.strange, []);
      assert.match(screen.lines[0] ?? "", /^Desk/);
      if (rows > 6) assert.match(screen.text, /\n> Cellar/);
      if (columns === 200) {
        assert.match(screen.text, /\\u001b\[31mevil\\u001b\[2J/);
        assert.match(screen.text, /地下室のサーバー/);
        assert.match(screen.text, /NEIGHBOURS {2}6\n/);
      }
      await terminal.type("q");
      await assertRestored(terminal, 0);
      assert.ok(screen.coloured);
    },
  });
}

Deno.test({
  name: "top follows a new size, the keys and a filter, and shows no colours where none are wanted",
  ignore,
  async fn() {
    const names = Array.from({ length: 12 }, (_, number) => `node-${number}`);
    await using node = await ScriptedNode.start(topAnswers(names));
    await using terminal = topOf(node.data, { columns: 100, rows: 30, env: { NO_COLOR: "1" } });
    await terminal.shows(/\n> node-0 /);
    await terminal.type("\u001b[B\u001b[B");
    await terminal.shows(/\n> node-2 /);
    await terminal.type("\u001b[F");
    await terminal.shows(/\n> node-11 /);
    await terminal.resize({ columns: 60, rows: 20 });
    await terminal.shows(/\n> node-11 /);
    assert.equal(terminal.screen.beyond, 0);
    await terminal.type("?");
    await terminal.shows(/ark-node top: keys/);
    await terminal.type("x");
    await terminal.shows(/NEIGHBOURS/);
    await terminal.type("/node-7\r");
    await terminal.shows(/NEIGHBOURS {2}1\n/);
    await terminal.shows(/\n> node-7 /);
    await terminal.shows(/only "node-7"/);

    await terminal.type("r");
    await terminal.shows(/y or n: Revoke node-7\?/);
    await terminal.type("n");
    await terminal.shows(/Nothing was changed/);
    assert.deepEqual(node.posted, []);
    await terminal.type("r");
    await terminal.shows(/y or n: Revoke node-7\?/);
    await terminal.type("y");
    await terminal.shows(/node-7 may do nothing here any more/);
    assert.deepEqual(node.posted, [["/peers/revoke", { node_id: peerId(7) }]]);

    await terminal.type("s");
    await terminal.shows(/This node has nothing that it could/);
    const sharing = { state: "sharing", shares: true, sentence: "Neighbours are served" };
    Object.assign(node.answers["/status"] as object, { sharing });
    await terminal.shows(/sharing +Neighbours are served/);
    await terminal.type("s");
    await terminal.shows(/Pause sharing for an hour\?/);
    await terminal.type("y");
    await terminal.shows(/Sharing is paused for an hour/);
    sharing.state = "paused";
    sharing.sentence = "Paused by you";
    await terminal.shows(/sharing +Paused by you/);
    await terminal.type("s");
    await terminal.shows(/Share again\?/);
    await terminal.type("y");
    await terminal.shows(/Neighbours may use again/);
    assert.deepEqual(node.posted.slice(1), [["/sharing/pause", { for_s: 3_600 }], ["/sharing/resume", {}]]);
    await terminal.type("\u0003");
    await assertRestored(terminal, 130);
    assert.ok(!terminal.screen.coloured);
  },
});

for (const [name, number, code] of [["SIGTERM", 15, 143], ["SIGHUP", 1, 129], ["SIGINT", 2, 130]] as const) {
  Deno.test({
    name: `top gives the terminal back on ${name}`,
    ignore,
    async fn() {
      await using node = await ScriptedNode.start(topAnswers(["Cellar"]));
      await using terminal = new PseudoTerminal([...FROM_SOURCE, "top", "--data", node.data], {
        columns: 80,
        rows: 24,
        env: cleanEnvironment(),
      });
      await terminal.shows(/> Cellar/);
      await terminal.signal(number);
      const end = await terminal.end();
      assert.deepEqual([end.code, end.echo], [code, true]);
      assert.deepEqual([terminal.screen.alternate, terminal.screen.cursor, terminal.screen.wraps], [false, true, true]);
    },
  });
}

Deno.test({
  name: "top gives the terminal back when it fails in a way that it should not",
  ignore,
  async fn() {
    await using node = await ScriptedNode.start(topAnswers(["Cellar"]));
    await using terminal = topOf(node.data, { columns: 80, rows: 24 });
    await terminal.shows(/> Cellar/);
    node.answers["/status"] = { models: null };
    await assertRestored(terminal, 1);
    assert.match(terminal.screen.text, /The command failed in a way that it should not/);
  },
});

Deno.test({
  name: "top watches a real node with a neighbour, pauses it, and ends when the node is killed",
  ignore,
  async fn() {
    const args = ["--no-mdns", "--gpu", "off"];
    await using b = await NodeProcess.start({ name: "Cellar", args: [...args, "--models", FIXTURES] });
    await using a = await NodeProcess.start({ name: "Desk", args: [...args, "--peer", b.ready.mesh] });
    await b.json("peers", "approve", a.ready.public_key, "--name", "Desk");
    await a.json("peers", "approve", b.ready.public_key, "--name", "Cellar");
    await using terminal = topOf(a.ready.data, { columns: 100, rows: 30 });
    await terminal.shows(new RegExp(`> Cellar +${b.id.slice(0, 8)} +ready .* ${MODEL}`));
    const asked = await runMain(["ask", MODEL, "Hello", "--max-tokens", "3", "--data", a.ready.data]);
    assert.equal(asked.code, 0, asked.stderr);
    await terminal.shows(/you asked arkling:9m-q4_0: Cellar answered with 3 tokens/);
    await terminal.shows(/last minute 1 request, 3 tokens/);
    await terminal.type("p");
    await terminal.shows(/Pause Cellar\?/);
    await terminal.type("y");
    await terminal.shows(/> Cellar +\w+ +paused/);
    await until(async () => {
      const { peers } = await a.json<{ peers: { state: string }[] }>("peers", "list");
      return peers[0]?.state === "paused";
    });
    a.kill("SIGKILL");
    await assertRestored(terminal, 3);
    assert.match(terminal.screen.text, /The node went away/);
  },
});
