import type { JsonSchema } from "@ark/node/protocol";
import { GrammarRules, literal } from "./grammar_rules.ts";
import { integersBetween, numbersBetween } from "./number_range.ts";
import { objectBody } from "./object_rules.ts";
import { patternGrammar } from "./pattern.ts";
import { STRING_FORMATS } from "./string_formats.ts";
import { mergeSchemas, resolveReference, type Schema, statements, unsupported } from "./schema_parts.ts";

/** How deep a schema may go without being asked for by a reference: more than a request may hold. */
const MOST_DEPTH = 200;

/** Steps that a schema may take in all: references and alternatives can name each other in ways that double. */
const MOST_STEPS = 20_000;

const TYPES = ["object", "array", "string", "integer", "number", "boolean", "null"] as const;
type Type = typeof TYPES[number];

/** Keywords that say of which type a value is, where `type` does not. */
const SIGNS: readonly [Type, readonly string[]][] = [
  ["object", ["properties", "required", "additionalProperties", "propertyNames", "minProperties", "maxProperties"]],
  ["array", ["items", "prefixItems", "minItems", "maxItems"]],
  ["string", ["pattern", "format", "minLength", "maxLength"]],
  ["number", ["minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum"]],
];

/**
 * Makes rules of JSON schemas: what they allow, the model can write, and nothing else.
 *
 * Properties come in the order of the schema; others are allowed only where `additionalProperties` says so, or nothing is
 * said about properties at all. Of `oneOf` it is not checked that only one fits. Formats that are not known are notes.
 */
export class SchemaGrammar {
  readonly #rules: GrammarRules;
  readonly #root: unknown;
  readonly #made = new Map<unknown, string>();
  #steps = 0;

  /** Makes rules within a grammar; references are looked up in `root`. */
  constructor(rules: GrammarRules, root: unknown) {
    this.#rules = rules;
    this.#root = root;
  }

  /**
   * The name of a rule for values that keep to a schema.
   *
   * @throws {ArkError} `bad_request` with what the schema says that cannot be kept to, or is wrong.
   */
  rule(schema: unknown, open: readonly unknown[] = []): string {
    // A schema that comes to itself without a character in between would never begin.
    if (open.includes(schema) && typeof schema === "object") throw unsupported("it consists of itself");
    if (open.length > MOST_DEPTH) throw unsupported("it is too deep");
    const known = this.#made.get(schema);
    if (known !== undefined) return known;
    const said = statements(schema);
    if (Object.keys(said).length === 0) return this.#rules.primitive("value");
    const name = this.#rules.reserve();
    this.#made.set(schema, name);
    this.#rules.set(name, this.#body(said, [...open, schema]));
    return name;
  }

