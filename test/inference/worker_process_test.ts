import assert from "node:assert/strict";
import { type ArkError, toArkError } from "@ark/node/protocol";
import type { EngineRequest, EngineResult } from "@ark/node/inference";
import { WorkerProcess, type WorkerProcessOptions, type WorkerState } from "../../src/inference/worker_process.ts";
import { workerEnvironment } from "../../src/inference/worker_environment.ts";
import { TINY_LOAD } from "../support/tiny_load.ts";
import { alive, workerCommand } from "./local_fixture.ts";

const FIXTURE = "test/fixtures/arkling-9m-q4_0.gguf";

interface Run extends AsyncDisposable {
  worker: WorkerProcess;
  stop: AbortController;
  ended: Promise<ArkError | null>;
}

function run(
  name: string,
  { path = FIXTURE, command = workerCommand(name), ...options }:
    & { path?: string; command?: string[] }
    & Pick<WorkerProcessOptions, "logger"> = {},
): Run {
  const load = { ...TINY_LOAD, path };
  const worker = new WorkerProcess({
    prepare: () => Promise.resolve({ command, load }),
    environment: workerEnvironment(Deno.env.toObject()),
    ...options,
  });
  const stop = new AbortController();
  const ended = worker.run(stop.signal).then(() => null, toArkError);
  return {
    worker,
    stop,
    ended,
    async [Symbol.asyncDispose]() {
      stop.abort();
      await ended;
    },
  };
}

/** What came of a request, and the pieces of text as the worker sent them. */
type Answer = EngineResult & { text: string; pieces: string[]; tokens: number };

function answer(worker: WorkerProcess, parts: Partial<EngineRequest>): Promise<Answer> {
  const { promise, resolve, reject } = Promise.withResolvers<Answer>();
  const input = { kind: "completion", prompt: "The node is ready to answer a question" } as const;
  const pieces: string[] = [];
  let tokens = 0;
  worker.answer({ input, parameters: { max_tokens: 10, temperature: 0 }, principal: "a", ...parts }, {
    start() {},
    part(part) {
      if (part.type !== "text") return assert.fail(part.type);
      pieces.push(part.text);
      tokens += part.tokens;
    },
    end: (result) => resolve({ ...result, text: pieces.join(""), pieces, tokens }),
    fail: reject,
  });
  return promise;
}

Deno.test("WorkerProcess goes through its states, and its process is gone at the end", async () => {
  const states: WorkerState[] = [];
  await using running = run("fake_worker");
  const { worker, stop, ended } = running;
  states.push(worker.state);
  await worker.ready;
  states.push(worker.state);
  assert.ok(alive(worker.pid));
  await answer(worker, {});
  stop.abort();
  states.push(worker.state);
  assert.equal(await ended, null);
  states.push(worker.state);
  assert.deepEqual(states, ["starting", "ready", "stopping", "stopped"]);
  assert.ok(!alive(worker.pid));
});

Deno.test("WorkerProcess.run() rejects when the process ends by itself", async () => {
  await using running = run("fake_worker");
  await running.worker.ready;
  Deno.kill(running.worker.pid, "SIGKILL");
  assert.equal((await running.ended)?.code, "engine_failed");
  assert.equal(running.worker.state, "failed");
});

Deno.test("WorkerProcess.run() ends with its process, also where a program that it started has its output open", async () => {
  const [deno = "", ...args] = workerCommand("fake_worker");
  const command = ["/bin/sh", "-c", `sleep 600 & echo "sleeps: $!" >&2; exec "$0" "$@"`, deno, ...args];
  let sleeper = 0;
  const logger = {
    debug: (_: string, { reason = "" }: { reason?: string } = {}) => {
      sleeper ||= Number(/^sleeps: (\d+)$/.exec(reason)?.[1] ?? 0);
    },
  };
  const running = run("fake_worker", { command, logger });
  await running.worker.ready;
  running.stop.abort();
  assert.equal(await running.ended, null);
  assert.ok(alive(sleeper));
  Deno.kill(sleeper, "SIGKILL");
});

Deno.test("WorkerProcess.ready rejects when the worker is stopped before it is ready", async () => {
  await using running = run("fake_worker", { path: "/models/hang-load.gguf" });
  running.stop.abort();
  await assert.rejects(running.worker.ready, { code: "cancelled" });
  assert.equal(await running.ended, null);
});

Deno.test("WorkerProcess.answer() takes one request at a time", async () => {
  await using running = run("fake_worker");
  assert.throws(() => answer(running.worker, {}), TypeError);
  await running.worker.ready;
  const first = answer(running.worker, {});
  assert.throws(() => answer(running.worker, {}), TypeError);
  await first;
});

Deno.test("The engine computes only what is new for the same principal, and all for another", async () => {
  await using running = run("worker_main");
  const { worker } = running;
  await worker.ready;
  const reused: number[] = [];
  let prompt = 0;
  const texts = new Set<string>();
  for (const parts of [{}, {}, { principal: "b" }, { principal: "b" }]) {
    const result = await answer(worker, parts);
    reused.push(result.usage.cached_tokens);
    texts.add(result.text);
    prompt = result.usage.prompt_tokens;
  }
  assert.deepEqual(reused, [0, prompt - 1, 0, prompt - 1]);
  assert.equal(texts.size, 1);
  const seeded = await answer(worker, { principal: "b", parameters: { max_tokens: 1, seed: 1 } });
  assert.equal(seeded.usage.cached_tokens, 0);
});

Deno.test("The engine erases another principal's state even when the request itself is refused", async () => {
  await using running = run("worker_main");
  const { worker } = running;
  await worker.ready;
  await answer(worker, {});
  const long = { kind: "completion", prompt: "word ".repeat(900) } as const;
  await assert.rejects(answer(worker, { input: long, principal: "b" }), { code: "context_exceeded" });
  assert.equal((await answer(worker, {})).usage.cached_tokens, 0);
});

Deno.test("The engine sends each token as it is written, and ends before a stop text, also across tokens", async () => {
  await using running = run("worker_main");
  const { worker } = running;
  await worker.ready;
  const parameters = { temperature: 0, seed: 1, max_tokens: 60 };
  const whole = await answer(worker, { parameters });
  assert.equal(whole.tokens, 60);
  assert.ok(whole.pieces.length >= 55, `60 tokens came in ${whole.pieces.length} pieces`);
  let across = 0;
  for (let i = 5; i + 1 < whole.pieces.length; i++) {
    const [a = "", b = ""] = whole.pieces.slice(i);
    const stop = a.slice(-1) + b.slice(0, 1);
    const at = whole.text.indexOf(stop);
    // Where it is written earlier, that place counts.
    if (at !== whole.pieces.slice(0, i).join("").length + a.length - 1) continue;
    across++;
    const stopped = await answer(worker, { parameters: { ...parameters, stop: ["never there", stop] } });
    assert.equal(stopped.text, whole.text.slice(0, at));
    assert.equal(stopped.finish_reason, "stop");
    assert.equal(stopped.usage.completion_tokens, i + 2);
    if (across === 3) break;
  }
  assert.ok(across > 0, "no stop text lay across two tokens");
  const unstopped = await answer(worker, { parameters: { ...parameters, stop: [whole.text + "x"] } });
  assert.equal(unstopped.text, whole.text, "what was held back is missing");
  assert.equal(unstopped.tokens, 60);
});
