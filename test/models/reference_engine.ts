/** Loads a GGUF file in node-llama-cpp itself, and lets it write a few tokens: FILE. Prints how many came. */
import { getLlama } from "node-llama-cpp";

const [modelPath = ""] = Deno.args;
const llama = await getLlama({ gpu: false, build: "never", skipDownload: true, progressLogs: false, maxThreads: 2 });
const model = await llama.loadModel({ modelPath, gpuLayers: 0 });
const context = await model.createContext({ contextSize: 128, threads: 2 });
const sequence = context.getSequence();
let tokens = 0;
for await (const _token of sequence.evaluate(model.tokenize("The sky"), { temperature: 0 })) {
  if (++tokens === 4) break;
}
// deno-lint-ignore no-console
console.log(JSON.stringify({ tokens }));
await llama.dispose();
