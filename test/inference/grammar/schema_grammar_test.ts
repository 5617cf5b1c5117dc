import assert from "node:assert/strict";
import { Ajv2020 } from "ajv/dist/2020.js";
import fc from "fast-check";
import type { JsonSchema } from "@ark/node/protocol";
import { schemaGrammar } from "../../../src/inference/worker/grammar/schema_grammar.ts";
import { GbnfSampler } from "./gbnf_sampler.ts";
import { random } from "./random.ts";

/** What is checked of formats; ajv knows none by itself. */
const FORMATS: Record<string, (text: string) => boolean> = {
  date: (text) => new Date(`${text}T00:00:00Z`).toISOString().startsWith(text),
  time: (text) => !Number.isNaN(Date.parse(`2026-01-01T${text}`)),
  "date-time": (text) => !Number.isNaN(Date.parse(text)),
  duration: (text) => /^P(?=.)(\d+[YMWD])?(T\d+[HMS])?$/.test(text),
  uuid: (text) => /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/.test(text),
  ipv4: (text) => text.split(".").every((part) => Number(part) < 256 && String(Number(part)) === part),
  ipv6: (text) => URL.canParse(`http://[${text}]/`),
  email: (text) => /^[^@\s]+@[^@\s]+\.[a-z]+$/.test(text),
  hostname: (text) => URL.canParse(`http://${text}/`),
  uri: (text) => URL.canParse(text),
};

/** Draws some texts of a grammar, and has each checked. */
function everySample(schema: JsonSchema, { runs = 40 } = {}): unknown[] {
  const ajv = new Ajv2020({ strict: false, formats: FORMATS, logger: false, ownProperties: true });
  const validate = ajv.compile(schema);
  const sampler = new GbnfSampler(schemaGrammar(schema));
  const seen: unknown[] = [];
  fc.assert(
    fc.property(fc.integer(), (seed) => {
      const text = sampler.sample(random(seed));
      const value = JSON.parse(text);
      assert.ok(
        validate(value),
        `${text} is not allowed by ${JSON.stringify(schema)}: ${ajv.errorsText(validate.errors)}`,
      );
      seen.push(value);
    }),
    { numRuns: runs },
  );
  return seen;
}

const SCHEMAS: Record<string, JsonSchema> = {
  "any value": {},
  "objects without more": { type: "object" },
  "lists without more": { type: "array" },
  "required and other properties": {
    type: "object",
    properties: { a: { type: "string" }, b: { type: "integer" }, c: { type: "boolean" }, d: { type: "null" } },
    required: ["b", "d"],
    additionalProperties: false,
  },
  "other properties only": {
    properties: { 'a "quoted" \\ one': { type: "number" }, "ü\n": { type: "string" } },
  },
  "additional properties that must differ from the known ones": {
    type: "object",
    properties: { a: { type: "integer" }, ab: { type: "integer" }, "": { type: "integer" } },
    required: ["ab"],
    additionalProperties: { type: "string" },
  },
  "required properties that are not described": {
    type: "object",
    properties: { a: { type: "integer" } },
    required: ["a", "z"],
    additionalProperties: { type: "boolean" },
  },
  "a map": { type: "object", additionalProperties: { type: "integer" }, minProperties: 1, maxProperties: 3 },
  "a map with names that have a shape": {
    type: "object",
    propertyNames: { pattern: "^[a-z]{2,4}$" },
    additionalProperties: { enum: [1, null] },
  },
  "no properties": { type: "object", additionalProperties: false },
  "lists with bounds": { type: "array", items: { type: "boolean" }, minItems: 2, maxItems: 4 },
  "lists of at least one": { type: "array", items: { type: "boolean" }, minItems: 1 },
  "an empty list": { type: "array", maxItems: 0 },
  "tuples": { type: "array", prefixItems: [{ type: "string" }, { type: "integer" }], items: false, minItems: 2 },
  "tuples with more": { type: "array", prefixItems: [{ type: "string" }], items: { type: "null" }, minItems: 3 },
  "texts with bounds": { type: "string", minLength: 2, maxLength: 5 },
  "texts with an upper bound": { type: "string", maxLength: 3 },
  "values of a list": { enum: ["a", 'b"\\\n', 1, null, { x: [1, "y"] }, 1.5] },
  "values of a list and type": { type: "string", enum: ["a", 1, "b"] },
  "formats that are only notes": { type: "string", format: "constructor", maxLength: 3 },
  "names that objects have by themselves": {
    type: "object",
    properties: { constructor: { type: "string" }, toString: { const: 1 } },
    required: ["constructor"],
    additionalProperties: { type: "null" },
  },
  "one value": { const: { a: ["<|im_end|>"] } },
  "one of several": { anyOf: [{ type: "string", maxLength: 2 }, { type: "object", properties: { a: {} } }] },
  "one of several, with what all have": {
    type: "object",
    properties: { kind: { type: "string" } },
    required: ["kind"],
    oneOf: [
      { properties: { kind: { const: "a" }, x: { type: "integer" } }, required: ["x"] },
      { properties: { kind: { const: "b" } } },
    ],
  },
  "all of several": {
    allOf: [
      { type: "object", properties: { a: { type: "string" } }, required: ["a"] },
      { $ref: "#/$defs/more" },
    ],
    $defs: { more: { properties: { b: { type: "integer" } }, required: ["b"] } },
  },
  "several types": { type: ["string", "null", "integer"], maxLength: 3, minimum: 5 },
  "a tree": {
    $ref: "#/$defs/node",
    $defs: {
      node: {
        type: "object",
        properties: { name: { type: "string" }, children: { type: "array", items: { $ref: "#/$defs/node" } } },
        required: ["name", "children"],
        additionalProperties: false,
      },
    },
  },
  "itself": { type: "object", properties: { next: { anyOf: [{ $ref: "#" }, { type: "null" }] } }, required: ["next"] },
  "a reference with escapes": { $ref: "#/$defs/a~1b%20c", $defs: { "a/b c": { type: "boolean" } } },
  "patterns": { type: "string", pattern: "^(?:[A-Z]{2,3}-\\d+|x[^a-f\\]]?.)$" },
  "patterns without anchors": { type: "string", pattern: "b+c" },
  "patterns with escapes": { type: "string", pattern: "^\\w+\\s\\(\\d{3}\\)\\.[-_]$" },
  "formats": {
    type: "object",
    properties: Object.fromEntries(Object.keys(FORMATS).map((format) => [format, { type: "string", format }])),
    required: Object.keys(FORMATS),
  },
};