  #body(said: Schema, open: readonly unknown[]): string {
    this.#step();
    const { $ref, anyOf, oneOf, allOf, nullable, ...rest } = said;
    if (nullable === true) {
      const inner = this.#body(omit(said, "nullable"), open);
      return `${inner} | ${this.#rules.primitive("null")}`;
    }
    if ($ref !== undefined) {
      const target = resolveReference($ref, this.#root);
      const siblings = omit(said, "$ref");
      if (Object.keys(siblings).length === 0) return this.rule(target, open);
      if (open.includes(target)) throw unsupported("it consists of itself");
      return this.#body(mergeSchemas([statements(target), siblings]), [...open, target]);
    }
    if (allOf !== undefined) {
      const parts = list(allOf, "allOf").map((part) => this.#inlined(part, open));
      return this.#body(mergeSchemas([omit(said, "allOf"), ...parts]), open);
    }
    for (const [key, value] of [["anyOf", anyOf], ["oneOf", oneOf]] as const) {
      if (value === undefined) continue;
      const base = omit(said, key);
      return list(value, key).map((part) => {
        if (Object.keys(base).length === 0) return this.rule(part, open);
        return this.#rules.add(this.#body(mergeSchemas([base, this.#inlined(part, open)]), [...open, part]));
      }).join(" | ");
    }
    return this.#plain(rest);
  }

  /** What a part of `allOf` says, its references followed, since it is merged with the other parts. */
  #inlined(part: unknown, open: readonly unknown[]): Schema {
    this.#step();
    if (open.includes(part) && typeof part === "object") throw unsupported("it consists of itself");
    if (open.length > MOST_DEPTH) throw unsupported("it is too deep");
    const said = statements(part);
    if (said.$ref === undefined && said.allOf === undefined) return said;
    const inner = [...open, part];
    const target = said.$ref === undefined ? [] : [this.#inlined(resolveReference(said.$ref, this.#root), inner)];
    const parts = said.allOf === undefined ? [] : list(said.allOf, "allOf").map((each) => this.#inlined(each, inner));
    return mergeSchemas([omit(omit(said, "$ref"), "allOf"), ...target, ...parts]);
  }

  #step(): void {
    if (++this.#steps > MOST_STEPS) throw unsupported("it is too large once its references are followed");
  }

  #plain(said: Schema): string {
    if (said.const !== undefined) return literal(JSON.stringify(said.const));
    if (said.enum !== undefined) {
      const types = said.type === undefined ? null : typesOf(said);
      const values = list(said.enum, "enum").filter((value) => types === null || types.some((type) => is(value, type)));
      if (values.length === 0) throw unsupported("enum allows no value of its type");
      return values.map((value) => literal(JSON.stringify(value))).join(" | ");
    }
    return typesOf(said).map((type) => this.#typed(type, said)).join(" | ");
  }

  #typed(type: Type, said: Schema): string {
    switch (type) {
      case "object":
        return this.#rules.add(objectBody(said, { rules: this.#rules, rule: (schema) => this.rule(schema) }));
      case "array":
        return this.#rules.add(this.#array(said));
      case "string":
        return this.#rules.add(this.#string(said));
      case "integer":
      case "number":
        return this.#rules.add(this.#number(type, said));
      default:
        return this.#rules.primitive(type);
    }
  }

  #array(said: Schema): string {
    const tuple = said.prefixItems ?? (Array.isArray(said.items) ? said.items : []);
    const first = list(tuple, "prefixItems", { least: 0 });
    const items = Array.isArray(said.items) ? said.additionalItems : said.items;
    const least = count(said, "minItems") ?? 0;
    const most = count(said, "maxItems");
    const ws = this.#rules.primitive("ws");
    if (first.length === 0 && said.items === undefined && least === 0 && most === null) {
      return this.#rules.primitive("array");
    }
    if (most !== null && most < least) throw unsupported("maxItems is less than minItems");
    const comma = `"," ${ws}`;
    const fixed = first.slice(0, most ?? first.length).map((schema) => this.rule(schema));
    // A tuple ends where its schemas do, unless it is said what else may come.
    const closed = items === false || (items === undefined && first.length > 0);
    if (closed && fixed.length < least) throw unsupported("minItems is more than the items that are described");
    const head = fixed.join(` ${comma} `);
    const room = most === null ? null : most - fixed.length;
    const wanted = Math.max(0, least - fixed.length);
    if (closed || room === 0) return fixed.length === 0 ? `"[" ${ws} "]"` : `"[" ${ws} ${head} ${ws} "]"`;
    const item = this.rule(items ?? true);
    const repeat = (lower: number, upper: number | null) => this.#rules.repeat(`(${comma} ${item})`, lower, upper);
    if (fixed.length > 0) return `"[" ${ws} ${head} ${repeat(wanted, room)} ${ws} "]"`;
    const many = `${item} ${repeat(Math.max(0, wanted - 1), room === null ? null : room - 1)}`;
    return `"[" ${ws} ${wanted === 0 ? `(${many} ${ws})?` : `${many} ${ws}`} "]"`;
  }

  #string(said: Schema): string {
    const least = count(said, "minLength");
    const most = count(said, "maxLength");
    const format = typeof said.format === "string" ? STRING_FORMATS.get(said.format) : undefined;
    const translated = typeof said.pattern === "string" ? patternGrammar(said.pattern, this.#rules) : null;
    if (said.pattern !== undefined && translated === null && format === undefined) {
      throw unsupported("its pattern has what a grammar cannot say, or is no text");
    }
    const shaped = translated ?? format;
    if (shaped !== undefined && ((least ?? 0) > 1 || most !== null)) {
      throw unsupported("minLength and maxLength do not go together with pattern or format");
    }
    if (shaped !== undefined) return `"\\"" (${shaped}) "\\""`;
    if (least === null && most === null) return this.#rules.primitive("string");
    if (most !== null && most < (least ?? 0)) throw unsupported("maxLength is less than minLength");
    return `"\\"" ${this.#rules.repeat(this.#rules.primitive("char"), least ?? 0, most)} "\\""`;
  }

