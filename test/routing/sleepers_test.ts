import assert from "node:assert/strict";
import type { OfferedModel } from "@ark/node/protocol";
import { type AsleepModel, type Route, Router, type RouteStep, type Sleepers } from "@ark/node/routing";
import { Logger } from "@ark/node/telemetry";
import { asking, question } from "../inference/backend_contract.ts";
import { answerEvents, read, ScriptedPeer, tableOf } from "./scripted_peer.ts";

const logger = new Logger({ write() {} });

/** A router beside one peer that sleeps until it is woken; `wakes` says whether that helps. */
async function scene({ wakes, awake = [] }: { wakes: boolean; awake?: string[] }) {
  const near = new ScriptedPeer("near", awake);
  const nas = new ScriptedPeer("nas", ["big:70b"]);
  const [before, after] = [await tableOf([near]), await tableOf([near, nas])];
  const model = nas.offer.models[0] as OfferedModel;
  const state = { woken: 0, up: false };
  const asleep: AsleepModel = { peer: nas.id, name: "nas", model: { ...model, loaded: false } };
  const sleepers: Sleepers = {
    models: () => state.up ? [] : [asleep],
    wake(which) {
      assert.deepEqual(which, { peer: nas.id, model: "big:70b" });
      state.woken++;
      state.up = wakes;
      return Promise.resolve(wakes);
    },
  };
  const table = () => state.up ? after : before;
  const router = new Router({
    name: "attic",
    local: null,
    table: { list: () => table().list(), offering: (ref) => table().offering(ref) },
    remote: () => ({
      name: "nas",
      handles: () => true,
      async *infer({ model }) {
        yield* answerEvents(model, { words: 2 });
      },
    }),
    sleepers,
    logger,
  });
  return { router, state, id: nas.id };
}

Deno.test("Router.infer() wakes a node for a model that only it has, and says so", async () => {
  const { router, state, id } = await scene({ wakes: true });
  assert.deepEqual(router.models().map(({ id, owner, asleep }) => [id, owner, asleep]), [["big:70b", "nas", true]]);
  assert.ok(router.handles("big"));
  assert.equal(router.asleepWith("big:70b")?.name, "nas");
  const [routes, steps]: [Route[], RouteStep[]] = [[], []];
  const { error } = await read(router.infer(question("big", "Hi", { max_tokens: 2 }), {
    ...asking(),
    chosen: (route) => void routes.push(route),
    step: (step) => void steps.push(step),
  }));
  assert.equal(error, null);
  assert.equal(state.woken, 1);
  assert.deepEqual(routes.map(({ name, peer }) => [name, peer]), [["nas", id]]);
  assert.match(routes[0]?.reason ?? "", /^peer: only this one within reach has the model.*, woken for it$/);
  assert.deepEqual(steps.map(({ type }) => type).slice(0, 4), ["woken", "ranked", "asked", "began"]);
  // It is awake now: nobody is woken, and nothing is said of it.
  await read(
    router.infer(question("big", "Hi", { max_tokens: 2 }), { ...asking(), chosen: (route) => void routes.push(route) }),
  );
  assert.equal(state.woken, 1);
  assert.doesNotMatch(routes[1]?.reason ?? "woken", /woken/);
});

Deno.test("Router.infer() wakes nobody where somebody is awake, the request must stay here, or the key may not use it", async () => {
  const busy = await scene({ wakes: true, awake: ["big:70b"] });
  await read(busy.router.infer(question("big:70b", "Hi", { max_tokens: 2 }), asking()));
  assert.equal(busy.state.woken, 0);
  const { router, state } = await scene({ wakes: true });
  const failure = async (more: Record<string, unknown>) =>
    (await read(router.infer(question("big:70b", "Hi"), { ...asking(), ...more }))).error?.code;
  assert.equal(await failure({ localOnly: true }), "unavailable");
  assert.equal(await failure({ permits: () => 1 > 2 }), "model_not_found");
  assert.equal(await failure({ signal: AbortSignal.abort() }), "cancelled");
  assert.equal((await read(router.infer(question("other:1b", "Hi"), asking()))).error?.code, "model_not_found");
  assert.equal(state.woken, 0);
});

Deno.test("Router.infer() says which node did not wake", async () => {
  const { router } = await scene({ wakes: false });
  const { error } = await read(router.infer(question("big:70b", "Hi"), asking()));
  assert.equal(error?.code, "unavailable");
  assert.match(error?.message ?? "", /^The model 'big:70b' is on nas alone, which sleeps and did not wake/);
});
