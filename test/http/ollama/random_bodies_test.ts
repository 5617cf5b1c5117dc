import assert from "node:assert/strict";
import type { InferenceEvent } from "@ark/node/protocol";
import { ollamaRoutes } from "../../../src/http/ollama/ollama_routes.ts";
import { Random } from "../../fuzz/random.ts";
import { vectorOf } from "../../support/fake_answer.ts";
import { END, MODEL, ScriptedAnswers, START } from "../api/scripted_answers.ts";
import { ScriptedKeeper } from "./asking.ts";
import { OLLAMA } from "./random_bodies.ts";

const ROUNDS = Deno.env.get("ARK_LONG") === "1" ? 50_000 : 3_000;

/** Answers everything. */
class Willing extends ScriptedAnswers {
  constructor() {
    super(() => this.#answer(), [{ id: MODEL }]);
  }

  async *#answer(): AsyncGenerator<InferenceEvent> {
    const { input } = this.asked.pop()?.request ?? assert.fail();
    yield START;
    if (input.kind !== "embed") yield { type: "text", text: "Hi", tokens: 1 };
    else for (const [index, text] of input.texts.entries()) yield { type: "vector", index, values: vectorOf(text) };
    yield END;
  }
}

Deno.test("ollamaRoutes() answers random requests in its own shape, many with 200 and many with an error", async () => {
  const seed = crypto.getRandomValues(new Uint32Array(1))[0] ?? 0;
  const random = new Random(seed);
  const app = ollamaRoutes({ answers: new Willing(), keeper: new ScriptedKeeper() });
  const statuses = new Map<number, number>();
  for (let round = 0; round < ROUNDS; round++) {
    const request = OLLAMA.make(random);
    const { path, method, headers, body } = request;
    if (!path.startsWith("/api/")) continue;
    const response = await app.request(path, { method, headers, body });
    const { status } = response;
    statuses.set(status, (statuses.get(status) ?? 0) + 1);
    try {
      const text = await response.text();
      if (status === 404 && text === "404 Not Found") continue;
      OLLAMA.check({ request, status, headers: response.headers, text });
      assert.ok(status < 500 || status === 501, `${status}: ${text}`);
    } catch (error) {
      throw new Error(`Round ${round} of seed ${seed}: ${JSON.stringify(request).slice(0, 2_000)}`, { cause: error });
    }
  }
  // Both happen often, or the test shows nothing.
  const told = JSON.stringify([...statuses]);
  assert.ok((statuses.get(200) ?? 0) > ROUNDS / 4 && (statuses.get(400) ?? 0) > ROUNDS / 8, told);
  assert.equal(({} as { polluted?: boolean }).polluted, undefined);
});
