/** Two nodes for clients: the request enters A, the model is on B, and its engine answers by a rule. */
import assert from "node:assert/strict";
import { until } from "../../inference/local_fixture.ts";
import { MODEL, Pair } from "../test_node.ts";

export { MODEL };

/** A schema that only the right object satisfies. */
export const CITY_SCHEMA = {
  type: "object",
  properties: { city: { type: "string" }, days: { type: "integer" } },
  required: ["city", "days"],
  additionalProperties: false,
} as const;

/** What the engine writes for 4 tokens. */
export const FOUR_WORDS = "w0 w1 w2 w3";

/** Prompt whose answer breaks after three tokens, since the engine's process dies. */
export const BREAKS = "one #crash-after=3 #slow=2";

/** Prompt that is answered slowly: some milliseconds for each token. */
export const SLOW = "one #slow=4";

/** A pair with room for what clients do at once. */
export function twoNodes(): Promise<Pair> {
  return Pair.start({ permissions: { max_concurrent_requests: 8 } });
}

/** How many answers of B's engine were cancelled, and after how many tokens each. */
export function cancelled({ b }: Pair): number[] {
  return b.workerLog().split("\n").filter(Boolean).map((line) => JSON.parse(line))
    .filter(({ type, cancelled }) => type === "fake:over" && cancelled).map(({ tokens }) => tokens);
}

/** How many questions B's engine was asked. */
export function questions({ b }: Pair): number {
  return b.workerLog().split('"type":"generate"').length - 1;
}

/** Waits until B's engine has stopped an answer, long before its end. */
export async function stopsEarly(pair: Pair, before: number): Promise<void> {
  await until(() => cancelled(pair).length > before);
  assert.ok((cancelled(pair).at(-1) ?? Infinity) < 500, "The answer was written nearly to its end");
}

/** Checks that an object is what {@linkcode CITY_SCHEMA} says. */
export function assertCity(value: unknown): void {
  const city = value as Record<string, unknown>;
  assert.deepEqual(Object.keys(city).sort(), ["city", "days"]);
  assert.equal(typeof city.city, "string");
  assert.ok(Number.isInteger(city.days));
}
