/**
 * What a lazy grammar allows after some text, with the real libraries: `deno run -A … '{"gbnf":…,"triggers":…,"texts":…}'`
 * prints a line of JSON for each of the texts: the texts of the tokens that may follow, or null where all may.
 */
import { searchBinding } from "../../src/inference/worker/binding.ts";
import { Candidates } from "../../src/inference/worker/native/candidates.ts";
import { Grammar } from "../../src/inference/worker/native/grammar.ts";
import { Libraries } from "../../src/inference/worker/native/libraries.ts";
import { NativeModel } from "../../src/inference/worker/native/native_model.ts";
import { NativeVocabulary } from "../../src/inference/worker/native/native_vocabulary.ts";

const { gbnf, triggers, texts } = JSON.parse(Deno.args[0] ?? "{}");
const { binding } = await searchBinding("off", {});
const libraries = new Libraries(binding.path);
const model = await NativeModel.load(libraries, { path: "test/fixtures/arkling-9m-q4_0.gguf", gpuLayers: 0 });
const vocabulary = new NativeVocabulary(libraries, model);
const candidates = new Candidates(libraries, vocabulary.size);
const allowed = texts.map((text: string) => {
  const grammar = new Grammar(libraries, { grammar: { gbnf, triggers }, vocabulary, candidates });
  for (const token of vocabulary.tokenize(text, { markup: true, continued: true })) grammar.accept(token);
  const { sampler } = grammar;
  if (sampler === null) return null;
  const tokens = Array.from({ length: vocabulary.size }, (_, token) => token);
  const left = tokens.filter((token) => candidates.allows(sampler, token));
  grammar.free();
  return left.map((token) => new TextDecoder().decode(vocabulary.bytes(token, { markup: true })));
});
await Deno.stdout.write(new TextEncoder().encode(`\n${JSON.stringify(allowed)}\n`));
Deno.exit(0);
