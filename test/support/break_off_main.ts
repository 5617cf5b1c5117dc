/**
 * What becomes of a sequence when a step is broken off, with the real libraries: prints a line of JSON with what each step
 * came to, and whether the scores afterwards are those of a sequence that nothing was broken off of.
 */
import { searchBinding } from "../../src/inference/worker/binding.ts";
import { Candidates } from "../../src/inference/worker/native/candidates.ts";
import { Libraries } from "../../src/inference/worker/native/libraries.ts";
import { NativeContext, NativeModel } from "../../src/inference/worker/native/native_model.ts";
import { NativeVocabulary } from "../../src/inference/worker/native/native_vocabulary.ts";

const { binding } = await searchBinding("off", {});
const libraries = new Libraries(binding.path);
const model = await NativeModel.load(libraries, { path: "test/fixtures/arkling-9m-q4_0.gguf", gpuLayers: 0 });
const context = new NativeContext(libraries, model, { contextSize: 1_024, slots: 2, chunkTokens: 256, threads: 2 });
const candidates = new Candidates(libraries, new NativeVocabulary(libraries, model).size);

function fill(sequence: number, { from, to }: { from: number; to: number }): void {
  context.batch.clear();
  for (let position = from; position < to; position++) {
    context.batch.add(100 + position % 900, { sequence, position, output: position === to - 1 });
  }
}

/** The scores after the last token of the batch. */
function scores(tokens: number): string {
  return candidates.read(libraries.llama.llama_get_logits_ith(context.pointer, tokens - 1)).join();
}

fill(0, { from: 0, to: 100 });
context.decode();
fill(0, { from: 100, to: 300 });
const whole = await context.decodeBeside();
const expected = scores(200);
context.forget(0);

fill(0, { from: 0, to: 100 });
context.decode();
let brokenOff = 0;
for (let turn = 0; turn < 20; turn++) {
  fill(0, { from: 100, to: 300 });
  const beside = context.decodeBeside();
  if (turn % 2 === 1) await new Promise((resolve) => setTimeout(resolve, turn / 8));
  context.breakOff();
  if (await beside) context.forget(0, 100);
  else brokenOff++;
  // Another sequence does not notice.
  fill(1, { from: turn, to: turn + 1 });
  context.decode();
}
fill(0, { from: 100, to: 300 });
const again = await context.decodeBeside();
const same = scores(200) === expected;
await Deno.stdout.write(new TextEncoder().encode(`\n${JSON.stringify({ whole, brokenOff, again, same })}\n`));
Deno.exit(0);
