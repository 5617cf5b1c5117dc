import assert from "node:assert/strict";
import { ArkError } from "@ark/node/protocol";
import { ResponseShelf } from "../../../src/http/responses/response_shelf.ts";
import { KeptLookup } from "../../../src/http/responses/kept_lookup.ts";
import { responseQuestion } from "../../../src/http/responses/response_question.ts";
import { ResponseWriter } from "../../../src/http/responses/response_writer.ts";
import { namedEvents } from "../api/named_events.ts";
import { END, MODEL, START } from "../api/scripted_answers.ts";
import { checked, replayed } from "./asking.ts";

function writer(complete: () => void = () => {}): ResponseWriter {
  const { echo, summary } = responseQuestion(
    { model: "alias", input: "Hello" },
    new KeptLookup(new ResponseShelf(), null),
  );
  return new ResponseWriter({ model: "alias", echo, summary, complete });
}

function text(...bytes: (Uint8Array | null)[]): string {
  return bytes.map((each) => new TextDecoder().decode(each ?? new Uint8Array())).join("");
}

Deno.test("ResponseWriter.fail() begins a response that had not begun, so that clients see one fail", () => {
  const events = checked(namedEvents(text(writer().fail(new ArkError("unavailable", "Nobody is there")))));
  const { type, response } = replayed(events);
  assert.deepEqual([type, response.model, response.output], ["response.failed", "alias", []]);
});

Deno.test("ResponseWriter keeps an answer before its client hears that it is complete, and only then", () => {
  const order: string[] = [];
  const made = writer(() => void order.push("kept"));
  for (const event of [START, { type: "text", text: "Hi", tokens: 1 } as const, END]) {
    made.write(event);
    assert.deepEqual(order, []);
  }
  const last = text(made.finish());
  assert.deepEqual(order, ["kept"]);
  assert.match(last, /^event: response\.completed\n/);
  const failing = writer(() => void order.push("wrong"));
  failing.write(START);
  failing.fail(new ArkError("unavailable", "It broke off"));
  assert.deepEqual(order, ["kept"]);
});

Deno.test("ResponseWriter writes each event in one line, whatever is in the text", () => {
  const made = writer();
  const odd = '\u2028\u2029\u0085\r\n\n"\\\ud800\0data: [DONE]';
  const bytes = [made.write(START), made.write({ type: "text", text: odd, tokens: 1 }), made.write(END), made.finish()];
  const { response } = replayed(checked(namedEvents(text(...bytes))));
  assert.deepEqual([response.model, response.output[0].content[0].text], [MODEL, odd]);
  assert.ok(!/[\u2028\u2029\u0085]/.test(text(...bytes)));
});
