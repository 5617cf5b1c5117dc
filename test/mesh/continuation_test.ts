/** Whole nodes: an answer goes on at another node when whoever writes it fails, and its reader sees one answer. */
import assert from "node:assert/strict";
import { until } from "../inference/local_fixture.ts";
import { auditOf, FIXTURES, MODEL, readStream, TestNode, type TestNodeOptions } from "./test_node.ts";

const WORDS = 24;
const WHOLE = Array.from({ length: WORDS }, (_, index) => `w${index}`).join(" ");

/** A node that asks, and others that have the same model. */
class Grid implements AsyncDisposable {
  readonly a: TestNode;
  readonly others: TestNode[];

  private constructor(a: TestNode, others: TestNode[]) {
    this.a = a;
    this.others = others;
  }

  static async start(
    names: readonly string[],
    { worker = "fake_worker", own = false }: Pick<TestNodeOptions, "worker"> & { own?: boolean } = {},
  ): Promise<Grid> {
    const others = await Promise.all(names.map((name) => TestNode.start({ name, models: [FIXTURES], worker })));
    const peers = others.map(({ mesh }) => mesh);
    const a = await TestNode.start({ name: "A", peers, worker, ...own ? { models: [FIXTURES] } : { role: "gateway" } });
    for (const other of others) {
      await other.approve({ publicKey: a.publicKey, name: "A" }, { max_concurrent_requests: 8 });
      await a.approve({ publicKey: other.publicKey, name: names[others.indexOf(other)] ?? "" });
    }
    const grid = new Grid(a, others);
    await grid.known(others.length + (own ? 1 : 0));
    return grid;
  }

  /** Waits until so many have the model, each with its digest: without that nobody can go on for another. */
  known(count: number): Promise<void> {
    return until(async () => {
      const { models } = (await this.a.admin<{ models: { id: string; digest: string | null }[] }>("/models")).body;
      return models.filter(({ id, digest }) => id === MODEL && digest !== null).length === count;
    });
  }

  /** The node with a name. */
  node(name: string | null): TestNode {
    const found = [this.a, ...this.others].find(({ daemon }) => labelOf(this, daemon.id) === name);
    assert.ok(found !== undefined, `There is no ${name}`);
    return found;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const node of [this.a, ...this.others]) await node[Symbol.asyncDispose]();
  }
}

const NAMES = ["B", "C", "D"];

function labelOf({ a, others }: Grid, id: string): string | undefined {
  return a.daemon.id === id ? "A" : NAMES[others.findIndex(({ daemon }) => daemon.id === id)];
}

/** Kills the process that writes a node's answers. */
function killWorker(node: TestNode): void {
  for (const { pid } of node.daemon.engine?.backend.loaded() ?? []) Deno.kill(pid, "SIGKILL");
}

/** Asks for a stream, does something once so many parts were read, and reads the rest. */
async function disturbed(
  grid: Grid,
  { after, what, body = {} }: {
    after: number;
    what: (node: TestNode) => unknown;
    body?: Record<string, unknown>;
  },
): Promise<{ text: string; done: boolean; error: string | null; raw: string }> {
  const response = await grid.a.chat({
    model: MODEL,
    stream: true,
    max_tokens: WORDS,
    messages: [{ role: "user", content: "one two #slow=8" }],
    stream_options: { include_usage: true },
    ...body,
  });
  assert.equal(response.status, 200);
  const writer = grid.node(response.headers.get("x-ark-node"));
  let raw = "";
  let acted = false;
  for await (const text of response.body?.pipeThrough(new TextDecoderStream()) ?? []) {
    raw += text;
    if (acted || (raw.match(/"content":"[^"]/g)?.length ?? 0) < after) continue;
    acted = true;
    await what(writer);
  }
  assert.ok(acted, "It ended before it was disturbed");
  return { ...await readStream(new Response(raw)), raw };
}

function usageOf(raw: string): { prompt_tokens: number; completion_tokens: number } {
  const chunks = raw.split("\n").filter((line) => line.startsWith("data: {")).map((line) => JSON.parse(line.slice(6)));
  return chunks.findLast(({ usage }) => usage)?.usage ?? assert.fail("There is no usage");
}

