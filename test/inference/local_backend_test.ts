import assert from "node:assert/strict";
import type { LocalBackend } from "@ark/node/inference";
import { ArkError } from "@ark/node/protocol";
import { answerOf, asking, backendContract, question } from "./backend_contract.ts";
import { alive, FakeBackend, fakeModel, until } from "./local_fixture.ts";

backendContract("LocalBackend with a fake engine", () => Promise.resolve(new FakeBackend()));

Deno.test("LocalBackend streams every word, with the model's digest and timings", async () => {
  await using fake = new FakeBackend();
  const { events, text } = await answerOf(fake.backend.infer(question("fake", "a b c", { max_tokens: 5 }), asking()));
  assert.equal(text, "w0 w1 w2 w3 w4");
  assert.deepEqual(events[0], { type: "start", model: "fake", digest: "ab".repeat(32), prompt_tokens: 3 });
  const end = events.at(-1);
  assert.ok(end?.type === "end");
  assert.ok(end.timings.load_ms > 0);
  const [warm] = (await answerOf(fake.backend.infer(question("fake", "a", { max_tokens: 1 }), asking()))).events.slice(
    -1,
  );
  assert.ok(warm?.type === "end" && warm.timings.load_ms === 0);
});

Deno.test("LocalBackend tells its worker the request and nothing about who asks", async () => {
  await using fake = new FakeBackend({ workerEnvironment: {} });
  await using logged = new FakeBackend({ threads: 3, contextSize: 77, gpu: "off", vramReserve: 2 ** 31, slots: 3 });
  await answerOf(fake.backend.infer(question("fake", "a"), asking()));
  await answerOf(logged.backend.infer(question("fake", "a", { seed: 1 }), asking({ principal: "secret-principal" })));
  const [start, load, generate] = logged.log();
  assert.deepEqual(load, {
    type: "load",
    binding: null,
    path: "/models/fake.gguf",
    parameters: 1_000,
    context_size: 77,
    threads: 3,
    gpu: "off",
    vram_reserve: 2 ** 31,
    task: "generate",
    slots: 3,
    engine: "auto",
    loras: [],
  });
  const { principal, ...told } = generate ?? assert.fail();
  assert.deepEqual(told, {
    type: "generate",
    id: 1,
    input: { kind: "completion", prompt: "a" },
    parameters: { seed: 1 },
    urgent: true,
  });
  assert.match(String(principal), /^[\w-]{22}$/);
  assert.ok(!JSON.stringify(logged.log()).includes("secret-principal"));
  const allowed = [
    "DENO_",
    "FAKE_",
    "HOME",
    "LANG",
    "LC_ALL",
    "NO_COLOR",
    "PATH",
    "TMPDIR",
    "TZ",
    "XDG_",
    "CUDA_",
    "LD_LIB",
  ];
  for (const name of start?.environment as string[]) {
    assert.ok(allowed.some((prefix) => name.startsWith(prefix)), `${name} reached the worker`);
  }
});

Deno.test("LocalBackend tells the worker whose prompt it is by a label that says nothing else", async () => {
  await using fake = new FakeBackend();
  for (const principal of ["a", "a", "b", "a", "a"]) {
    await answerOf(fake.backend.infer(question("fake", "x", { max_tokens: 1 }), asking({ principal })));
  }
  const [a, , b, ...rest] = fake.log("generate").map(({ principal }) => principal);
  assert.notEqual(a, b);
  assert.deepEqual(rest, [a, a]);
});

Deno.test("LocalBackend stops the worker within a token when the reader leaves", async () => {
  await using fake = new FakeBackend();
  for await (const event of fake.backend.infer(question("fake", "#slow=2", { max_tokens: 900 }), asking())) {
    if (event.type === "text") break;
  }
  await until(() => fake.log("fake:over").length > 0);
  assert.equal(fake.log("cancel").length, 1);
  const [over] = fake.log("fake:over");
  assert.ok(over?.cancelled);
  assert.ok(Number(over?.tokens) < 900, `${over?.tokens} tokens`);
  await until(() => fake.backend.busy === 0);
});

