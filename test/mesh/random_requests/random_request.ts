/** Requests that are made at random: mostly as a client would send them, with something wrong here and there. */
import type { Random } from "../../fuzz/random.ts";

/** A request. */
export interface RandomRequest {
  method: string;
  /** With the query, where it has one. */
  path: string;
  headers: Record<string, string>;
  body: string | Uint8Array<ArrayBuffer> | null;
  /** Whether the client leaves as soon as the answer begins. */
  leaves: boolean;
}

/** What came back. */
export interface Answered {
  request: RandomRequest;
  status: number;
  headers: Headers;
  /** The whole body; of a stream, all of its events. */
  text: string;
}

/** A family of APIs: what is sent to it, and what its answers must be. */
export interface RandomFamily {
  /** For messages. */
  name: string;
  /** Makes a request that follows from the state of `random` alone. */
  make(random: Random): RandomRequest;
  /** Fails where an answer is not what the family promises. */
  check(answered: Answered): void;
}

/** Makes a value of a field, which may be a wrong one. */
export type FieldValue = (random: Random) => unknown;

/** For numbers without a fraction. */
export const WHOLE = { whole: true };

/** True or false. */
export const FLAG = (random: Random): unknown => random.once(2);

/** The one model that the node has, by two of its names, and models that it has not. */
export const MODEL = (random: Random): unknown =>
  random.once(30) ? random.pick(["nobody-has-it", "", 5, "\n"]) : random.pick(["arkling:9m-q4_0", "arkling"]);

/** What a prompt says; the engine of the node does what some of it tells. */
export const TEXT = (random: Random): unknown =>
  random.pick(["one two", "Grüße 😀", "#call=weather", "#think", "#stop=2", "", "#fail-after=1", "\u2028\ud800"]);

/** Fields of a body: those that it needs, and those that it may have. */
export interface BodyFields {
  needed: Readonly<Record<string, FieldValue>>;
  optional: Readonly<Record<string, FieldValue>>;
}

/** A body; one value in some thirty is anything at all, and a needed field is missing as rarely. */
export function bodyOf(random: Random, { needed, optional }: BodyFields): Record<string, unknown> {
  const body: Record<string, unknown> = {};
  for (const [name, value] of Object.entries(needed)) {
    if (!random.once(40)) body[name] = random.once(30) ? anything(random) : value(random);
  }
  for (const [name, value] of Object.entries(optional)) {
    if (random.once(5)) body[name] = random.once(30) ? anything(random) : value(random);
  }
  if (random.once(50)) body[random.pick(ODD_KEYS)] = anything(random);
  return body;
}

/** A `POST` of a body as JSON; one in some twenty is broken in another way: its text, its type, its method. */
export function posted(random: Random, { path, body }: { path: string; body: unknown }): RandomRequest {
  const json = JSON.stringify(body);
  const leaves = random.once(40);
  const request = { method: "POST", path, headers: { "content-type": "application/json" }, body: json, leaves };
  if (!random.once(20)) return request;
  switch (random.below(7)) {
    case 0:
      return { ...request, body: json.slice(0, random.below(json.length)) };
    case 1:
      return { ...request, body: Uint8Array.from({ length: random.below(200) }, () => random.below(256)) };
    case 2:
      return { ...request, headers: { "content-type": random.pick(["text/plain", "application/x-ndjson", ""]) } };
    case 3:
      return { ...request, method: random.pick(["GET", "DELETE", "PUT", "PATCH"]), body: null };
    case 4:
      return { ...request, path: path + random.pick(["/", "/x", "%2f", "?a=1", "/%00", "//"]) };
    case 5:
      return { ...request, headers: { ...request.headers, "content-encoding": "gzip" } };
    default:
      return {
        ...request,
        body: random.pick(["", "null", "[]", "5", '"x"', `${"[".repeat(9_000)}${"]".repeat(9_000)}`]),
      };
  }
}

const ODD_KEYS = ["__proto__", "constructor", "toString", "x".repeat(300), "\ud800", "", "unheard_of"];

const ODD_VALUES: readonly unknown[] = [
  null,
  true,
  false,
  0,
  -0,
  -1,
  1.5,
  1e308,
  -1e308,
  2 ** 53,
  "",
  " ",
  "\0",
  "\ud800",
  "\u202e",
  "x".repeat(5_000),
  [],
  {},
  [null],
  [[[]]],
  { type: null },
  { type: "function" },
  { toString: 1 },
];

/** Any JSON value, nested up to a few levels. */
export function anything(random: Random, depth = 0): unknown {
  if (depth > 4 || random.below(3) > 0) return random.pick(ODD_VALUES);
  if (random.once(2)) return Array.from({ length: random.below(4) }, () => anything(random, depth + 1));
  const names = [...ODD_KEYS, "type", "text", "content", "role", "name", "function", "model", "schema", "properties"];
  return Object.fromEntries(Array.from({ length: random.below(4) }, () => {
    return [random.pick(names), anything(random, depth + 1)];
  }));
}

/** A field that has one of these values. */
export function oneOf(...values: readonly unknown[]): FieldValue {
  return (random) => random.pick(values);
}

/** A field with a number from `least` to `most`, now and then one beyond. */
export function number(least: number, most: number, { whole = false } = {}): FieldValue {
  return (random) => {
    if (random.once(30)) return random.pick([least - 1, most + 1, least - 0.001]);
    const value = least + random.below(1_001) / 1_000 * (most - least);
    return whole ? Math.round(value) : value;
  };
}

/** A list of up to so many values. */
export function listOf(value: FieldValue, most: number): FieldValue {
  return (random) => Array.from({ length: random.below(most + 1) }, () => value(random));
}
