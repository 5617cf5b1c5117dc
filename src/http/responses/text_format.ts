import type { OutputFormat } from "@ark/node/protocol";
import { objectOf, schemaOf, textOf } from "../api/call_fields.ts";
import { invalid, unsupported } from "../api/request_fault.ts";
import { given, type RequestFields } from "../api/request_fields.ts";

/** What an answer's text must look like. */
export interface ReadText {
  /** For the engine; undefined for any text. */
  format: OutputFormat | undefined;
  /** `text` of the response. */
  show: object;
}

/**
 * Reads `text`.
 *
 * @throws {RequestFault}
 */
export function readText(fields: RequestFields): ReadText {
  const value = given(fields, "text");
  if (value === undefined) return { format: undefined, show: { format: { type: "text" }, verbosity: "medium" } };
  const text = objectOf(value, "text");
  const verbosity = given(text, "verbosity") ?? "medium";
  if (!["low", "medium", "high"].includes(String(verbosity))) {
    throw invalid("text.verbosity", "must be low, medium or high");
  }
  const { format, show } = formatOf(given(text, "format"));
  return { format, show: { format: show, verbosity } };
}

function formatOf(value: unknown): ReadText {
  const fields = objectOf(value ?? { type: "text" }, "text.format");
  const type = given(fields, "type");
  switch (type) {
    case "text":
      return { format: undefined, show: { type } };
    case "json_object":
      return { format: { kind: "json" }, show: { type } };
    case "json_schema": {
      const name = textOf(given(fields, "name"), "text.format.name");
      if (!/^[\w-]{1,64}$/.test(name)) {
        throw invalid("text.format.name", "must be 1 to 64 letters, digits, underscores or dashes");
      }
      const schema = schemaOf(given(fields, "schema"), "text.format.schema");
      const description = given(fields, "description");
      const strict = given(fields, "strict") ?? true;
      if (typeof strict !== "boolean") throw invalid("text.format.strict", "must be true or false");
      return {
        format: { kind: "json_schema", schema },
        show: {
          type,
          name,
          description: description === undefined ? null : textOf(description, "text.format.description"),
          schema,
          strict,
        },
      };
    }
  }
  if (typeof type !== "string") throw invalid("text.format.type", "must be text, json_object or json_schema");
  throw unsupported("text.format.type", "must be text, json_object or json_schema");
}
