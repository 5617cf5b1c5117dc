/** What goes wrong on a real machine: one clear sentence each, and the node lives. */
import assert from "node:assert/strict";
import { alive, until } from "../inference/local_fixture.ts";
import { NodeProcess } from "../support/node_process.ts";
import { fillDisk, withDirectory, withTinyDisk } from "../support/temporary.ts";
import { FIXTURES, MODEL, Pair, readStream, TestNode } from "./test_node.ts";

const SLOW = { model: MODEL, stream: true, max_tokens: 2_000, messages: [{ role: "user", content: "#slow=10" }] };
/** One sentence: a capital, no stack, no second line. */
const SENTENCE = /^[A-Z'][^\n]{10,300}$/;

interface Failure {
  error: { code: string; message: string };
}

async function failureOf(response: Response): Promise<Failure["error"] & { status: number }> {
  const { error } = await response.json() as Failure;
  assert.match(error.message, SENTENCE);
  return { ...error, status: response.status };
}

Deno.test("A killed worker ends its answer with one sentence, and the next question is answered", async () => {
  await using pair = await Pair.start();
  const { a, b } = pair;
  const response = await a.chat(SLOW);
  const [pid] = b.daemon.engine?.backend.loaded().map((model) => model.pid) ?? [];
  assert.ok(pid !== undefined && alive(pid));
  Deno.kill(pid, "SIGKILL");
  const { done, error } = await readStream(response);
  assert.ok(!done);
  assert.match(error ?? "", SENTENCE);
  const next = await a.chat({ model: MODEL, max_tokens: 1 });
  assert.equal(next.status, 200);
  await next.body?.cancel();
});

Deno.test("A killed peer ends its answer with one sentence, and is not asked again until it is back", async () => {
  const data = await Deno.makeTempDir({ prefix: "ark-test-" });
  const args = ["--no-mdns", "--models", FIXTURES];
  await using a = await TestNode.start({ name: "A" });
  {
    await using b = await NodeProcess.start({ name: "B", data, args: [...args, "--peer", a.mesh] });
    await a.approve({ publicKey: b.ready.public_key, name: "B" });
    await b.json("peers", "approve", a.publicKey);
    await a.reaches(MODEL);
    const response = await a.chat({ model: MODEL, stream: true, max_tokens: 2_000, temperature: 1 });
    const reader = response.body?.pipeThrough(new TextDecoderStream()).getReader();
    let text = "";
    while (text.split("\n").length < 6) text += (await reader?.read())?.value ?? "";
    b.kill("SIGKILL");
    for (let step = await reader?.read(); step && !step.done; step = await reader?.read()) text += step.value;
    assert.doesNotMatch(text, /\[DONE\]/);
    const error = text.match(/data: (\{"error".*\})/)?.[1];
    assert.match(JSON.parse(error ?? "{}").error?.message ?? "", SENTENCE);
    await b.ended();
  }
  const gone = await failureOf(await a.chat({ model: MODEL }));
  assert.equal(gone.status, 404);
  assert.match(gone.message, /neither here nor/);
  {
    await using b = await NodeProcess.start({ name: "B", data, args: [...args, "--peer", a.mesh] });
    assert.ok(b.ready.pid > 0);
    await a.reaches(MODEL);
    const response = await a.chat({ model: MODEL, max_tokens: 1 });
    assert.equal(response.status, 200);
    await response.body?.cancel();
  }
  await Deno.remove(data, { recursive: true });
});

Deno.test("A corrupt GGUF file is one sentence, and the others are served", async () => {
  const models = await Deno.makeTempDir({ prefix: "ark-models-" });
  const whole = await Deno.readFile(`${FIXTURES}/arkling-9m-q4_0.gguf`);
  await Deno.writeFile(`${models}/good.gguf`, whole);
  await Deno.writeFile(`${models}/no-gguf.gguf`, new TextEncoder().encode("This is not a model"));
  await Deno.writeFile(`${models}/cut.gguf`, whole.subarray(0, whole.length - 100_000));
  const torn = whole.slice();
  torn.fill(0xff, 100, 20_000);
  await Deno.writeFile(`${models}/torn.gguf`, torn);
  {
    await using node = await TestNode.start({ name: "N", models: [models], worker: "worker_main" });
    await until(async () => (await node.admin<{ faults: unknown[] }>("/models")).body.faults.length >= 2);
    const { body } = await node.admin<{ models: { id: string }[]; faults: { path: string; reason: string }[] }>(
      "/models",
    );
    for (const { reason } of body.faults) assert.match(reason, SENTENCE);
    const statuses: number[] = [];
    for (const { id } of body.models) {
      const response = await node.chat({ model: id, max_tokens: 2 });
      statuses.push(response.status);
      if (response.status === 200) await response.body?.cancel();
      else await failureOf(response);
    }
    assert.ok(statuses.includes(200), "The good one is served");
    const { faults } = (await node.admin<{ faults: string[] }>("/status")).body;
    assert.ok(faults.some((fault) => fault.includes("no-gguf.gguf")));
  }
  await Deno.remove(models, { recursive: true });
});

Deno.test("A node with an empty folder of models says what to do", () =>
  withDirectory(async (models) => {
    await using node = await TestNode.start({ name: "N", models: [models] });
    const error = await failureOf(await node.chat({ model: "llama3" }));
    assert.equal(error.status, 404);
    assert.match(error.message, /no model is available: put a GGUF file/);
    assert.deepEqual((await (await fetch(`${node.api}/v1/models`)).json()).data, []);
    await using missing = await TestNode.start({ name: "M", models: [`${models}/not-there`] });
    const { faults } = (await missing.admin<{ faults: string[] }>("/status")).body;
    assert.match(faults[0] ?? "", /not-there/);
  }));

Deno.test("T30: A full data directory refuses what cannot be recorded, the owner goes on, and it recovers with the disk", () =>
  withTinyDisk(1_024, async (tiny) => {
    await using pair = await Pair.start({ data: `${tiny}/data` });
    const { a, b } = pair;
    const ballast = `${tiny}/ballast`;
    await fillDisk(ballast);
    // The last page of the audit log may hold some entries yet.
    let refused = await a.chat({ model: MODEL, max_tokens: 1 });
    for (let more = 0; more < 40 && refused.status === 200; more++) {
      await refused.body?.cancel();
      refused = await a.chat({ model: MODEL, max_tokens: 1 });
    }
    const error = await failureOf(refused);
    assert.equal(error.status, 503, error.message);
    assert.match(error.message, /cannot record requests now/);
    assert.ok(!error.message.includes(tiny), "A peer learns no paths");
    const runs = b.workerLog();
    assert.equal((await failureOf(await a.chat({ model: MODEL, max_tokens: 1 }))).status, 503);
    assert.equal(b.workerLog(), runs, "What cannot be recorded is not done");
    // The owner's own questions to his own node are no matter of the log.
    const own = await b.chat({ model: MODEL, max_tokens: 1 });
    assert.equal(own.status, 200);
    await own.body?.cancel();
    assert.equal(await fetch(`${b.api}/healthz`).then(async (answer) => (await answer.json()).status), "ok");
    const { faults } = (await b.admin<{ faults: string[] }>("/status")).body;
    assert.match(faults.join("\n"), SENTENCE);
    // An approval that cannot be kept is refused, too, and what was approved stays so.
    const { status, body } = await b.admin("/peers/approve", { public_key: b.publicKey.replace(/.{4}=$/, "AAA=") });
    assert.ok(status >= 400, JSON.stringify(body));

    await Deno.remove(ballast);
    await until(async () => {
      const response = await a.chat({ model: MODEL, max_tokens: 1 });
      await response.body?.cancel();
      return response.status === 200;
    });
  }));

Deno.test("A node that cannot write its data directory does not start, and says why in one sentence", () =>
  withTinyDisk(1_024, async (tiny) => {
    await fillDisk(`${tiny}/ballast`);
    await assert.rejects(TestNode.start({ name: "N", data: `${tiny}/data` }), {
      name: "StartError",
      message: SENTENCE,
    });
  }));
