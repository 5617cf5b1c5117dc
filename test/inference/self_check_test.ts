import assert from "node:assert/strict";
import { CONTEXT_FIELDS, MODEL_FIELDS } from "../../src/inference/worker/native/layouts.ts";
import { likeliest, logSumExp, tokenLogprob } from "../../src/inference/worker/native/likelihoods.ts";
import { LoadProgress } from "../../src/inference/worker/native/load_progress.ts";
import { Complaints } from "../../src/inference/worker/complaints.ts";
import { checkDefaults } from "../../src/inference/worker/native/self_check.ts";
import fc from "fast-check";

/** The defaults of llama.cpp v0.4.0, as it gives them. */
function defaults() {
  const [model, context] = [new Uint8Array(80), new Uint8Array(160)];
  const set = (bytes: Uint8Array, values: [number, number][]) => {
    for (const [at, value] of values) new DataView(bytes.buffer).setInt32(at, value, LITTLE);
  };
  set(model, [[MODEL_FIELDS.n_gpu_layers, -1], [MODEL_FIELDS.split_mode, 1], [MODEL_FIELDS.load_mode, -1]]);
  set(model, [[MODEL_FIELDS.lazy_mode, 1]]);
  model[MODEL_FIELDS.booleans + 2] = 1;
  set(context, [[CONTEXT_FIELDS.n_ctx, 512], [CONTEXT_FIELDS.n_batch, 2048], [CONTEXT_FIELDS.n_ubatch, 512]]);
  set(context, [[CONTEXT_FIELDS.n_seq_max, 1], [CONTEXT_FIELDS.n_outputs_max_per_seq, 1]]);
  set(context, [[CONTEXT_FIELDS.n_threads, 4], [CONTEXT_FIELDS.n_threads_batch, 4]]);
  set(context, [[CONTEXT_FIELDS.pooling_type, -1], [CONTEXT_FIELDS.flash_attn_type, -1]]);
  set(context, [[CONTEXT_FIELDS.type_k, 1], [CONTEXT_FIELDS.type_v, 1]]);
  new DataView(context.buffer).setFloat32(CONTEXT_FIELDS.yarn_ext_factor, -1, LITTLE);
  for (const index of [1, 2, 3, 4]) context[CONTEXT_FIELDS.booleans + index] = 1;
  return { model, context };
}
const LITTLE = true;

Deno.test("checkDefaults() takes the structs of the version that the layouts are of", () => {
  checkDefaults(defaults());
});

Deno.test("checkDefaults() refuses structs in which any field has moved or another value", () => {
  const { progress_callback: _, booleans: modelBooleans, ...model } = MODEL_FIELDS;
  for (const at of [...Object.values(model), modelBooleans, modelBooleans + 5]) {
    const changed = defaults();
    changed.model[at] = (changed.model[at] ?? 0) ^ 1;
    assert.throws(() => checkDefaults(changed), /^Error: llama_model_params has something else/, `${at}`);
  }
  for (const at of Object.values(CONTEXT_FIELDS)) {
    const changed = defaults();
    changed.context[at] = (changed.context[at] ?? 0) ^ 1;
    assert.throws(() => checkDefaults(changed), /^Error: llama_context_params has something else/, `${at}`);
  }
});

Deno.test("tokenLogprob() tells logarithms of probabilities: all together they are one", () => {
  const scores = fc.array(fc.float({ min: -50, max: 50, noNaN: true }), { minLength: 1, maxLength: 60 });
  fc.assert(fc.property(scores, fc.nat(), (values, pick) => {
    const logits = Float32Array.from(values);
    const token = pick % logits.length;
    const bytesOf = (of: number) => new TextEncoder().encode(`t${of}`);
    const told = tokenLogprob(logits, { token, top: logits.length, bytesOf });
    assert.equal(told.token, `t${token}`);
    const sum = told.top.reduce((all, { logprob }) => all + Math.exp(logprob), 0);
    assert.ok(Math.abs(sum - 1) < 1e-4, `${sum}`);
    assert.ok(Math.abs(told.logprob - ((logits[token] ?? 0) - logSumExp(logits))) < 1e-6 || told.logprob === 0);
  }));
});

Deno.test("likeliest() finds the highest scores, like sorting all of them", () => {
  fc.assert(fc.property(fc.array(fc.integer({ min: -3, max: 3 }), { maxLength: 40 }), fc.nat(25), (values, count) => {
    const sorted = values.map((value, token) => ({ value, token })).sort((a, b) =>
      b.value - a.value || a.token - b.token
    );
    assert.deepEqual(likeliest(Float32Array.from(values), count), sorted.slice(0, count).map(({ token }) => token));
  }));
});

Deno.test("LoadProgress counts dots, and hands on what is no chatter", () => {
  const told: number[] = [];
  const heard: string[] = [];
  const complaints = new Complaints();
  complaints.hear = (level, message) => void heard.push(`${level} ${message}`);
  const progress = new LoadProgress(complaints, (fraction) => told.push(fraction));
  progress.hear("info", ".");
  progress.hear("info", "...\n");
  progress.hear("info", "print_info: many things");
  progress.hear("error", "bad file");
  assert.deepEqual(told, [0.01, 0.04]);
  assert.deepEqual(heard, ["error bad file"]);
});
