import assert from "node:assert/strict";
import { withUpstreams } from "@ark/node/routing";

Deno.test("withUpstreams() knows that its own engine works on this machine, and says nothing of servers", () => {
  const own = {
    backend: {
      name: "own",
      handles: (model: string) => model === "mine" || model === "both",
      worksHere: () => true,
      infer: () => assert.fail("Nobody is asked"),
      loaded: () => [],
    },
    catalogue: { find: () => undefined, list: () => [] },
  };
  const server = {
    name: "server",
    local: true,
    inFlight: 0,
    roundTripMs: 0,
    handles: (model: string) => model === "theirs" || model === "both",
    infer: () => assert.fail("Nobody is asked"),
    find: () => undefined,
    models: () => [],
  };
  const { backend } = withUpstreams(own, [server]);
  const models = ["mine", "both", "theirs", "nobody's"];
  assert.deepEqual(models.map((model) => backend.worksHere?.(model)), [true, true, false, false]);
  const { backend: bare } = withUpstreams(null, [server]);
  assert.deepEqual(models.map((model) => bare.worksHere?.(model)), [false, false, false, false]);
});
