import { LIMITS, type OutputFormat } from "@ark/node/protocol";
import { isObject, schemaOf, textOf } from "../api/call_fields.ts";
import { invalid, unsupported } from "../api/request_fault.ts";
import { given, type RequestFields } from "../api/request_fields.ts";

/**
 * What the answer must look like: OpenAI's `response_format`, and llama.cpp's `json_schema` and `grammar`; null where it may
 * look like anything. A schema holds whether or not it is `strict`.
 *
 * @throws {RequestFault}
 */
export function outputFormat(fields: RequestFields): OutputFormat | null {
  const formats = [responseFormat(given(fields, "response_format")), ownSchema(fields), ownGrammar(fields)]
    .filter((format) => format !== null);
  const [format = null, ...others] = formats;
  if (others.length > 0) {
    throw invalid("response_format", "must be the only one of response_format, json_schema and grammar");
  }
  return format;
}

function responseFormat(value: unknown): OutputFormat | null {
  if (value === undefined) return null;
  if (!isObject(value)) throw invalid("response_format", "must be an object with a type");
  const type = given(value, "type");
  switch (type) {
    case "text":
      return null;
    case "json_object": {
      // As llama.cpp's server has it.
      const schema = given(value, "schema");
      return schema === undefined ? { kind: "json" } : schemaFormat(schema, "response_format.schema");
    }
    case "json_schema": {
      const wrapped = given(value, "json_schema");
      if (wrapped === undefined) return schemaFormat(given(value, "schema"), "response_format.json_schema");
      if (!isObject(wrapped)) throw invalid("response_format.json_schema", "must be an object with a schema");
      return schemaFormat(given(wrapped, "schema"), "response_format.json_schema.schema");
    }
  }
  if (typeof type !== "string") throw invalid("response_format.type", "must be text, json_object or json_schema");
  throw unsupported("response_format.type", "must be text, json_object or json_schema");
}

function ownSchema(fields: RequestFields): OutputFormat | null {
  const schema = given(fields, "json_schema");
  return schema === undefined ? null : schemaFormat(schema, "json_schema");
}

function ownGrammar(fields: RequestFields): OutputFormat | null {
  const value = given(fields, "grammar");
  if (value === undefined || value === "") return null;
  const grammar = textOf(value, "grammar");
  if (grammar.length > LIMITS.schemaLength) {
    throw invalid("grammar", `must have at most ${LIMITS.schemaLength} characters`);
  }
  return { kind: "grammar", grammar };
}

function schemaFormat(schema: unknown, at: string): OutputFormat {
  return { kind: "json_schema", schema: schemaOf(schema, at) };
}
