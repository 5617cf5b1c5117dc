import assert from "node:assert/strict";
import { ArkError, decodeInferenceRequest, type InferenceRequest, LIMITS } from "@ark/node/protocol";
import { mutateJson } from "../mutate.ts";
import { type FuzzTarget, refusedBy } from "../target.ts";

const PARAMETERS = {
  max_tokens: 16,
  temperature: 0.5,
  top_p: 0.9,
  top_k: 40,
  min_p: 0.1,
  seed: 7,
  stop: ["###", "\n"],
  frequency_penalty: -1,
  presence_penalty: 1,
  repeat_penalty: 1.1,
};
const CHAT = { kind: "chat", messages: [{ role: "system", content: "Be brief" }, { role: "user", content: "Why?" }] };
const CORPUS: unknown[] = [
  { model: "llama3.1:8b", input: CHAT, parameters: PARAMETERS },
  { model: "x", input: { kind: "completion", prompt: "Once" }, parameters: {} },
  { model: "x".repeat(200), input: CHAT },
];
const OTHERS = ["user", "num_ctx", "keep_alive", "options", "cache_salt", "id_slot", "raw", "tools", "__proto__", "n"];
const NAMES = [
  ...Object.keys(PARAMETERS),
  "model",
  "input",
  "parameters",
  "kind",
  "messages",
  "prompt",
  "role",
  ...OTHERS,
];

/** A question of a peer's: the allow-list of fields. */
export const inferenceRequest: FuzzTarget<unknown> = {
  name: "inference_request",
  promise:
    "A question is refused as a bad request, or is, field by field, what was sent, with known fields inside limits.",
  corpus: CORPUS,
  covers: ["/src/protocol/"],
  mutate: (random, value) => mutateJson(random, value, NAMES),
  check(value) {
    let read: InferenceRequest;
    try {
      read = decodeInferenceRequest(value);
    } catch (error) {
      assert.ok(!(error instanceof ArkError) || (error.code === "bad_request" && error.message.length < 400));
      return refusedBy(error, ArkError);
    }
    // Nothing is added, dropped or turned into something else on the way.
    assert.deepEqual(read, { parameters: {}, ...(value as object) });
    for (const [name, given] of Object.entries(read.parameters)) {
      assert.ok(Object.hasOwn(PARAMETERS, name), name);
      assert.ok(name === "stop" || Number.isFinite(given));
    }
    assert.ok((read.parameters.stop?.length ?? 0) <= LIMITS.stops && read.model.length <= LIMITS.modelRefLength);
    assert.doesNotMatch(read.model, /[\p{Cc}\p{Cf}\p{Cs}\p{Zl}\p{Zp}]/u);
    assert.deepEqual(decodeInferenceRequest(JSON.parse(JSON.stringify(read))), JSON.parse(JSON.stringify(read)));
    return true;
  },
  show: (value) => JSON.stringify(value) ?? String(value),
};
