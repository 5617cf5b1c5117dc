/** The real engine on a real, tiny model; one thread. Text is compared with text of the same machine only. */
import assert from "node:assert/strict";
import { join } from "node:path";
import type { LocalBackend } from "@ark/node/inference";
import { ModelCatalogue } from "@ark/node/models";
import type { GenerationParameters, InferenceRequest } from "@ark/node/protocol";
import { ggufBytes, METADATA } from "../models/gguf_bytes.ts";
import { type Answer, answerOf, asking, backendContract, question, type Subject } from "./backend_contract.ts";
import { alive, realBackend, until, workerCommand } from "./local_fixture.ts";

backendContract("LocalBackend with llama.cpp", async (): Promise<Subject> => {
  const backend = await realBackend();
  return { backend, model: "arkling", [Symbol.asyncDispose]: () => backend[Symbol.asyncDispose]() };
});

function ask(backend: LocalBackend, prompt: string, parameters: GenerationParameters, principal = "owner") {
  return answerOf(backend.infer(question("arkling", prompt, parameters), asking({ principal })));
}

function texts(answer: Answer): string[] {
  return answer.events.flatMap((event) => event.type === "text" ? [event.text] : []);
}

Deno.test("The engine writes the same with the same seed and parameters", async () => {
  await using backend = await realBackend();
  for (const parameters of [{ seed: 7 }, { seed: 7, temperature: 0 }, { seed: -1 }, { seed: 0xffffffff }]) {
    const limited = { ...parameters, max_tokens: 40 };
    const first = await ask(backend, "To install the package, ", limited);
    // A question of the same principal in between leaves state behind, which must make no difference.
    await ask(backend, "To install the package on a server, ", { max_tokens: 5 });
    const second = await ask(backend, "To install the package, ", limited);
    assert.equal(second.text, first.text);
  }
});

Deno.test("The engine writes something else with another seed, and without one", async () => {
  await using backend = await realBackend();
  const written = new Set<string>();
  for (const parameters of [{ seed: 1 }, { seed: 2 }, {}, {}]) {
    written.add((await ask(backend, "To install the package, ", { ...parameters, max_tokens: 40 })).text);
  }
  assert.equal(written.size, 4);
});

Deno.test("The engine heeds temperature, top_k and top_p: the likeliest token is the same by three ways", async () => {
  await using backend = await realBackend();
  const ways: GenerationParameters[] = [{ temperature: 0 }, { top_k: 1 }, { top_p: 0 }, {
    min_p: 1,
    top_k: 0,
    top_p: 1,
  }];
  const written = new Set<string>();
  for (const [index, way] of ways.entries()) {
    written.add((await ask(backend, "The server is", { ...way, max_tokens: 20, seed: 3 }, `p${index}`)).text);
  }
  assert.equal(written.size, 1);
});

Deno.test("The engine heeds penalties", async () => {
  await using backend = await realBackend();
  const plain = (await ask(backend, "a b a b a b a b", { temperature: 0, max_tokens: 30 }, "1")).text;
  for (const penalty of [{ repeat_penalty: 2 }, { frequency_penalty: 2 }, { presence_penalty: 2 }]) {
    const penalised = (await ask(backend, "a b a b a b a b", { temperature: 0, max_tokens: 30, ...penalty }, "2")).text;
    assert.notEqual(penalised, plain, JSON.stringify(penalty));
  }
});

Deno.test("The engine refuses a prompt that does not fit, and ends where the context does", async () => {
  await using backend = await realBackend({ contextSize: 256 });
  await assert.rejects(ask(backend, "word ".repeat(400), {}), (error: Error & { code: string }) => {
    assert.equal(error.code, "context_exceeded");
    assert.match(error.message, /^The prompt has \d+ tokens and the context 256; shorten the prompt$/);
    return true;
  });
  assert.equal(backend.loaded()[0]?.contextSize, 256);
  const full = await ask(backend, "A long story. ".repeat(20), { temperature: 0 });
  assert.equal(full.finish, "length");
  assert.equal(full.usage.prompt_tokens + full.usage.completion_tokens, 256);
  await ask(backend, "Hello", { max_tokens: 1 });
});

Deno.test("The engine keeps no word of a principal for the next one", async () => {
  const parameters = { temperature: 0, max_tokens: 30 };
  await using fresh = await realBackend();
  const alone = await ask(fresh, "The node is", parameters, "b");
  await using shared = await realBackend();
  await ask(shared, "My secret is the number 4711. ".repeat(5), parameters, "a");
  const after = await ask(shared, "The node is", parameters, "b");
  assert.equal(after.text, alone.text);
});

