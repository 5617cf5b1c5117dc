import { ArkError } from "@ark/node/protocol";

/** A JSON Schema that is an object. */
export type Schema = { readonly [key: string]: unknown };

/** Keywords that say nothing about what a value looks like. */
const ANNOTATIONS = new Set([
  "$anchor",
  "$comment",
  "$defs",
  "$id",
  "$schema",
  "contentEncoding",
  "contentMediaType",
  "default",
  "definitions",
  "deprecated",
  "description",
  "discriminator",
  "example",
  "examples",
  "externalDocs",
  "id",
  "markdownDescription",
  "readOnly",
  "strict",
  "title",
  "writeOnly",
  "xml",
]);

/** Keywords that a grammar can keep to. */
const KNOWN = new Set([
  "$ref",
  "additionalItems",
  "additionalProperties",
  "allOf",
  "anyOf",
  "const",
  "enum",
  "exclusiveMaximum",
  "exclusiveMinimum",
  "format",
  "items",
  "maxItems",
  "maxLength",
  "maxProperties",
  "maximum",
  "minItems",
  "minLength",
  "minProperties",
  "minimum",
  "nullable",
  "oneOf",
  "pattern",
  "prefixItems",
  "properties",
  "propertyNames",
  "required",
  "type",
]);

/** Hops from reference to reference that lead nowhere. */
const MOST_HOPS = 32;

/** A refusal that names what is wrong with a schema. */
export function unsupported(what: string): ArkError {
  return new ArkError("bad_request", `The schema cannot be kept to: ${what}`);
}

/**
 * What a schema says about values, without annotations.
 *
 * @throws {ArkError} `bad_request` for a keyword that a grammar cannot keep to, and where it is no schema.
 */
export function statements(schema: unknown): Schema {
  if (schema === true) return {};
  if (schema === false) throw unsupported("false allows no value");
  if (typeof schema !== "object" || schema === null || Array.isArray(schema)) {
    throw unsupported("it is neither an object nor true");
  }
  const entries = Object.entries(schema).filter(([key]) => !ANNOTATIONS.has(key) && !key.startsWith("x-"));
  for (const [key, value] of entries) {
    if (KNOWN.has(key)) continue;
    // Some libraries write these though they change nothing.
    if (key === "uniqueItems" && value === false || key === "unevaluatedProperties" && value === false) continue;
    throw unsupported(`the keyword ${shown(key)} is not known here`);
  }
  const said: Schema = Object.fromEntries(entries);
  const { properties = {}, required = [] } = said;
  if (typeof properties !== "object" || properties === null || Array.isArray(properties)) {
    throw unsupported("properties must be an object");
  }
  if (!Array.isArray(required) || !required.every((name) => typeof name === "string")) {
    throw unsupported("required must be a list of names");
  }
  return said;
}

/** A keyword for a sentence. */
function shown(key: string): string {
  return JSON.stringify(key.slice(0, 40));
}

/**
 * The schema that a reference within the root points to.
 *
 * @throws {ArkError} `bad_request` where there is none, or it is elsewhere.
 */
export function resolveReference(reference: unknown, root: unknown): unknown {
  let found: unknown = { $ref: reference };
  for (let hops = 0; hops < MOST_HOPS; hops++) {
    if (typeof found !== "object" || found === null || !("$ref" in found)) return found;
    if (hops > 0 && Object.keys(statements(found)).length > 1) return found;
    const { $ref } = found as { $ref: unknown };
    if (typeof $ref !== "string" || !/^#(\/|$)/.test($ref)) {
      throw unsupported("$ref must point into the schema itself, as #/$defs/name does");
    }
    found = $ref.slice(1).split("/").slice(1).reduce(step, root);
    if (found === undefined) throw unsupported("a $ref points to nothing");
  }
  throw unsupported("a $ref leads in a circle");
}

function step(value: unknown, key: string): unknown {
  let name = key.replaceAll("~1", "/").replaceAll("~0", "~");
  try {
    name = decodeURIComponent(name);
  } catch {
    // A percent sign that stands for itself.
  }
  return typeof value === "object" && value !== null && Object.hasOwn(value, name)
    ? (value as Record<string, unknown>)[name]
    : undefined;
}

/**
 * Several schemas that a value must all keep to, as one.
 *
 * @throws {ArkError} `bad_request` where they say different things about the same.
 */
export function mergeSchemas(parts: readonly Schema[]): Schema {
  const merged: Record<string, unknown> = {};
  const properties = new Map<string, unknown>();
  for (const part of parts) {
    for (const [key, value] of Object.entries(part)) {
      if (key === "properties") {
        for (const [name, property] of Object.entries(value as Schema)) {
          properties.set(name, properties.has(name) ? both(properties.get(name), property) : property);
        }
      } else if (key === "required") {
        merged.required = [...new Set([...merged.required as string[] ?? [], ...value as string[]])];
      } else if (key === "additionalProperties") {
        merged[key] = merged[key] === undefined || value === false ? value : merged[key];
      } else if (merged[key] !== undefined && JSON.stringify(merged[key]) !== JSON.stringify(value)) {
        throw unsupported(`its parts disagree about ${shown(key)}`);
      } else merged[key] = value;
    }
  }
  const closed = parts.filter(({ additionalProperties }) => additionalProperties === false);
  for (const { properties: own = {} } of closed) {
    if ([...properties.keys()].some((name) => !Object.hasOwn(own as Schema, name))) {
      throw unsupported("a part of allOf forbids properties that another part has");
    }
  }
  if (properties.size > 0) merged.properties = Object.fromEntries(properties);
  return merged;
}

function both(one: unknown, other: unknown): unknown {
  return JSON.stringify(one) === JSON.stringify(other) ? one : { allOf: [one, other] };
}
