/** Whatever an approved provider sends, an app sees OpenAI's chunks or one error. */
import assert from "node:assert/strict";
import { TestNode } from "../mesh/test_node.ts";
import { HostilePeer } from "./hostile_peer.ts";
import { INJECTIONS } from "./injections.ts";

const MODEL = "tiny:1b";
const HEADERS = ["access-control-allow-origin", "content-disposition", "location", "set-cookie", "x-injected"];

// deno-lint-ignore no-explicit-any
type Json = any;

/** Fails where a value has other fields than these. */
function hasOnly(value: Json, names: string[]): void {
  assert.deepEqual(Object.keys(value).filter((name) => !names.includes(name)), []);
}

function isErrorBody(value: Json): void {
  hasOnly(value, ["error"]);
  hasOnly(value.error, ["message", "type", "param", "code"]);
  assert.match(value.error.message, /^[^\r\n]{5,400}$/);
}

function isUsage(value: Json): void {
  hasOnly(value, ["prompt_tokens", "completion_tokens", "total_tokens"]);
  assert.deepEqual([value.prompt_tokens, value.completion_tokens, value.total_tokens], [2, 2, 4]);
}

/** Holds a stream against the schema byte by byte, and returns its text; null where it ends with an error. */
function textOfStream(body: string): string | null {
  // By every client's idea of a line.
  const lines = body.split(/\r\n|[\r\n\u0085\u2028\u2029]/);
  assert.equal(lines.pop(), "");
  let text = "";
  let last = "";
  for (const line of lines) {
    if (line === "" || line === ": keep-alive") continue;
    assert.ok(line.startsWith("data: "), line);
    assert.ok(last !== "error" && last !== "[DONE]", `${line} follows the end`);
    const said = line.slice("data: ".length);
    last = said;
    if (said === "[DONE]") continue;
    const chunk = JSON.parse(said);
    if ("error" in chunk) {
      isErrorBody(chunk);
      last = "error";
      continue;
    }
    hasOnly(chunk, ["id", "object", "created", "model", "choices", "usage"]);
    assert.deepEqual([chunk.object, chunk.model], ["chat.completion.chunk", MODEL]);
    assert.match(chunk.id, /^chatcmpl-[0-9a-zA-Z-]+$/);
    for (const choice of chunk.choices) {
      hasOnly(choice, ["index", "delta", "logprobs", "finish_reason"]);
      hasOnly(choice.delta, ["role", "content"]);
      assert.ok([undefined, "assistant"].includes(choice.delta.role));
      assert.ok([null, "stop", "length"].includes(choice.finish_reason));
      assert.equal(choice.logprobs, null);
      text += choice.delta.content ?? "";
    }
    if (chunk.usage !== undefined && chunk.usage !== null) isUsage(chunk.usage);
  }
  assert.ok(last === "error" || last === "[DONE]", "The stream has an end");
  return last === "error" ? null : text;
}

function textOfWhole(status: number, body: string): string | null {
  const value = JSON.parse(body);
  if (status !== 200) {
    isErrorBody(value);
    return null;
  }
  hasOnly(value, ["id", "object", "created", "model", "choices", "usage", "system_fingerprint"]);
  assert.deepEqual([value.object, value.model, value.choices.length], ["chat.completion", MODEL, 1]);
  hasOnly(value.choices[0], ["index", "message", "logprobs", "finish_reason"]);
  hasOnly(value.choices[0].message, ["role", "content", "refusal"]);
  isUsage(value.usage);
  return value.choices[0].message.content;
}

Deno.test("T27: Of forty injections of a provider an app sees only chunks of the schema, or one error", async () => {
  assert.ok(INJECTIONS.length >= 30);
  await using provider = await HostilePeer.start("evil", { models: [MODEL] });
  await using node = await TestNode.start({ name: "A", peers: [provider.address] });
  await provider.approveBy(node);
  for (const { what, text, make } of INJECTIONS) {
    provider.behaviour = make;
    for (const stream of [true, false]) {
      await node.reaches(MODEL);
      const asked = provider.asked;
      const response = await node.chat({
        model: MODEL,
        stream,
        stream_options: stream ? { include_usage: true } : null,
      });
      const body = await response.text();
      const where = `${what}, ${stream ? "streamed" : "whole"}: ${response.status} ${body.slice(0, 2_000)}`;
      // Where it is the only one it is asked once more, as long as nothing was shown.
      assert.ok(provider.asked === asked + 1 || provider.asked === asked + 2, where);
      for (const name of HEADERS) assert.equal(response.headers.get(name), null, `${name} of ${where}`);
      assert.equal(response.headers.get("x-ark-node") ?? "evil", "evil", where);
      const isStream = response.headers.get("content-type")?.startsWith("text/event-stream") ?? false;
      try {
        assert.equal(isStream, stream && response.status === 200);
        assert.equal(isStream ? textOfStream(body) : textOfWhole(response.status, body), text);
      } catch (error) {
        throw new Error(where, { cause: error });
      }
    }
  }
  assert.equal(({} as Record<string, unknown>).x, undefined);
});
