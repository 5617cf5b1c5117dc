import assert from "node:assert/strict";
import { ArkError } from "@ark/node/protocol";
import { MessageWriter, PING } from "../../../src/http/anthropic/message_writer.ts";
import { namedEvents } from "../api/named_events.ts";
import { END, START } from "../api/scripted_answers.ts";
import { checked, replayed } from "./asking.ts";

const OPTIONS = { id: `msg_${"0".repeat(32)}`, stop: [], requestId: `req_${"0".repeat(32)}` };

function text(...bytes: (Uint8Array | null)[]): string {
  return bytes.map((each) => new TextDecoder().decode(each ?? new Uint8Array())).join("");
}

Deno.test("MessageWriter.fail() is one error and nothing else, also before the message has begun", () => {
  const writer = new MessageWriter(OPTIONS);
  const [only, ...more] = checked(namedEvents(text(writer.fail(new ArkError("unavailable", "Nobody is there")))));
  assert.deepEqual([only.error, more], [{ type: "overloaded_error", message: "Nobody is there" }, []]);
});

Deno.test("PING is an event that clients skip", () => {
  assert.deepEqual(namedEvents(PING), [{ name: "ping", data: { type: "ping" } }]);
});

Deno.test("MessageWriter writes each event in one line, whatever is in the text", () => {
  const writer = new MessageWriter(OPTIONS);
  const odd = '\u2028\u2029\u0085\r\n\n"\\\ud800\0event: message_stop';
  const parts = [START, { type: "text", text: odd, tokens: 1 } as const, END].map((event) => writer.write(event));
  const all = text(...parts, writer.finish());
  assert.equal(replayed(checked(namedEvents(all))).content[0].text, odd);
  assert.ok(!/[\u2028\u2029\u0085]/.test(all));
});
