import { ArkError, decodeModelRef, type ModelRef } from "@ark/node/protocol";
import { invalid } from "./request_fault.ts";

/** A JSON object as it came; read it only by {@linkcode given}. */
export type RequestFields = Readonly<Record<string, unknown>>;

/**
 * Takes a body for an object.
 *
 * @throws {ArkError} `bad_request`
 */
export function requestFields(body: unknown): RequestFields {
  if (typeof body !== "object" || body === null || Array.isArray(body)) {
    throw new ArkError("bad_request", "The body must be a JSON object");
  }
  return body as RequestFields;
}

/** An own field of an object, where null is the same as absent. */
export function given(fields: RequestFields, name: string): unknown {
  return Object.hasOwn(fields, name) ? fields[name] ?? undefined : undefined;
}

/** A field that must be true or false where it is given. */
export function givenFlag(fields: RequestFields, name: string, shown = name): boolean {
  const value = given(fields, name) ?? false;
  if (typeof value !== "boolean") throw invalid(shown, "must be true or false");
  return value;
}

/** The field `model`. */
export function modelOf(fields: RequestFields): ModelRef {
  return namingField("model", () => decodeModelRef(given(fields, "model")));
}

/** Runs a decoder of `protocol` for one field, and says which field of the client's request its error is about. */
export function namingField<T>(param: string, decode: () => T): T {
  try {
    return decode();
  } catch (error) {
    if (!(error instanceof ArkError)) throw error;
    throw invalid(param, error.message.replace(/^Field \S+ /, "").replace(/^[A-Z]/, (first) => `is wrong: ${first}`));
  }
}
