/** Asks the Responses API as the strictest clients do: everything is checked against its schema. */
import assert from "node:assert/strict";
import type { Answers } from "../../../src/http/api/answers.ts";
import type { ApiOptions } from "../../../src/http/api/api_routes.ts";
import { ResponseShelf } from "../../../src/http/responses/response_shelf.ts";
import { responsesRoutes } from "../../../src/http/responses/responses_routes.ts";
import { namedEventsOf } from "../api/named_events.ts";
import { MODEL } from "../api/scripted_answers.ts";
import { valid } from "../api/validate.ts";
import { EVENTS, FAILURE, RESPONSE } from "./schemas.ts";

// deno-lint-ignore no-explicit-any
export type Json = any;

/** Routes over answers; no port. */
export class Asking {
  readonly shelf: ResponseShelf;
  readonly #app: ReturnType<typeof responsesRoutes>;

  constructor(answers: Answers, options: Omit<ApiOptions, "answers"> & { shelf?: ResponseShelf } = {}) {
    this.shelf = options.shelf ?? new ResponseShelf();
    this.#app = responsesRoutes({ answers, ...options }, { shelf: this.shelf });
  }

  /** Sends a request; with a body it is a POST. */
  async send(path: string, { body, ...init }: Omit<RequestInit, "body"> & { body?: unknown } = {}): Promise<Response> {
    const json = body === undefined ? {} : { method: "POST", body: JSON.stringify(body) };
    const headers = { "content-type": "application/json", ...init.headers };
    const response = await this.#app.request(path, { ...init, ...json, headers });
    assert.match(response.headers.get("x-request-id") ?? "", /^req_[0-9a-f]{32}$/);
    return response;
  }

  /** Asks for a response. */
  ask(body: Record<string, unknown> = {}, headers: Record<string, string> = {}): Promise<Response> {
    return this.send("/v1/responses", { body: { model: MODEL, input: "Hello", ...body }, headers });
  }

  /** Asks for a response in one piece. */
  async whole(body: Record<string, unknown> = {}, headers: Record<string, string> = {}): Promise<Json> {
    const response = await this.ask(body, headers);
    const answer = await response.json();
    assert.equal(response.status, 200, JSON.stringify(answer));
    return valid(answer, RESPONSE);
  }

  /** Asks for a response as events. */
  async streamed(body: Record<string, unknown> = {}): Promise<Json[]> {
    return await eventsOf(await this.ask({ ...body, stream: true }));
  }
}

/** The events of a stream, each valid, with its own name, and with numbers that rise by one. */
export async function eventsOf(response: Response): Promise<Json[]> {
  return checked(await namedEventsOf(response));
}

/** Checks the events of a stream, and gives their data. */
export function checked(events: readonly { name: string; data: Json }[]): Json[] {
  return events.map(({ name, data }, index) => {
    assert.equal(data.type, name);
    assert.equal(data.sequence_number, index);
    return valid(data, EVENTS[name] ?? assert.fail(name));
  });
}

/** A failure's body. */
export async function failureOf(response: Response, status: number): Promise<Json> {
  const body = await response.json();
  assert.equal(response.status, status, JSON.stringify(body));
  return valid(body, FAILURE).error;
}

/** Puts the events of a stream together, and checks each against what was said before. Gives the last event. */
export function replayed(events: readonly Json[]): Json {
  assert.deepEqual(events.slice(0, 2).map(({ type }) => type), ["response.created", "response.in_progress"]);
  assert.deepEqual(events[0].response, events[1].response);
  const items: Json[] = [];
  let open: { item: Json; grown: string; kind: string } | null = null;
  for (const event of events.slice(2, -1)) {
    const [, kind, what] = /^response\.(\w+)\.(\w+)$/.exec(event.type) ?? assert.fail(event.type);
    if (kind === "output_item" && what === "added") {
      assert.equal(open, null, "An item is done before the next is added");
      assert.deepEqual([event.output_index, event.item.status], [items.length, "in_progress"]);
      open = { item: event.item, grown: "", kind: "" };
      continue;
    }
    assert.ok(open !== null, "Everything belongs to an item");
    assert.equal(event.output_index, items.length);
    if (kind === "output_item") {
      const text = event.item.arguments ?? [...event.item.summary ?? [], ...event.item.content][0].text;
      assert.deepEqual([event.item.id, text], [open.item.id, open.grown]);
      items.push(event.item);
      open = null;
      continue;
    }
    assert.equal(event.item_id, open.item.id);
    if ("part" in event && what === "added") assert.equal(event.part.text, "");
    else if ("part" in event) assert.equal(event.part.text, open.grown);
    else if (what === "delta") open = { ...open, grown: open.grown + event.delta };
    else assert.equal(event.text ?? event.arguments, open.grown);
  }
  const last = events.at(-1);
  if (last.type !== "response.failed") {
    assert.equal(open, null);
    assert.deepEqual(last.response.output, items);
  }
  return last;
}
