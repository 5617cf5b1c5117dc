import assert from "node:assert/strict";
import { stripVTControlCharacters } from "node:util";
import type { PairingJson } from "@ark/node/http";
import { until } from "../inference/local_fixture.ts";
import { begin, pairingAt, pairingsAt } from "../mesh/meeting.ts";
import { FIXTURES, MODEL, TestNode } from "../mesh/test_node.ts";
import { NodeProcess } from "../support/node_process.ts";
import { runForPerson, runMain } from "./run_main.ts";

function run(node: TestNode, ...args: string[]) {
  return runMain([...args, "--data", node.data]);
}

Deno.test("Two persons at two terminals pair: words, question, preset, preview, and both are told of the other", async () => {
  await using b = await TestNode.start({ name: "Bea's Ark", models: [FIXTURES] });
  await using a = await TestNode.start({ name: "Al's Ark" });
  const al = runForPerson(["peers", "pair", b.mesh, "--data", a.data]);
  await pairingAt(b);
  const bea = runForPerson(["peers", "pair", "--data", b.data]);
  await al.answer(/or cancel \(c\): $/, "y");
  await bea.answer(/or cancel \(c\): $/, "what?");
  await bea.answer(/or cancel \(c\): $/, "yes");
  const words = (person: typeof al) => /^ {4}(.*[A-Z]{3,}.*)$/m.exec(stripVTControlCharacters(person.screen))?.[1];
  assert.match(words(al) ?? "", /^[A-Z]+( +[A-Z]+){3}$/);
  assert.equal(words(al), words(bea));
  await bea.answer(/What may Al's Ark do here\?[^]*1, 2 or 3 \[1\]: $/, "");
  await bea.answer(/Which models\? \[arkling:9m-q4_0\]: $/, "");
  await bea.answer(
    /Al's Ark may ask arkling:9m-q4_0, one question at a time, until \d+ \w+[^.]*\. It cannot download models\. You can stop this at any moment\.\nIs that right\?[^\n]*: $/,
    "",
  );
  await al.answer(/1, 2 or 3 \[3\]: $/, "");
  await al.answer(/Bea's Ark may not use anything here[^]*Is that right\?[^\n]*: $/, "y");
  assert.deepEqual(await Promise.all([al.finished, bea.finished]), [0, 0], al.screen + bea.screen);
  assert.match(al.screen, /Connected with Bea's Ark\.\n$/);
  assert.match(bea.screen, /Connected with Al's Ark\.\n$/);
  await a.reaches(MODEL);
});

Deno.test("A person who sees other words says so, and the person at the other terminal is told why it ended", async () => {
  await using b = await TestNode.start({ name: "B" });
  await using a = await TestNode.start({ name: "A" });
  const al = runForPerson(["peers", "pair", b.mesh, "--data", a.data]);
  await pairingAt(b);
  const bea = runForPerson(["peers", "pair", a.daemon.id.slice(0, 8), "--data", b.data]);
  await bea.answer(/or cancel \(c\): $/, "d");
  assert.equal(await bea.finished, 1);
  assert.equal(await al.finished, 1);
  assert.match(bea.screen, /You said that the words differ: someone may be in between\. Nothing was allowed/);
  assert.match(al.screen, /The other owner says that the words differ: someone may be in between/);
  const pending = await run(b, "peers", "pending");
  assert.match(
    pending.stdout,
    new RegExp(`${a.daemon.id.slice(0, 8)} +\\S+ \\S+ +shut out for a day: the words differed`),
  );
  assert.equal((await run(b, "peers", "unignore", a.daemon.id.slice(0, 8))).code, 0);
});

Deno.test("A script pairs with --match and --preset, and exits with 1 when the words differ", async () => {
  await using b = await TestNode.start({ name: "B", models: [FIXTURES] });
  await using a = await TestNode.start({ name: "A" });
  assert.match((await run(b, "peers", "pair")).stdout, /^Nobody wants to pair now\. Begin with: ark-node peers pair/);
  const first = await run(a, "peers", "pair", b.mesh, "--json");
  assert.equal(first.code, 0, first.stderr);
  const { words, numbers }: PairingJson = JSON.parse(first.stdout);
  assert.ok(words !== null && numbers !== null);

  for (
    const [flags, sentence] of [
      [["--yes"], /Flag --yes needs --match WORDS/],
      [["--match", "one two"], /Flag --match is 4 words/],
      [["--preset", "king"], /Flag --preset is one of ask, full, none/],
      [["--models", "x"], /Flag --models needs a preset/],
    ] as const
  ) {
    const wrong = await run(b, "peers", "pair", ...flags);
    assert.deepEqual([wrong.code, sentence.test(wrong.stderr)], [2, true], wrong.stderr);
  }
  const [bea, al] = await Promise.all([
    run(b, "peers", "pair", "--match", words.join(" - ").toUpperCase(), "--yes", "--json"),
    run(a, "peers", "pair", b.mesh, "--match", numbers.join(" "), "--preset", "none", "--name", "Cellar"),
  ]);
  assert.deepEqual([bea.code, al.code], [0, 0], bea.stderr + al.stderr);
  assert.equal(JSON.parse(bea.stdout).phase, "connected");
  assert.match(al.stdout, /Cellar may not use anything here.*\n\nConnected with B\.\n$/s);
  assert.deepEqual(b.daemon.book.list().map(({ name, permissions }) => [name, permissions.models_shared]), [["A", [
    MODEL,
  ]]]);

  await using c = await TestNode.start({ name: "C" });
  await begin(c, { address: b.mesh });
  const differ = await run(b, "peers", "pair", c.daemon.id.slice(0, 8), "--match", words.join(" "), "--preset", "full");
  assert.equal(differ.code, 1);
  assert.match(differ.stdout, /You said that the words differ/);
  assert.equal(b.daemon.book.list().length, 1);
});

Deno.test("Ctrl-C while a pairing waits cancels it on both sides", async () => {
  await using b = await TestNode.start({ name: "B" });
  await using a = await NodeProcess.start({ name: "A", args: ["--no-mdns"] });
  const began = await a.json<PairingJson>("peers", "pair", b.mesh);
  const child = new Deno.Command(Deno.execPath(), {
    args: ["run", "-A", "main.ts", "peers", "pair", b.mesh, "--match", began.words?.join(" ") ?? "", "--preset", "none"]
      .concat("--data", a.ready.data),
    stdin: "null",
    stdout: "piped",
    stderr: "null",
  }).spawn();
  const reader = child.stdout.pipeThrough(new TextDecoderStream()).getReader();
  let text = "";
  while (!text.includes("has not compared them yet")) text += (await reader.read()).value ?? "";
  child.kill("SIGINT");
  await pairingAt(b, ({ phase }) => phase === "cancelled");
  for (let step = await reader.read(); !step.done; step = await reader.read()) text += step.value;
  assert.equal((await child.status).code, 1);
  assert.match(text, /You cancelled it\. Nothing was allowed\./);
  assert.ok((await pairingsAt(b)).every(({ phase }) => phase === "cancelled"));
});

Deno.test("peers ignore makes no card any more and can be taken back; it survives a restart", async () => {
  await using b = await TestNode.start({ name: "B" });
  const data = await Deno.makeTempDir({ prefix: "ark-ignore-" });
  try {
    {
      await using a = await TestNode.start({ name: "A", data, peers: [b.mesh] });
      await until(async () => (await run(a, "peers", "pending")).stdout.includes(b.daemon.id.slice(0, 8)));
      assert.equal((await run(a, "peers", "ignore", b.daemon.id.slice(0, 8))).code, 0);
      assert.match((await run(a, "peers", "pending")).stdout, /^No node waits for you\.\n\nID +SINCE +WHY\n/);
    }
    await using a = await TestNode.start({ name: "A", data, peers: [b.mesh] });
    assert.match((await run(a, "peers", "pending")).stdout, /^No node waits for you\.\n\nID +SINCE +WHY\n.* ignored\n/);
    const knock = await b.admin("/peers/pair", { address: a.mesh });
    assert.equal(knock.status, 429);
    assert.deepEqual(await pairingsAt(a), []);
    assert.doesNotMatch(a.log.join("\n"), /wants to pair/);
    assert.equal((await run(a, "peers", "unignore", b.daemon.id.slice(0, 8))).code, 0);
    await until(async () => (await run(a, "peers", "pending")).stdout.includes(b.daemon.id.slice(0, 8)));
    assert.equal((await run(a, "peers", "unignore", b.daemon.id.slice(0, 8))).code, 1);
  } finally {
    await Deno.remove(data, { recursive: true });
  }
});
