/** Small values that a JSON Schema allows, for engines and clients that only have to keep to it. */

type Schema = { readonly [key: string]: unknown };

/**
 * A small value that a schema allows: required properties only, shortest lists and texts. Good for schemas as people
 * write them; it does not search for a value that satisfies several at once.
 */
export function sampleOf(schema: unknown, root: unknown = schema, depth = 0): unknown {
  if (typeof schema !== "object" || schema === null || depth > 20) return null;
  const { $ref, const: only, enum: values, type, anyOf, oneOf, allOf, default: usual } = schema as Schema;
  const into = (part: unknown) => sampleOf(part, root, depth + 1);
  if (typeof $ref === "string") return into(resolve($ref, root));
  if (only !== undefined) return only;
  if (Array.isArray(values)) return values[0];
  if (usual !== undefined) return usual;
  const [choice] = [anyOf, oneOf].flatMap((choices) => Array.isArray(choices) ? choices : []);
  if (choice !== undefined) return into(choice);
  if (Array.isArray(allOf)) return into(merged([schema as Schema, ...allOf as Schema[]]));
  switch (Array.isArray(type) ? type[0] : type ?? guess(schema as Schema)) {
    case "object":
      return object(schema as Schema, into);
    case "array":
      return array(schema as Schema, into);
    case "string":
      return string(schema as Schema);
    case "integer":
    case "number":
      return number(schema as Schema);
    case "boolean":
      return true;
  }
  return null;
}

function object({ properties = {}, required = [] }: Schema, into: (part: unknown) => unknown): unknown {
  const known = properties as Record<string, unknown>;
  return Object.fromEntries((required as string[]).map((name) => [name, into(known[name])]));
}

function array({ items, prefixItems = [], minItems = 0 }: Schema, into: (part: unknown) => unknown): unknown {
  const first = prefixItems as unknown[];
  const length = Math.max(first.length, Number(minItems));
  return Array.from({ length }, (_, index) => into(first[index] ?? items));
}

const FORMATS: Record<string, string> = {
  date: "2026-01-02",
  time: "03:04:05Z",
  "date-time": "2026-01-02T03:04:05Z",
  email: "a@example.org",
  uuid: "00000000-0000-4000-8000-000000000000",
  uri: "https://example.org/",
};

function string({ format, minLength = 0, maxLength = 100 }: Schema): string {
  const text = FORMATS[String(format)] ?? "w0";
  return text.padEnd(Number(minLength), "w").slice(0, Number(maxLength));
}

function number({ minimum, exclusiveMinimum, maximum }: Schema): number {
  const least = typeof exclusiveMinimum === "number" ? exclusiveMinimum + 1 : Number(minimum ?? 0);
  return Math.max(least, Math.min(1, Number(maximum ?? 1)));
}

function guess({ properties, items, prefixItems }: Schema): string {
  if (properties !== undefined) return "object";
  return items !== undefined || prefixItems !== undefined ? "array" : "string";
}

function merged(parts: Schema[]): Schema {
  const properties = Object.assign({}, ...parts.map((part) => part.properties ?? {}));
  const required = parts.flatMap((part) => part.required as string[] ?? []);
  const { allOf: _all, ...rest } = Object.assign({}, ...parts) as Schema;
  return { ...rest, ...Object.keys(properties).length > 0 ? { properties, required } : {} };
}

function resolve(ref: string, root: unknown): unknown {
  let found = root;
  for (const key of ref.replace(/^#\/?/, "").split("/").filter(Boolean)) {
    const name = decodeURIComponent(key).replaceAll("~1", "/").replaceAll("~0", "~");
    found = (found as Record<string, unknown> | null | undefined)?.[name];
  }
  return found;
}