Deno.test("LocalBackend stops the worker when the signal is aborted, and the next in line goes on", async () => {
  await using fake = new FakeBackend();
  const controller = new AbortController();
  const first = fake.backend.infer(
    question("fake", "#slow=2", { max_tokens: 900 }),
    asking({ signal: controller.signal }),
  );
  const iterator = first[Symbol.asyncIterator]();
  await iterator.next();
  const second = answerOf(fake.backend.infer(question("fake", "b", { max_tokens: 2 }), asking()));
  assert.equal(fake.backend.queued, 1);
  controller.abort();
  await assert.rejects(Array.fromAsync({ [Symbol.asyncIterator]: () => iterator }), { code: "cancelled" });
  await second;
  assert.ok(fake.log("fake:over")[0]?.cancelled);
  assert.equal(fake.backend.busy, 0);
});

Deno.test("LocalBackend takes a request out of the line when it is cancelled there", async () => {
  await using fake = new FakeBackend();
  const blocker = await running(fake.backend, "#slow=1");
  const controller = new AbortController();
  const waiting = answerOf(fake.backend.infer(question("fake", "waits"), asking({ signal: controller.signal })));
  assert.equal(fake.backend.queued, 1);
  controller.abort();
  await assert.rejects(waiting, { code: "cancelled" });
  assert.equal(fake.backend.queued, 0);
  await blocker.leave();
  await answerOf(fake.backend.infer(question("fake", "next", { max_tokens: 1 }), asking()));
  assert.ok(!JSON.stringify(fake.log()).includes("waits"));
});

Deno.test("LocalBackend goes on loading when the request that began it is cancelled", async () => {
  await using fake = new FakeBackend();
  const controller = new AbortController();
  const first = answerOf(fake.backend.infer(question("fake", "first"), asking({ signal: controller.signal })));
  controller.abort();
  await assert.rejects(first, { code: "cancelled" });
  await answerOf(fake.backend.infer(question("fake", "second", { max_tokens: 1 }), asking()));
  assert.deepEqual(fake.log("generate").length, 1);
  assert.equal(fake.log("fake:start").length, 1);
});

Deno.test("LocalBackend serves the owner before peers, and each kind in its order", async () => {
  await using fake = new FakeBackend();
  const blocker = await running(fake.backend, "#slow=1");
  const order: string[] = [];
  const all = ["peer 1", "owner 1", "peer 2", "owner 2"].map(async (name) => {
    const priority = name.startsWith("owner") ? "owner" : "peer";
    const options = asking({ priority, principal: name });
    await answerOf(fake.backend.infer(question("fake", name, { max_tokens: 1 }), options));
    order.push(name);
  });
  assert.equal(fake.backend.queued, 4);
  await blocker.leave();
  await Promise.all(all);
  assert.deepEqual(order, ["owner 1", "owner 2", "peer 1", "peer 2"]);
});

Deno.test("LocalBackend refuses who finds the line full, and the owner takes a peer's place", async () => {
  await using fake = new FakeBackend({ maxQueued: 2 });
  const blocker = await running(fake.backend, "#slow=1");
  const ask = (name: string) =>
    answerOf(fake.backend.infer(
      question("fake", name, { max_tokens: 1 }),
      asking({ priority: name.startsWith("owner") ? "owner" : "peer" }),
    )).then(() => "answered", (error: ArkError) => `${error.code} ${Number(error.retryAfterSeconds) >= 1}`);
  const peers = [ask("peer 1"), ask("peer 2")];
  assert.equal(await ask("peer 3"), "busy true");
  const owner = ask("owner 1");
  assert.equal(await peers[1], "busy true");
  const second = ask("owner 2");
  assert.equal(await ask("owner 3"), "busy true");
  await blocker.leave();
  assert.deepEqual(await Promise.all([peers[0], owner, second]), ["busy true", "answered", "answered"]);
  assert.equal(fake.backend.queued, 0);
});

