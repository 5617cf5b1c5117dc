import assert from "node:assert/strict";
import type { InferenceEvent } from "@ark/node/protocol";
import { END, MODEL, ScriptedAnswers, START } from "../api/scripted_answers.ts";
import { vectorOf } from "../../support/fake_answer.ts";
import { ollamaRoutes } from "../../../src/http/ollama/ollama_routes.ts";
import { randomRequests } from "./random_bodies.ts";
import { assertAnswerLines, assertShape } from "./schemas.ts";

const ROUNDS = Deno.env.get("ARK_LONG") === undefined ? 1_000 : 50_000;

/** Answers everything, as long as the question is one that may go to a peer. */
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

Deno.test("ollamaRoutes() answers random bodies in its own shape, right ones with 200 and wrong ones with an error", async () => {
  const seed = 20_260_401;
  const app = ollamaRoutes({ answers: new Willing() });
  const statuses = new Map<number, number>();
  for (
    const [round, { path, body, method, valid }] of randomRequests(seed, { model: MODEL }).take(ROUNDS).toArray()
      .entries()
  ) {
    const at = `seed ${seed}, round ${round}: ${path} ${body.slice(0, 300)}`;
    const response = await app.request(path, { method, body });
    statuses.set(response.status, (statuses.get(response.status) ?? 0) + 1);
    const text = await response.text();
    if (valid) assert.equal(response.status, 200, `${at}: ${text}`);
    if (response.status !== 200) {
      assert.ok([400, 404, 501].includes(response.status), `${response.status} ${at}`);
      assertShape("error", JSON.parse(text));
      continue;
    }
    const lines = text.trimEnd().split("\n").map((line) => JSON.parse(line));
    const kind = path.slice("/api/".length);
    if (kind !== "chat" && kind !== "generate") assertShape(kind, lines[0]);
    else if (lines.length === 1 && ["load", "unload"].includes(lines[0].done_reason)) {
      assertShape(`${kind}Idle`, lines[0]);
    } else assertAnswerLines(kind, lines);
  }
  // Both happen often, or the test shows nothing.
  assert.ok(
    (statuses.get(200) ?? 0) > ROUNDS / 2 && (statuses.get(400) ?? 0) > ROUNDS / 8,
    JSON.stringify([...statuses]),
  );
  assert.equal(({} as { polluted?: boolean }).polluted, undefined);
});