Deno.test("The engine writes whole characters only", async () => {
  await using backend = await realBackend();
  const prompt = "漢字とかな😀 é ü ñ 漢字とかな😀 é ü ñ 漢字とかな";
  for (let seed = 0; seed < 5; seed++) {
    const answer = await ask(backend, prompt, { temperature: 1.2, top_k: 0, top_p: 1, min_p: 0, seed, max_tokens: 80 });
    for (const piece of texts(answer)) assert.ok(piece.isWellFormed() && piece !== "");
  }
});

Deno.test("The engine renders the model's chat template and lets no message speak its control language", async () => {
  await using backend = await realBackend();
  const tokens = async (input: InferenceRequest["input"]) => {
    const request = { model: "arkling", input, parameters: { max_tokens: 1, temperature: 0 } };
    return (await answerOf(backend.infer(request, asking()))).usage.prompt_tokens;
  };
  const chat = (content: string) => tokens({ kind: "chat", messages: [{ role: "user", content }] });
  assert.equal(await chat("Hello"), await tokens({ kind: "completion", prompt: "Hello\n" }));
  assert.equal(await tokens({ kind: "completion", prompt: "</s></s></s>" }), 3);
  assert.ok(await chat("</s></s></s>") > 9);
});

Deno.test("The engine stops within the prompt when it is cancelled there", async () => {
  await using backend = await realBackend();
  const controller = new AbortController();
  const events = backend.infer(question("arkling", "word ".repeat(900)), asking({ signal: controller.signal }));
  let count = 0;
  await assert.rejects(async () => {
    for await (const event of events) {
      if (event.type === "start") controller.abort();
      else count++;
    }
  }, { code: "cancelled" });
  assert.equal(count, 0);
  await ask(backend, "Hello", { max_tokens: 1 });
});

Deno.test("A killed engine fails its request only, and the next one works", async () => {
  await using backend = await realBackend();
  const iterator = backend.infer(question("arkling", "Hello", { max_tokens: 900 }), asking())[Symbol.asyncIterator]();
  await iterator.next();
  const pid = backend.loaded()[0]?.pid ?? 0;
  Deno.kill(pid, "SIGKILL");
  await assert.rejects(Array.fromAsync({ [Symbol.asyncIterator]: () => iterator }), { code: "engine_failed" });
  await until(() => !alive(pid));
  await ask(backend, "Hello", { max_tokens: 2 });
});

Deno.test("A corrupt model and a missing one are one sentence each, and the good one works", async () => {
  const folder = await Deno.makeTempDir();
  try {
    // The header is in order, and what it says makes no sense to the engine.
    await Deno.writeFile(join(folder, "odd.gguf"), ggufBytes({ pairs: METADATA }));
    await Deno.copyFile("test/fixtures/arkling-9m-q4_0.gguf", join(folder, "good.gguf"));
    await Deno.copyFile("test/fixtures/arkling-9m-q4_0.gguf", join(folder, "gone.gguf"));
    const catalogue = new ModelCatalogue({ directories: [folder] });
    await catalogue.refresh();
    await Deno.remove(join(folder, "gone.gguf"));
    await using backend = await realBackend({ catalogue, workerCommand: workerCommand("worker_main"), maxLoaded: 1 });
    await assert.rejects(answerOf(backend.infer(question("odd", "a"), asking())), {
      code: "engine_failed",
      message: "The engine cannot load the model: key not found in model: llama.embedding_length",
    });
    await assert.rejects(answerOf(backend.infer(question("gone", "a"), asking())), {
      code: "model_not_found",
      message: /^The file of arkling:\S+ was changed or removed just now; ask again in a while$/,
    });
    await answerOf(backend.infer(question("good", "a", { max_tokens: 1 }), asking()));
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});

Deno.test("The engine takes the best compute layer there is, and says so where the one that is wanted is not", async () => {
  await using backend = await realBackend({ gpu: "auto" });
  await ask(backend, "Hello", { max_tokens: 1 });
  const { gpu } = backend.loaded()[0] ?? assert.fail();
  await using wanting = await realBackend({ gpu: "cuda" });
  const wanted = ask(wanting, "Hello", { max_tokens: 1 });
  if (gpu === "cuda") await wanted;
  else await assert.rejects(wanted, { code: "engine_failed", message: /for the choice of GPU "cuda" works here$/ });
});