Deno.test("LocalBackend fails only the request whose worker is killed", async () => {
  await using fake = new FakeBackend();
  await answerOf(fake.backend.infer(question("other", "a", { max_tokens: 1 }), asking()));
  const iterator = fake.backend.infer(question("fake", "#slow=1", { max_tokens: 900 }), asking())
    [Symbol.asyncIterator]();
  await iterator.next();
  const waiting = answerOf(fake.backend.infer(question("fake", "waits", { max_tokens: 2 }), asking()));
  const other = answerOf(fake.backend.infer(question("other", "#slow=1", { max_tokens: 50 }), asking()));
  const pid = fake.backend.loaded().find(({ id }) => id === "fake")?.pid ?? 0;
  Deno.kill(pid, "SIGKILL");
  await assert.rejects(Array.fromAsync({ [Symbol.asyncIterator]: () => iterator }), (error) => {
    assert.ok(error instanceof ArkError && error.code === "engine_failed");
    assert.match(error.message, /ended unexpectedly \(signal SIGKILL\)/);
    return true;
  });
  assert.equal((await waiting).text, "w0 w1");
  assert.equal((await other).usage.completion_tokens, 50);
  assert.ok(!alive(pid));
  assert.equal(fake.log("fake:start").length, 3);
});

Deno.test("LocalBackend waits longer after each crash, and forgets them after an answer", async () => {
  await using fake = new FakeBackend();
  const crash = () => answerOf(fake.backend.infer(question("fake", "#crash-after=1"), asking()));
  await assert.rejects(crash(), { code: "engine_failed", retryAfterSeconds: undefined });
  await answerOf(fake.backend.infer(question("fake", "fine", { max_tokens: 1 }), asking()));
  const message = /ended unexpectedly \(exit status 9\)/;
  await assert.rejects(crash(), { message, retryAfterSeconds: undefined });
  await assert.rejects(crash(), { message, retryAfterSeconds: undefined });
  const started = fake.log("fake:start").length;
  await assert.rejects(crash(), { code: "engine_failed", retryAfterSeconds: 1 });
  assert.equal(fake.log("fake:start").length, started, "a process was started though it was too early");
});

Deno.test("LocalBackend says in one sentence why a model cannot be loaded, and the others work", async () => {
  await using fake = new FakeBackend();
  const cases: [string, RegExp][] = [
    ["fail-load", /^The engine cannot load the model: the tensors make no sense$/],
    ["crash-load", /ended unexpectedly \(exit status 9\)/],
  ];
  for (const [model, message] of cases) {
    const ask = () => answerOf(fake.backend.infer(question(model, "a"), asking()));
    await assert.rejects(ask(), { code: "engine_failed", message });
    await assert.rejects(ask(), { code: "engine_failed", message, retryAfterSeconds: 1 });
  }
  await answerOf(fake.backend.infer(question("fake", "a"), asking()));
  assert.equal(fake.log("fake:start").length, 3);
});

Deno.test("LocalBackend gives up a model that never finishes loading", async () => {
  await using fake = new FakeBackend({ workerTimes: { load: 50 } });
  const answer = answerOf(fake.backend.infer(question("hang-load", "a"), asking()));
  await assert.rejects(answer, { code: "engine_failed", message: /took too long to load/ });
  assert.equal(fake.backend.busy, 0);
});

Deno.test("LocalBackend survives a program that is not there", async () => {
  await using fake = new FakeBackend({ workerCommand: ["/no/such/program"] });
  const answer = answerOf(fake.backend.infer(question("fake", "a"), asking()));
  await assert.rejects(answer, { code: "engine_failed", message: /could not be run/ });
});

Deno.test("LocalBackend survives a program that speaks something else, or nothing", async () => {
  for (const args of [["echo", "hello"], ["true"], ["sleep", "60"]]) {
    await using fake = new FakeBackend({ workerCommand: args, workerTimes: { hello: 300 } });
    const answer = answerOf(fake.backend.infer(question("fake", "a"), asking()));
    await assert.rejects(answer, { code: "engine_failed" });
  }
});

Deno.test("LocalBackend ends a worker that sends garbage", async () => {
  await using fake = new FakeBackend();
  const answer = answerOf(fake.backend.infer(question("fake", "#garbage"), asking()));
  await assert.rejects(answer, { code: "engine_failed", message: /not part of its protocol/ });
  await answerOf(fake.backend.infer(question("fake", "a", { max_tokens: 1 }), asking()));
});

