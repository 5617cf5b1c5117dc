import assert from "node:assert/strict";
import fc from "fast-check";
import { nextStep, type ResidentModel } from "../../src/inference/schedule.ts";

function waiting(...keys: string[]): { key: string }[] {
  return keys.map((key) => ({ key }));
}

function resident(key: string, parts: Partial<ResidentModel> = {}): ResidentModel {
  return { key, phase: "ready", busy: false, lastUsed: 0, ...parts };
}

const TWO = { maxLoaded: 2 };

Deno.test("nextStep() starts, loads, makes room and waits", () => {
  assert.equal(nextStep([], [resident("a")], TWO), null);
  assert.deepEqual(nextStep(waiting("a"), [resident("a")], TWO), { kind: "start", index: 0 });
  assert.equal(nextStep(waiting("a"), [resident("a", { busy: true })], TWO), null);
  assert.deepEqual(nextStep(waiting("a"), [resident("b", { busy: true })], TWO), { kind: "load", index: 0 });
  assert.equal(nextStep(waiting("a"), [resident("a", { phase: "loading", busy: true })], TWO), null);
  const two = [resident("a", { lastUsed: 2 }), resident("b", { lastUsed: 1 })];
  assert.deepEqual(nextStep(waiting("c"), two, TWO), { kind: "evict", key: "b" });
  assert.equal(nextStep(waiting("c"), two.map((each) => ({ ...each, busy: true })), TWO), null);
});

Deno.test("nextStep() lets a request run whose model is free, though others wait before it", () => {
  const models = [resident("a", { busy: true }), resident("b")];
  assert.deepEqual(nextStep(waiting("a", "b"), models, TWO), { kind: "start", index: 1 });
});

Deno.test("nextStep() sends no second model away for one request", () => {
  const models = [resident("a", { phase: "leaving" }), resident("b")];
  assert.equal(nextStep(waiting("c", "c"), models, TWO), null);
  assert.deepEqual(nextStep(waiting("c", "d"), models, TWO), { kind: "evict", key: "b" });
});

Deno.test("nextStep() brings every request to its turn and never loads too many models", () => {
  const keys = fc.array(fc.constantFrom("a", "b", "c", "d"), { minLength: 1, maxLength: 30 });
  fc.assert(fc.property(keys, fc.integer({ min: 1, max: 3 }), (all, maxLoaded) => {
    let line = waiting(...all);
    let models: ResidentModel[] = [];
    let uses = 0;
    for (let turn = 0; line.length > 0; turn++) {
      assert.ok(turn < 500, "it does not come to an end");
      const step = nextStep(line, models, { maxLoaded });
      if (step === null) {
        // Whatever goes on comes to its end: loading, leaving and answering.
        const before = JSON.stringify(models);
        models = models.filter(({ phase }) => phase !== "leaving")
          .map((each) => ({ ...each, phase: "ready", busy: each.phase === "loading" }));
        assert.notEqual(JSON.stringify(models), before, "all wait and nothing goes on");
      } else if (step.kind === "evict") {
        models = models.map((each) => each.key === step.key ? { ...each, phase: "leaving" } : each);
      } else {
        const key = line[step.index]?.key ?? assert.fail();
        line = line.filter((_, index) => index !== step.index);
        const fresh = resident(key, {
          busy: true,
          lastUsed: ++uses,
          phase: step.kind === "load" ? "loading" : "ready",
        });
        models = [...models.filter((each) => each.key !== key || each.phase === "leaving"), fresh];
      }
      assert.ok(models.length <= maxLoaded);
    }
  }));
});
