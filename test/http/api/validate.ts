/** Checks values against JSON schemas, which are files beside the tests of each family of APIs. */
import assert from "node:assert/strict";
import { Ajv2020, type ValidateFunction } from "ajv/dist/2020.js";

/** A JSON schema as it is read from a file. */
export type Schema = { readonly [key: string]: unknown };

const AJV = new Ajv2020({ allErrors: true, strict: true, strictRequired: false, allowUnionTypes: true });

const COMPILED = new Map<Schema, ValidateFunction>();

/** Fails where a value is not what a schema says, with all that is wrong. Gives the value back. */
// deno-lint-ignore no-explicit-any
export function valid(value: unknown, schema: Schema, what = String(schema.title ?? "The value")): any {
  let validate = COMPILED.get(schema);
  if (validate === undefined) {
    validate = AJV.compile(schema);
    COMPILED.set(schema, validate);
  }
  const sound = validate(value);
  assert.ok(sound, `${what}: ${AJV.errorsText(validate.errors)} in ${JSON.stringify(value)?.slice(0, 1_000)}`);
  return value;
}

/** Whether every object that a schema describes refuses properties that it does not know. */
export function isClosed(schema: unknown): boolean {
  if (typeof schema !== "object" || schema === null) return true;
  const { type, properties, additionalProperties } = schema as Schema;
  if ((type === "object" || properties !== undefined) && additionalProperties === undefined) return false;
  return Object.values(schema).every(isClosed);
}
