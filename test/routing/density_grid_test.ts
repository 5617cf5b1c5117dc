import assert from "node:assert/strict";
import fc from "fast-check";
import { densityGrid, type GridSource } from "@ark/node/routing";

const GIB = 2 ** 30;
const [A, B] = ["a".repeat(64), "b".repeat(64)];

function node(name: string, changes: Partial<GridSource> = {}): GridSource {
  return {
    kind: "peer",
    name,
    node_id: name,
    state: "ready",
    hardware: null,
    slots: 2,
    running: 0,
    queued: null,
    models: [],
    ...changes,
  };
}

function model(id: string, digest: string | null = null) {
  return { id, digest, size: 100, loaded: false };
}

function warm(id: string, digest: string | null = null) {
  return { ...model(id, digest), loaded: true };
}

Deno.test("densityGrid() counts copies by digest, whatever a node calls the file, and by name where no digest is known", () => {
  const { models } = densityGrid([
    node("own", { kind: "own", models: [warm("llama:8b", A), model("odd")] }),
    node("cellar", { models: [model("fast", A), model("llama:8b", B)] }),
    node("attic", { models: [warm("odd")] }),
  ]);
  assert.deepEqual(
    models.map(({ id, aliases, digest, nodes, copies, loaded }) => ({ id, aliases, digest, nodes, copies, loaded })),
    [
      { id: "llama:8b", aliases: [], digest: B, nodes: ["cellar"], copies: 1, loaded: 0 },
      { id: "llama:8b", aliases: ["fast"], digest: A, nodes: ["own", "cellar"], copies: 2, loaded: 1 },
      { id: "odd", aliases: [], digest: null, nodes: ["own", "attic"], copies: 2, loaded: 1 },
    ],
  );
});

Deno.test("densityGrid() says what is lost with each node; one that takes no work holds nothing", () => {
  const { nodes, totals } = densityGrid([
    node("own", { kind: "own", slots: 4, models: [model("x", A)] }),
    node("cellar", { slots: 1, models: [model("x", A), model("y", B)] }),
    node("asleep", { state: "unreachable", slots: 8, models: [model("y", B), model("z")] }),
    node("server", { kind: "upstream", slots: null, models: [model("w")] }),
    node("attic", { slots: 3 }),
  ]);
  assert.deepEqual(nodes.map(({ name, loss }) => [name, loss.models, loss.capacity_share]), [
    ["own", [], 0.5],
    ["cellar", ["y"], 0.125],
    ["asleep", [], 0],
    ["server", ["w"], null],
    ["attic", [], 0.375],
  ]);
  assert.deepEqual([totals.nodes, totals.ready, totals.models, totals.single_copies, totals.slots], [5, 4, 3, 2, 8]);
});

Deno.test("densityGrid() adds up hardware that is told, and counts the nodes that do not tell it", () => {
  const { totals } = densityGrid([
    node("own", { hardware: { memory: { total: 16 * GIB, free: GIB }, gpu: null } }),
    node("cellar", { hardware: { memory: { total: 32 * GIB, free: GIB }, gpu: { layer: "cuda", memory: 24 * GIB } } }),
    node("attic", { hardware: { memory: null, gpu: { layer: "vulkan", memory: null } } }),
    node("shy"),
    node("gone", { state: "unreachable", hardware: { memory: { total: GIB, free: 0 }, gpu: null } }),
  ]);
  const { gpus, gpu_memory, memory, hardware_unknown } = totals;
  assert.deepEqual({ gpus, gpu_memory, memory, hardware_unknown }, {
    gpus: 2,
    gpu_memory: 24 * GIB,
    memory: 48 * GIB,
    hardware_unknown: 1,
  });
});

Deno.test("densityGrid() is right about what is lost: without that node exactly those models are gone", () => {
  const digests = fc.constantFrom(A, B, null);
  const sources = fc.array(
    fc.record({
      state: fc.constantFrom("ready" as const, "draining" as const, "unreachable" as const),
      slots: fc.option(fc.nat(8)),
      models: fc.array(fc.tuple(fc.constantFrom("p", "q", "r"), digests, fc.boolean()), { maxLength: 5 }),
    }),
    { maxLength: 6 },
  ).map((all) =>
    all.map(({ models, ...rest }, index) =>
      node(`n${index}`, { ...rest, models: models.map(([id, digest, loaded]) => ({ ...model(id, digest), loaded })) })
    )
  );
  fc.assert(fc.property(sources, (all) => {
    const { nodes, models } = densityGrid(all);
    const keys = (grid: typeof models) => new Set(grid.map(({ id, digest }) => digest ?? id));
    for (const [index, { loss }] of nodes.entries()) {
      const rest = keys(densityGrid(all.filter((_, at) => at !== index)).models);
      assert.equal(loss.models.length, keys(models).difference(rest).size);
    }
    const shares = nodes.map(({ loss }) => loss.capacity_share ?? 0).reduce((sum, share) => sum + share, 0);
    assert.ok(shares === 0 || Math.abs(shares - 1) < 1e-9);
  }));
});