Deno.test("LocalBackend ends a worker that does not hear a cancel", async () => {
  await using fake = new FakeBackend({ workerTimes: { cancel: 50 } });
  for await (const event of fake.backend.infer(question("fake", "#hang"), asking())) {
    if (event.type === "start") break;
  }
  const pid = fake.backend.loaded()[0]?.pid ?? 0;
  const next = await answerOf(fake.backend.infer(question("fake", "a", { max_tokens: 1 }), asking()));
  assert.equal(next.text, "w0");
  assert.ok(!alive(pid));
});

Deno.test("LocalBackend passes on what the engine says of a request, and the worker stays", async () => {
  await using fake = new FakeBackend({ contextSize: 3 });
  const long = answerOf(fake.backend.infer(question("fake", "a b c"), asking()));
  await assert.rejects(long, { code: "context_exceeded", message: /3 tokens and the context 3/ });
  const failing = answerOf(fake.backend.infer(question("fake", "#fail-after=1"), asking()));
  await assert.rejects(failing, { code: "engine_failed", message: "The fake failed as it was told" });
  await answerOf(fake.backend.infer(question("fake", "a"), asking()));
  assert.equal(fake.log("fake:start").length, 1);
});

Deno.test("LocalBackend makes room by the model that was used least recently and is idle", async () => {
  await using fake = new FakeBackend({ maxLoaded: 2 });
  const ask = (model: string) => answerOf(fake.backend.infer(question(model, "a", { max_tokens: 1 }), asking()));
  const ids = () => fake.backend.loaded().map(({ id }) => id).sort();
  await ask("a");
  await ask("b");
  await ask("a");
  const evicted = fake.backend.loaded().find(({ id }) => id === "b")?.pid ?? 0;
  await ask("c");
  assert.deepEqual(ids(), ["a", "c"]);
  assert.ok(!alive(evicted));
  const blocker = await running(fake.backend, "#slow=1", "a");
  await ask("d");
  assert.deepEqual(ids(), ["a", "d"]);
  await blocker.leave();
});

Deno.test("LocalBackend lets a model wait while all others are at work", async () => {
  await using fake = new FakeBackend({ maxLoaded: 1 });
  const blocker = await running(fake.backend, "#slow=1", "a");
  const waiting = answerOf(fake.backend.infer(question("b", "x", { max_tokens: 1 }), asking()));
  assert.equal(fake.backend.queued, 1);
  assert.deepEqual(fake.backend.loaded().map(({ id, busy }) => [id, busy]), [["a", true]]);
  await blocker.leave();
  await waiting;
  assert.deepEqual(fake.backend.loaded().map(({ id }) => id), ["b"]);
});

Deno.test("LocalBackend loads a file again that changed", async () => {
  let mtimeMs = 1;
  await using fake = new FakeBackend({ catalogue: { find: (ref) => ({ ...fakeModel(ref), mtimeMs }) } });
  await answerOf(fake.backend.infer(question("fake", "a", { max_tokens: 1 }), asking()));
  mtimeMs = 2;
  await answerOf(fake.backend.infer(question("fake", "a", { max_tokens: 1 }), asking()));
  assert.equal(fake.log("fake:start").length, 2);
});

Deno.test("LocalBackend ends everything when it is disposed", async () => {
  const fake = new FakeBackend();
  const iterator = fake.backend.infer(question("fake", "#slow=1", { max_tokens: 900 }), asking())
    [Symbol.asyncIterator]();
  await iterator.next();
  const waiting = answerOf(fake.backend.infer(question("fake", "a"), asking()));
  const loading = answerOf(fake.backend.infer(question("other", "a"), asking()));
  const [pid] = fake.backend.loaded().map((each) => each.pid);
  const ended = [
    assert.rejects(Array.fromAsync({ [Symbol.asyncIterator]: () => iterator }), { code: "cancelled" }),
    assert.rejects(waiting, { code: "cancelled" }),
    assert.rejects(loading, { code: "cancelled" }),
  ];
  await fake[Symbol.asyncDispose]();
  await Promise.all(ended);
  assert.ok(!alive(pid ?? 0));
  assert.deepEqual(fake.backend.loaded(), []);
  await assert.rejects(answerOf(fake.backend.infer(question("fake", "a"), asking())), { code: "unavailable" });
});