  #number(type: "integer" | "number", said: Schema): string {
    const low = bound(said, "minimum");
    const high = bound(said, "maximum");
    const above = bound(said, "exclusiveMinimum", low);
    const below = bound(said, "exclusiveMaximum", high);
    const least = above.value ?? low.value;
    const most = below.value ?? high.value;
    if (least === null && most === null) return this.#rules.primitive(type);
    let body: string | null;
    if (type === "integer") {
      const from = least === null
        ? null
        : BigInt(Math.ceil(least)) + (above.excluded && Number.isInteger(least) ? 1n : 0n);
      const to = most === null ? null : BigInt(Math.floor(most)) - (below.excluded && Number.isInteger(most) ? 1n : 0n);
      body = integersBetween({ least: from, most: to });
    } else {
      if (![least, most].every((value) => value === null || Number.isInteger(value))) {
        throw unsupported("bounds of a number must be whole");
      }
      body = numbersBetween({
        least: least === null ? null : BigInt(least),
        most: most === null ? null : BigInt(most),
        above: above.excluded,
        below: below.excluded,
      });
    }
    if (body === null) throw unsupported("there is no number between its bounds");
    return body;
  }
}

/**
 * A grammar for values that keep to a schema.
 *
 * @throws {ArkError} `bad_request` with what the schema says that cannot be kept to, or is wrong.
 */
export function schemaGrammar(schema: JsonSchema): string {
  const rules = new GrammarRules();
  return rules.text(new SchemaGrammar(rules, schema).rule(schema));
}

function omit(schema: Schema, key: string): Schema {
  return Object.fromEntries(Object.entries(schema).filter(([name]) => name !== key));
}

/** The types that a value may have. */
function typesOf(said: Schema): readonly Type[] {
  const { type } = said;
  if (type === undefined) {
    const signs = SIGNS.filter(([, keys]) => keys.some((key) => said[key] !== undefined)).map(([sign]) => sign);
    return signs.length > 0 ? signs : TYPES.filter((each) => each !== "integer");
  }
  const types = Array.isArray(type) ? type : [type];
  if (types.length === 0 || !types.every((each) => TYPES.includes(each))) {
    throw unsupported("type must be one of those that JSON has");
  }
  return types;
}

function is(value: unknown, type: Type): boolean {
  if (type === "null") return value === null;
  if (type === "array") return Array.isArray(value);
  if (type === "integer") return Number.isInteger(value);
  if (type === "object") return typeof value === "object" && value !== null && !Array.isArray(value);
  const found: string = typeof value;
  return found === type;
}

function list(value: unknown, key: string, { least = 1 } = {}): unknown[] {
  if (!Array.isArray(value) || value.length < least) throw unsupported(`${key} must be a list that is not empty`);
  return value;
}

/** A number of items or characters, or null where none is given. */
export function count(said: Schema, key: string): number | null {
  const value = said[key];
  if (value === undefined) return null;
  if (!Number.isSafeInteger(value) || (value as number) < 0) throw unsupported(`${key} must be a whole number`);
  return value as number;
}

/** A bound, and whether it is excluded itself; in an old draft, `true` says so of the other bound. */
function bound(
  said: Schema,
  key: string,
  other?: { value: number | null },
): { value: number | null; excluded: boolean } {
  const value = said[key];
  if (value === undefined || value === false) return { value: null, excluded: false };
  if (value === true && other !== undefined) return { value: other.value, excluded: true };
  if (typeof value !== "number" || Math.abs(value) > Number.MAX_SAFE_INTEGER) {
    throw unsupported(`${key} must be a number, and not too large`);
  }
  if (other === undefined) return { value, excluded: false };
  const included = other.value;
  if (included === null) return { value, excluded: true };
  const stricter = key === "exclusiveMinimum" ? value >= included : value <= included;
  return stricter ? { value, excluded: true } : { value: included, excluded: false };
}
