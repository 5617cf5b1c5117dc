import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { ModelCatalogue, OwnRecords } from "@ark/node/models";
import { until } from "../inference/local_fixture.ts";
import { cleanEnvironment } from "../support/node_process.ts";
import { withDirectory } from "../support/temporary.ts";
import { ModelServer } from "./model_server.ts";

const PROGRAM = fileURLToPath(new URL("./pull_process.ts", import.meta.url));
const FIXTURE = "test/fixtures/arkling-9m-q4_0.gguf";
const POINTS = Deno.env.get("ARK_LONG") === "1" ? 50 : 5;

function start(root: string, ref: string): Deno.ChildProcess {
  const args = ["run", "-A", "--quiet", PROGRAM, root, ref];
  return new Deno.Command(Deno.execPath(), { args, env: cleanEnvironment(), clearEnv: true, stdin: "null" }).spawn();
}

Deno.test(`A pull whose process is killed at ${POINTS} points goes on from there, and never installs a wrong byte`, async () => {
  const bytes = await Deno.readFile(FIXTURE);
  const digest = createHash("sha256").update(bytes).digest("hex");
  await withDirectory(async (directory) => {
    await using server = ModelServer.start();
    server.files.set("/m.gguf", bytes);
    const root = join(await Deno.realPath(directory), "models");
    await Deno.mkdir(root);
    const ref = `${server.url}/m.gguf#sha256=${digest}`;
    const size = async () => {
      let found = 0;
      for (const path of await below(root)) if (path.endsWith(".part")) found = (await Deno.stat(path)).size;
      return found;
    };
    let here = 0;
    for (let point = 1; point <= POINTS; point++) {
      const share = Math.floor((bytes.length - here) * (0.5 + 2 * Math.random()) / POINTS);
      server.mischief = [{ stallAfter: share }];
      const child = start(root, ref);
      await until(async () => await size() === here + share);
      child.kill("SIGKILL");
      await child.status;
      assert.deepEqual(await ids(root), [], `Killed after ${here + share} bytes, it is a model`);
      const { range } = server.seen.at(-1) ?? assert.fail();
      assert.equal(range, here === 0 ? null : `bytes=${here}-`);
      here += share;
    }
    server.mischief = [];
    const { code } = await start(root, ref).status;
    assert.equal(code, 0);
    assert.equal(server.seen.at(-1)?.range, `bytes=${here}-`);
    assert.equal(server.seen.length, POINTS + 1);
    assert.deepEqual(await ids(root), ["arkling:9m-q4_0"]);
    const files = (await below(root)).filter((path) => !path.endsWith(".json"));
    assert.equal(files.length, 1);
    const installed = await Deno.readFile(files[0] ?? "");
    assert.equal(createHash("sha256").update(installed).digest("hex"), digest);
  });
});

async function ids(root: string): Promise<string[]> {
  const catalogue = new ModelCatalogue({ directories: [root], own: new OwnRecords(root) });
  await catalogue.refresh();
  return catalogue.list().map(({ id }) => id);
}

async function below(directory: string): Promise<string[]> {
  const found: string[] = [];
  for await (const { name, isDirectory } of Deno.readDir(directory)) {
    if (isDirectory) found.push(...await below(join(directory, name)));
    else found.push(join(directory, name));
  }
  return found;
}
