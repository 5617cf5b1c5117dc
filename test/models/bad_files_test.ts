import assert from "node:assert/strict";
import { ModelCatalogue, parseGgufHeader, readGgufHeader } from "@ark/node/models";
import { withDirectory } from "../support/temporary.ts";
import { badFiles, mutatedHeader } from "./bad_files.ts";
import { ggufBytes, METADATA } from "./gguf_bytes.ts";

const FIXTURE = "test/fixtures/arkling-9m-q4_0.gguf";
const LONG = Deno.env.get("ARK_LONG") === "1";
/** T19's figure is for all of them together, also those of the fuzzing machine; this is one process. */
const MUTATIONS = LONG ? 2_000_000 : 20_000;
/** Most reads of 256 KiB for a header that is smaller than one. */
const READS = 3;

function parse(bytes: Uint8Array, size: number, onRead: () => void) {
  let at = 0;
  return parseGgufHeader({
    read(buffer) {
      onRead();
      const part = bytes.subarray(at, at + buffer.length);
      buffer.set(part);
      at += part.length;
      return Promise.resolve(part.length === 0 ? null : part.length);
    },
  }, size);
}

for (const { name, pattern, bytes } of badFiles()) {
  Deno.test(`T19: A file is refused in one sentence: ${name} (${pattern})`, async () => {
    await withDirectory(async (directory) => {
      await Deno.writeFile(`${directory}/${name}.gguf`, bytes);
      await assert.rejects(readGgufHeader(`${directory}/${name}.gguf`), SyntaxError);
      const catalogue = new ModelCatalogue({ directories: [directory] });
      await catalogue.refresh();
      assert.deepEqual(catalogue.list(), []);
      const [fault, ...more] = catalogue.faults();
      assert.deepEqual(more, []);
      assert.match(fault?.reason ?? "", /^The file[^\n]*$/);
    });
  });
}

Deno.test("T19: Changed headers never throw anything but a sentence, and never make the parser read on", async () => {
  const pairs: typeof METADATA = [...METADATA, ["general.alignment", { u32: 64 }], ["x.y", { u64: 7n }]];
  const tensors = [
    { name: "a", dimensions: [256, 2], type: 12, offset: 0 },
    { name: "b", dimensions: [32, 2], type: 2, offset: 320 },
  ];
  const base = ggufBytes({ pairs, tensors, alignment: 64 });
  const header = base.subarray(0, base.length - 4096);
  let accepted = 0;
  for (let number = 0; number < MUTATIONS; number++) {
    const changed = mutatedHeader(header, number);
    let reads = 0;
    try {
      await parse(changed, base.length, () => reads++);
      accepted++;
    } catch (error) {
      assert.ok(error instanceof SyntaxError, `${number}: ${error}`);
    }
    assert.ok(reads <= READS, `${number}: ${reads} reads`);
  }
  assert.ok(
    accepted > MUTATIONS / 100 && accepted < MUTATIONS / 2,
    `${accepted} were accepted: the changes say little`,
  );
});

Deno.test("ModelCatalogue.check() meets a file that was exchanged after it was looked at", async () => {
  await withDirectory(async (directory) => {
    const path = `${directory}/a.gguf`;
    await Deno.copyFile(FIXTURE, path);
    const catalogue = new ModelCatalogue({ directories: [directory] });
    await catalogue.refresh();
    const [model] = catalogue.list();
    assert.ok(model !== undefined);
    await catalogue.check(model);

    // The same size and time: only its content tells.
    const { mtime } = await Deno.stat(path);
    const bytes = await Deno.readFile(path);
    bytes.fill(255, 8, 16);
    await Deno.writeFile(path, bytes);
    await Deno.utime(path, mtime ?? 0, mtime ?? 0);
    await assert.rejects(catalogue.check(model), { code: "model_not_found", message: /is no model any more/ });
    await Deno.writeFile(path, bytes.subarray(0, 1_000));
    await assert.rejects(catalogue.check(model), { code: "model_not_found", message: /changed or removed/ });
    await Deno.remove(path);
    await assert.rejects(catalogue.check(model), { code: "model_not_found", message: /changed or removed/ });
  });
});
