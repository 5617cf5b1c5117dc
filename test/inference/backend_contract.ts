/** What every {@linkcode Backend} promises, as tests that any of them can be put through. */
import assert from "node:assert/strict";
import type { Backend, InferOptions } from "@ark/node/inference";
import type { GenerationParameters, InferenceEvent, InferenceRequest, Usage } from "@ark/node/protocol";

/** A backend to test, and a model that it has. */
export interface Subject extends AsyncDisposable {
  readonly backend: Backend;
  readonly model: string;
}

/** An answer, taken apart. */
export interface Answer {
  events: InferenceEvent[];
  text: string;
  usage: Usage;
  finish: string;
}

/** A request to complete a prompt. */
export function question(model: string, prompt: string, parameters: GenerationParameters = {}): InferenceRequest {
  return { model, input: { kind: "completion", prompt }, parameters };
}

/** The owner's options, changed as asked. */
export function asking(options: Partial<InferOptions> = {}): InferOptions {
  return { priority: "owner", principal: "owner", signal: new AbortController().signal, ...options };
}

/** Reads an answer to its end and checks its shape. */
export async function answerOf(events: AsyncIterable<InferenceEvent>): Promise<Answer> {
  const all = await Array.fromAsync(events);
  const [start] = all;
  const end = all.at(-1);
  assert.ok(start?.type === "start" && end?.type === "end", JSON.stringify(all.map(({ type }) => type)));
  const texts = all.slice(1, -1).map((event) => event.type === "text" ? event : assert.fail(event.type));
  const tokens = texts.reduce((sum, each) => sum + each.tokens, 0);
  assert.ok(tokens <= end.usage.completion_tokens);
  assert.equal(end.usage.prompt_tokens, start.prompt_tokens);
  return { events: all, text: texts.map(({ text }) => text).join(""), usage: end.usage, finish: end.finish_reason };
}

/** Adds the tests of the contract for one kind of backend. */
export function backendContract(name: string, open: () => Promise<Subject>): void {
  function contract(sentence: string, check: (subject: Subject) => Promise<void>): void {
    Deno.test(`Backend ${name} ${sentence}`, async () => {
      await using subject = await open();
      await check(subject);
    });
  }

  contract("says what it handles, and finds nothing else", async ({ backend, model }) => {
    assert.ok(backend.handles(model));
    assert.ok(!backend.handles("no-such-model"));
    const events = backend.infer(question("no-such-model", "Hello"), asking());
    await assert.rejects(Array.fromAsync(events), { name: "ArkError", code: "model_not_found" });
  });

  contract("streams start, text and one end", async ({ backend, model }) => {
    const answer = await answerOf(backend.infer(question(model, "The node is", { max_tokens: 8 }), asking()));
    assert.ok(answer.text.length > 0);
    assert.equal(answer.usage.completion_tokens, 8);
    assert.equal(answer.finish, "length");
  });

  contract("answers a chat", async ({ backend, model }) => {
    const input = { kind: "chat", messages: [{ role: "user", content: "Hello there" }] } as const;
    const request: InferenceRequest = { model, input: { ...input, messages: [...input.messages] }, parameters: {} };
    const answer = await answerOf(backend.infer({ ...request, parameters: { max_tokens: 3 } }, asking()));
    assert.equal(answer.usage.completion_tokens, 3);
  });

  contract("does nothing before it is asked for an event", async ({ backend, model }) => {
    backend.infer(question(model, "Hello"), asking());
    const answer = await answerOf(backend.infer(question(model, "Hello", { max_tokens: 2 }), asking()));
    assert.equal(answer.usage.completion_tokens, 2);
  });

  contract("is free again when the reader leaves", async ({ backend, model }) => {
    for (let round = 0; round < 3; round++) {
      for await (const event of backend.infer(question(model, "Hello", { max_tokens: 900 }), asking())) {
        if (event.type === "text") break;
      }
    }
    await answerOf(backend.infer(question(model, "Hello", { max_tokens: 2 }), asking()));
  });

  contract("is cancelled by its signal before, at the start and in the middle", async ({ backend, model }) => {
    for (const at of [undefined, "start", "text"]) {
      const controller = new AbortController();
      if (at === undefined) controller.abort();
      const events = backend.infer(
        question(model, "Hello", { max_tokens: 900 }),
        asking({ signal: controller.signal }),
      );
      await assert.rejects(async () => {
        for await (const event of events) if (event.type === at) controller.abort();
      }, { name: "ArkError", code: "cancelled" });
    }
    await answerOf(backend.infer(question(model, "Hello", { max_tokens: 2 }), asking()));
  });

  contract("answers many at once", async ({ backend, model }) => {
    const answers = await Promise.all(Array.from({ length: 8 }, (_, index) => {
      const principal = `p${index}`;
      const request = question(model, `Number ${index}`, { max_tokens: 4 });
      return answerOf(backend.infer(request, asking({ priority: index % 2 === 0 ? "owner" : "peer", principal })));
    }));
    assert.deepEqual(answers.map(({ usage }) => usage.completion_tokens), Array(8).fill(4));
  });
}