for (const [name, schema] of Object.entries(SCHEMAS)) {
  Deno.test(`schemaGrammar() allows what a schema does and nothing else: ${name}`, () => {
    everySample(schema);
  });
}

Deno.test("schemaGrammar() lets all be written that a schema allows: of small ones, every value comes", () => {
  const values = (schema: JsonSchema) =>
    new Set(everySample(schema, { runs: 400 }).map((value) => JSON.stringify(value)));
  assert.deepEqual(
    values({ properties: { a: { const: 1 }, b: { const: 2 } }, required: ["b"] }),
    new Set(['{"b":2}', '{"a":1,"b":2}']),
  );
  assert.deepEqual(
    values({ properties: { a: { const: 1 }, b: { const: 2 } } }),
    new Set(["{}", '{"a":1}', '{"b":2}', '{"a":1,"b":2}']),
  );
  assert.deepEqual(values({ type: "array", items: { const: 1 }, maxItems: 2 }), new Set(["[]", "[1]", "[1,1]"]));
  assert.equal(values({ type: "integer", minimum: -3, exclusiveMaximum: 3 }).size, 6);
});

Deno.test("schemaGrammar() keeps numbers within their bounds", () => {
  const bound = fc.integer({ min: -12_000, max: 12_000 });
  const type = fc.constantFrom("integer", "number");
  fc.assert(
    fc.property(type, bound, bound, fc.nat(3), (type, one, other, form) => {
      const [low, high] = [Math.min(one, other), Math.max(one, other) + 2];
      everySample({
        type,
        ...form & 1 ? { exclusiveMinimum: low } : { minimum: low },
        ...form & 2 ? { exclusiveMaximum: high } : { maximum: high },
      }, { runs: 10 });
      everySample({ type, minimum: low }, { runs: 3 });
      everySample({ type, maximum: low }, { runs: 3 });
    }),
    { numRuns: 40 },
  );
});

Deno.test("schemaGrammar() keeps to schemas of any make", () => {
  const leaf: fc.Arbitrary<JsonSchema> = fc.oneof(
    fc.constantFrom({ type: "string" }, { type: "integer" }, { type: "number" }, { type: "boolean" }, { type: "null" }),
    fc.record({ enum: fc.array(fc.jsonValue({ maxDepth: 1 }), { minLength: 1, maxLength: 3 }) }),
    fc.record({ const: fc.jsonValue({ maxDepth: 2 }) }),
    fc.nat(4).map((least) => ({ type: "string", minLength: least, maxLength: least + 2 })),
  );
  const { schema } = fc.letrec<{ schema: JsonSchema }>((tie) => ({
    schema: fc.oneof(
      { maxDepth: 3 },
      leaf,
      fc.record({ type: fc.constant("array"), items: tie("schema"), minItems: fc.nat(2) }),
      fc.array(tie("schema"), { minLength: 1, maxLength: 3 }).map((anyOf) => ({ anyOf })),
      fc.tuple(
        fc.dictionary(fc.string({ unit: "grapheme", maxLength: 4 }), tie("schema"), { maxKeys: 4 }),
        fc.infiniteStream(fc.boolean()),
        fc.option(tie("schema"), { nil: undefined }),
      ).map(([properties, needed, others]) => ({
        type: "object",
        properties,
        required: Object.keys(properties).filter(() => needed.next().value === true),
        additionalProperties: others ?? false,
      })),
    ),
  }));
  fc.assert(fc.property(schema, (schema) => void everySample(schema, { runs: 3 })), { numRuns: 60 });
});