Deno.test("LocalBackend gives every slot back, whatever happens to its requests", async () => {
  // An answer for a peer that was set aside waits for as long as the owner keeps the models that he used.
  await using fake = new FakeBackend({ maxLoaded: 2, maxQueued: 20, keepAliveMs: 1_000 });
  const faults = ["", "", "", "#slow=1", "#fail-after=2", "#crash-after=2"];
  // A fixed sequence of choices, so that a failure can be seen again.
  let state = 12345;
  const choose = (count: number) => (state = (state * 1103515245 + 12345) % 2 ** 31) % count;
  const outcomes = new Map<string, number>();
  const one = async (index: number) => {
    const controller = new AbortController();
    const options = asking({
      priority: choose(3) === 0 ? "owner" : "peer",
      principal: `p${choose(4)}`,
      signal: controller.signal,
    });
    const prompt = `${index} ${faults[choose(faults.length)]}`;
    const [some, aborts] = [choose(12), choose(12)];
    // The first of each round has a slot at once, and leaves it.
    const leaves = index % 15 === 0 ? 1 : some;
    let texts = 0;
    let outcome = "left";
    try {
      for await (const event of fake.backend.infer(question(`m${choose(3)}`, prompt, { max_tokens: 8 }), options)) {
        if (event.type === "text" && ++texts === leaves) break;
        if (texts === aborts) controller.abort();
        if (event.type === "end") outcome = "answered";
      }
    } catch (error) {
      outcome = (error as ArkError).code;
    }
    outcomes.set(outcome, (outcomes.get(outcome) ?? 0) + 1);
  };
  for (let round = 0; round < 10; round++) await Promise.all(Array.from({ length: 15 }, (_, i) => one(round * 15 + i)));
  await until(() => fake.backend.busy === 0);
  assert.equal(fake.backend.queued, 0);
  assert.ok(fake.backend.loaded().length <= 2);
  for (const expected of ["answered", "left", "cancelled", "engine_failed"]) {
    assert.ok(outcomes.has(expected), expected);
  }
  assert.ok(!outcomes.has("internal"), JSON.stringify([...outcomes]));
});

Deno.test("LocalBackend hides text of prompts and answers from its log", async () => {
  const lines: string[] = [];
  const log = (message: string, fields?: object) => void lines.push(message + JSON.stringify(fields ?? {}));
  await using fake = new FakeBackend({ logger: { debug: log, info: log, warn: log } });
  await answerOf(fake.backend.infer(question("fake", "secret-prompt", { max_tokens: 2 }), asking()));
  await assert.rejects(answerOf(fake.backend.infer(question("fake", "secret-prompt #crash-after=1"), asking())));
  assert.ok(lines.length >= 2);
  assert.ok(!/secret-prompt|w0/.test(lines.join("\n")), lines.join("\n"));
});

for (const engine of ["fake_worker", "worker_main"]) {
  for (const state of ["busy", "idle"]) {
    Deno.test(`A worker (${engine}) dies with its node, also when the node is killed while the worker is ${state}`, async () => {
      const script = new URL("./orphan_main.ts", import.meta.url).pathname;
      const args = ["run", "-A", script, engine, state];
      const node = new Deno.Command(Deno.execPath(), { args, stdout: "piped" }).spawn();
      const reader = node.stdout.pipeThrough(new TextDecoderStream()).getReader();
      let line = "";
      while (!line.includes("\n")) line += (await reader.read()).value ?? assert.fail("It said no pid");
      const pid = Number(line);
      assert.ok(alive(pid));
      node.kill("SIGKILL");
      await node.status;
      await until(() => !alive(pid));
      await reader.cancel();
    });
  }
}

/** A request that runs, and a way to end it and know that its slot is free. */
async function running(backend: LocalBackend, prompt: string, model = "fake"): Promise<{ leave(): Promise<void> }> {
  const iterator = backend.infer(question(model, prompt, { max_tokens: 900 }), asking())[Symbol.asyncIterator]();
  await iterator.next();
  return {
    async leave() {
      await iterator.return?.();
    },
  };
}