Deno.test("A peer's answer goes on at another peer whose worker lives, at every point of it", async () => {
  await using grid = await Grid.start(["B", "C"]);
  for (const after of [1, 2, 7, 15, 22]) {
    const { text, done, error, raw } = await disturbed(grid, { after, what: killWorker });
    assert.deepEqual({ text, done, error }, { text: WHOLE, done: true, error: null }, `After ${after} parts`);
    const { prompt_tokens, completion_tokens } = usageOf(raw);
    assert.deepEqual([prompt_tokens, completion_tokens], [3, WORDS]);
    assert.doesNotMatch(raw, /"ids"|prompt_ids/);
  }
  assert.ok((await grid.a.admin("/audit/verify")).body.ok);
  await until(() => {
    const out = auditOf(grid.a).filter(({ direction }) => direction === "out");
    return out.filter(({ kind }) => kind === "start").length === out.filter(({ kind }) => kind === "end").length;
  });
});

Deno.test("An answer goes on at another peer when its writer is revoked, paused or stopped", async () => {
  await using grid = await Grid.start(["B", "C", "D"]);
  const { a } = grid;
  const acts = {
    revoked: (node: TestNode) => a.admin("/peers/revoke", { public_key: node.publicKey }),
    "revoked there": (node: TestNode) => node.admin("/peers/revoke", { public_key: a.publicKey }),
    stopped: (node: TestNode) => node.daemon[Symbol.asyncDispose](),
  };
  let left = 3;
  for (const [name, what] of Object.entries(acts).slice(0, 2)) {
    const { text, done, error } = await disturbed(grid, { after: 6, what });
    assert.deepEqual({ text, done, error }, { text: WHOLE, done: true, error: null }, name);
    left--;
    await grid.known(left);
  }
  // Nobody is left to go on: the answer ends with an error, and never silently.
  const { text, done, error } = await disturbed(grid, { after: 6, what: acts.stopped });
  assert.ok(WHOLE.startsWith(text.trimEnd()) && !done && error !== null, JSON.stringify({ text, done, error }));
});

Deno.test("The answer of this node's own engine goes on at a peer when its worker dies", async () => {
  await using grid = await Grid.start(["B"], { own: true });
  // So that it is this node that answers.
  await (await grid.a.chat({ model: MODEL, max_tokens: 1 }, { headers: { "x-ark-local-only": "1" } })).body?.cancel();
  await until(() => (grid.a.daemon.engine?.backend.loaded().length ?? 0) > 0);
  const writers = new Set<string>();
  const { text, done, error } = await disturbed(grid, {
    after: 5,
    what: (node) => {
      writers.add(labelOf(grid, node.daemon.id) ?? "");
      killWorker(node);
    },
  });
  assert.deepEqual({ text, done, error }, { text: WHOLE, done: true, error: null });
  assert.equal(writers.size, 1);
});

Deno.test("An answer goes on at another peer when the process that writes it hangs, and that is no end of that process", async () => {
  await using grid = await Grid.start(["B", "C"]);
  const stopped: number[] = [];
  try {
    const { text, done, error } = await disturbed(grid, {
      after: 6,
      what: (node) => {
        for (const { pid } of node.daemon.engine?.backend.loaded() ?? []) {
          Deno.kill(pid, "SIGSTOP");
          stopped.push(pid);
        }
      },
    });
    assert.deepEqual({ text, done, error }, { text: WHOLE, done: true, error: null });
  } finally {
    for (const pid of stopped) Deno.kill(pid, "SIGCONT");
  }
});

Deno.test("With the real engine an answer goes on from the tokens that were shown, in the same number of them", async () => {
  await using grid = await Grid.start(["B", "C"], { worker: "worker_main" });
  const body = { messages: [{ role: "user", content: "Tell me of the sea" }], temperature: 0, max_tokens: 200 };
  const undisturbed = await readStream(await grid.a.chat({ model: MODEL, stream: true, ...body }));
  assert.ok(undisturbed.done);
  const { text, done, error, raw } = await disturbed(grid, { after: 4, what: killWorker, body });
  assert.deepEqual({ done, error }, { done: true, error: null });
  const { completion_tokens } = usageOf(raw);
  // Reading and writing differ in the last bits, so that the rest may differ; its beginning and its length may not.
  const common = [...text].findIndex((character, at) => character !== undisturbed.text[at]);
  assert.ok(common < 0 || common > 4, `It differs from character ${common} on`);
  assert.ok(completion_tokens > 0 && completion_tokens <= 200);
});