Deno.test("schemaGrammar() refuses what a grammar cannot keep to, and names it", () => {
  const cases: [unknown, RegExp][] = [
    [{ not: { type: "string" } }, /"not"/],
    [{ if: {}, then: {} }, /"if"/],
    [{ type: "array", uniqueItems: true }, /"uniqueItems"/],
    [{ type: "object", patternProperties: {} }, /"patternProperties"/],
    [{ type: "number", multipleOf: 3 }, /"multipleOf"/],
    [{ type: "string", pattern: "^(?=a)" }, /pattern/],
    [{ type: "string", pattern: "(a)\\1" }, /pattern/],
    [{ type: "string", pattern: "a|(" }, /pattern/],
    [{ type: "text" }, /type/],
    [{ type: [] }, /type/],
    [{ enum: [] }, /enum/],
    [{ type: "integer", enum: ["a"] }, /enum/],
    [{ anyOf: {} }, /anyOf/],
    [{ properties: [] }, /properties/],
    [{ properties: { a: 3 } }, /neither an object nor true/],
    [{ properties: { a: false } }, /allows no value/],
    [{ required: "a" }, /required/],
    [{ properties: { a: {} }, required: ["b"] }, /not allowed/],
    [{ type: "integer", minimum: 5, maximum: 4 }, /no number/],
    [{ type: "number", minimum: 0.5 }, /whole/],
    [{ type: "string", minLength: 3, maxLength: 2 }, /maxLength/],
    [{ type: "string", minLength: -1 }, /minLength/],
    [{ $ref: "#/$defs/none" }, /points to nothing/],
    [{ $ref: "https://example.org/schema" }, /into the schema itself/],
    [{ $ref: "#" }, /itself|circle/],
    [{ anyOf: [{ $ref: "#" }, { type: "null" }] }, /itself/],
    [{ allOf: [{ type: "string" }, { type: "null" }] }, /disagree/],
    [{ allOf: [{ $ref: "#" }] }, /itself/],
    [{ $defs: { a: { $ref: "#/$defs/b" }, b: { $ref: "#/$defs/a" } }, $ref: "#/$defs/a" }, /circle|itself/],
    [{ type: "string", maxLength: 1e9 }, /too far/],
    [{ type: "array", prefixItems: Array.from({ length: 60 }, () => ({ type: "string", maxLength: 500 })) }, /too far/],
    [{ properties: Object.fromEntries(Array.from({ length: 3_000 }, (_, at) => [`p${at}`, {}])) }, /too large/],
  ];
  for (const [schema, message] of cases) {
    assert.throws(() => schemaGrammar(schema as JsonSchema), (error: Error & { code?: string }) => {
      assert.equal(error.code, "bad_request", `${JSON.stringify(schema).slice(0, 80)}: ${error.stack}`);
      assert.match(error.message, message);
      return true;
    });
  }
});

Deno.test("schemaGrammar() refuses what grows without bounds when it is written out", () => {
  // Each level names the next one twice, so that there are two to the power of thirty ways.
  const ways: ((next: JsonSchema) => JsonSchema)[] = [
    (next) => ({ allOf: [next, next] }),
    (next) => ({ type: "object", anyOf: [next, next] }),
    (next) => ({ allOf: [{ anyOf: [next, next] }, { title: "x" }] }),
  ];
  for (const way of ways) {
    const levels = Array.from({ length: 30 }, (_, at) => [`d${at}`, way({ $ref: `#/$defs/d${at + 1}` })] as const);
    const schema = { $ref: "#/$defs/d0", $defs: { ...Object.fromEntries(levels), d30: { minProperties: 1 } } };
    try {
      assert.ok(schemaGrammar(schema).length < 10_000);
    } catch (error) {
      assert.equal((error as { code?: string }).code, "bad_request");
    }
  }
});

Deno.test("schemaGrammar() answers or refuses whatever it is given, and never fails otherwise", () => {
  const key = fc.constantFrom(
    ..."type items anyOf allOf oneOf $ref properties required enum const minItems maxLength pattern format".split(" "),
    "additionalProperties",
    "minimum",
    "$defs",
    "nullable",
  );
  const { value } = fc.letrec((tie) => ({
    value: fc.oneof(
      { maxDepth: 5 },
      fc.constantFrom(
        "#",
        "#/$defs/type",
        "object",
        "string",
        "array",
        "^a[b-c]*$",
        "integer",
        0,
        3,
        -1,
        null,
      ),
      fc.boolean(),
      fc.array(tie("value"), { maxLength: 3 }),
      fc.dictionary(key, tie("value"), { maxKeys: 4 }),
    ),
  }));
  fc.assert(
    fc.property(fc.dictionary(key, value, { maxKeys: 4 }), (schema) => {
      try {
        new GbnfSampler(schemaGrammar(schema));
      } catch (error) {
        if (error instanceof SyntaxError && error.message === "Nothing can be written") return;
        assert.equal((error as { code?: string }).code, "bad_request", String((error as Error).stack));
      }
    }),
    { numRuns: 2_000 },
  );
});
