import assert from "node:assert/strict";
import { Buffer } from "node:buffer";
import { readJson, RequestBodyError } from "../../../src/http/api/request_json.ts";
import { ArkError } from "@ark/node/protocol";
import { mutateBytes } from "../mutate.ts";
import { type FuzzTarget, refusedBy, showBytes, shrinkBytes } from "../target.ts";

const LIMIT = 600;
const TEXTS = [
  '{"model":"llama3.1:8b","messages":[{"role":"user","content":"Why?"}],"max_tokens":16,"temperature":0.5}',
  '{"a":{"b":{"c":[1,2,[3,[4,{"d":null}]]]}},"e":"\\u00e9\\ud83d\\ude00\u00e9","f":-1.5e-3,"g":true}',
  '[[[[[[[[[[[[[[[[[[[["deep"]]]]]]]]]]]]]]]]]]]]',
  '{"__proto__":{"x":1},"constructor":{"prototype":{"x":1}}}',
];

/** A body that an app or a peer sends as JSON. */
export const requestJson: FuzzTarget<Uint8Array> = {
  name: "request_json",
  promise: "A body is refused with a status, or is one JSON value in UTF-8 inside the limit, and no prototype changes.",
  corpus: TEXTS.map((text) => new TextEncoder().encode(text)),
  covers: ["/src/http/api/request_json.ts"],
  mutate: (random, bytes, other) => mutateBytes(random, bytes, other),
  async check(bytes) {
    const headers = { "content-type": "application/json" };
    const request = new Request("http://127.0.0.1/", { method: "POST", headers, body: Uint8Array.from(bytes) });
    let value: unknown;
    try {
      value = await readJson(request, LIMIT);
    } catch (error) {
      if (error instanceof RequestBodyError) assert.ok([400, 413, 415].includes(error.status));
      return refusedBy(error, ArkError);
    } finally {
      assert.equal(({} as Record<string, unknown>).x, undefined);
    }
    assert.ok(bytes.length <= LIMIT);
    const text = Buffer.from(bytes).toString("utf8");
    // A mark of the byte order is no part of the text.
    assert.deepEqual(value, JSON.parse(text.replace(/^\ufeff/, "")));
    assert.ok(Buffer.from(text, "utf8").equals(bytes), "It was no UTF-8");
    return true;
  },
  show: showBytes,
  shrink: shrinkBytes,
};
