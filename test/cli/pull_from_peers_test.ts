import assert from "node:assert/strict";
import { Output } from "../../src/cli/output.ts";
import { PullDisplay } from "../../src/cli/pull_display.ts";
import { until } from "../inference/local_fixture.ts";
import { MODEL, Pair } from "../mesh/test_node.ts";
import { runMain } from "./run_main.ts";

Deno.test("models pull --from fetches a model from the peer that it names, and says so where there is none", async () => {
  await using pair = await Pair.start({ permissions: { can_pull_models: true } });
  const { a, b } = pair;
  await until(() => typeof b.daemon.engine?.catalogue.find(MODEL)?.digest === "string");
  const run = (...words: string[]) => runMain(["models", "pull", ...words, "--data", a.data]);
  const missing = await run(MODEL, "--from", "nobody");
  assert.deepEqual([missing.code, missing.stderr], [
    1,
    "ark-node: No approved peer is called \"nobody\": 'ark-node peers' lists them\n",
  ]);
  assert.match((await run("never:1b", "--from", "B")).stderr, /^ark-node: B has no never:1b for this node/);
  const pulled = await run(MODEL, "--from", "B");
  assert.equal(pulled.code, 0, pulled.stderr);
  assert.match(pulled.stdout, /found sha256 [0-9a-f]{12} at B\n/);
  assert.equal(a.daemon.engine?.catalogue.find(MODEL)?.source, "own");
});

Deno.test("PullDisplay shows who gives how much", () => {
  let text = "";
  const stdout = {
    isTerminal: () => true,
    writeSync: (bytes: Uint8Array) => (text += new TextDecoder().decode(bytes), bytes.length),
  };
  const display = new PullDisplay(new Output({ stdout, stderr: stdout, columns: () => 160 }), () => 0);
  const source = (name: string, share: number) => ({ name, share, speed: share * 1e6 });
  const sources = [source("attic", 0.6), source("hf.co", 0.4)];
  display.show({ status: "pulling abc", total: 200e6, completed: 100e6, speed: 1e6, sources });
  assert.match(text, /50 % .*\(attic 60 %, hf\.co 40 %\)/);
  const many = Array.from({ length: 6 }, (_, index) => source(`p${index}`, 1 / 6));
  display.show({ status: "pulling abc", total: 200e6, completed: 120e6, speed: 1e6, sources: many });
  assert.match(text, /p3 17 %, 2 more\)/);
  display.end();
});
