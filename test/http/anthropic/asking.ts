/** Asks Anthropic's API as the strictest clients do: everything is checked against its schema. */
import assert from "node:assert/strict";
import { anthropicRoutes } from "../../../src/http/anthropic/anthropic_routes.ts";
import type { Answers } from "../../../src/http/api/answers.ts";
import type { ApiOptions } from "../../../src/http/api/api_routes.ts";
import { namedEventsOf } from "../api/named_events.ts";
import { MODEL } from "../api/scripted_answers.ts";
import { valid } from "../api/validate.ts";
import { EVENTS, FAILURE, MESSAGE } from "./schemas.ts";

// deno-lint-ignore no-explicit-any
export type Json = any;

/** A question with one message. */
export const QUESTION = { model: MODEL, max_tokens: 64, messages: [{ role: "user", content: "Hello" }] };

/** Routes over answers; no port. */
export class Asking {
  readonly #app: ReturnType<typeof anthropicRoutes>;

  constructor(answers: Answers, options: Omit<ApiOptions, "answers"> = {}) {
    this.#app = anthropicRoutes({ answers, ...options });
  }

  /** Sends a request; with a body it is a POST. */
  async send(path: string, { body, ...init }: Omit<RequestInit, "body"> & { body?: unknown } = {}): Promise<Response> {
    const json = body === undefined ? {} : { method: "POST", body: JSON.stringify(body) };
    const headers = { "content-type": "application/json", "anthropic-version": "2023-06-01", ...init.headers };
    const response = await this.#app.request(path, { ...init, ...json, headers });
    assert.match(response.headers.get("request-id") ?? "", /^req_[0-9a-f]{32}$/);
    assert.equal(response.headers.get("x-request-id"), response.headers.get("request-id"));
    return response;
  }

  /** Asks for a message. */
  ask(fields: Record<string, unknown> = {}): Promise<Response> {
    return this.send("/v1/messages", { body: { ...QUESTION, ...fields } });
  }

  /** Asks for a message in one piece. */
  async whole(fields: Record<string, unknown> = {}): Promise<Json> {
    const response = await this.ask(fields);
    const message = await response.json();
    assert.equal(response.status, 200, JSON.stringify(message));
    return valid(message, MESSAGE);
  }

  /** Asks for a message as events. */
  async streamed(fields: Record<string, unknown> = {}): Promise<Json[]> {
    return await eventsOf(await this.ask({ ...fields, stream: true }));
  }
}

/** The events of a stream, each valid and with its own name. */
export async function eventsOf(response: Response): Promise<Json[]> {
  return checked(await namedEventsOf(response));
}

/** Checks the events of a stream, and gives their data. */
export function checked(events: readonly { name: string; data: Json }[]): Json[] {
  return events.map(({ name, data }) => {
    assert.equal(data.type, name);
    return valid(data, EVENTS[name] ?? assert.fail(name));
  });
}

/** A failure's body. */
export async function failureOf(response: Response, status: number): Promise<Json> {
  const body = await response.json();
  assert.equal(response.status, status, JSON.stringify(body));
  assert.equal(valid(body, FAILURE).request_id, response.headers.get("request-id"));
  return body.error;
}

const GROWS: Readonly<Record<string, string>> = { text_delta: "text", thinking_delta: "thinking" };

/** The message that a complete stream tells, put together as Anthropic's own client does it. */
export function replayed(events: readonly Json[]): Json {
  const [start, ping, ...rest] = events;
  assert.deepEqual([start.type, ping.type], ["message_start", "ping"]);
  const message = structuredClone(start.message);
  let open: { block: Json; json: string } | null = null;
  for (const event of rest.slice(0, -2)) {
    if (event.type === "content_block_start") {
      assert.equal(open, null, "A block is over before the next begins");
      assert.equal(event.index, message.content.length);
      open = { block: structuredClone(event.content_block), json: "" };
      continue;
    }
    assert.ok(open !== null, "Everything belongs to a block");
    assert.equal(event.index, message.content.length);
    const { block } = open;
    if (event.type === "content_block_stop") {
      if (open.json !== "") block.input = JSON.parse(open.json);
      message.content.push(block);
      open = null;
      continue;
    }
    assert.equal(event.type, "content_block_delta");
    const { type, ...told } = event.delta;
    const grows = GROWS[type];
    if (grows !== undefined) block[grows] += told[grows];
    else if (type === "input_json_delta") open.json += told.partial_json;
    else Object.assign(block, told);
  }
  assert.equal(open, null);
  const [delta, stop] = rest.slice(-2);
  assert.deepEqual([delta.type, stop], ["message_delta", { type: "message_stop" }]);
  return { ...message, ...delta.delta, usage: { ...message.usage, ...delta.usage } };
}
