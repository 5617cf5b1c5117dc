import type { CallParser, KnownTools } from "./call_parser.ts";
import type { CallSyntax } from "./call_syntax.ts";
import { JsonCallParser } from "./json_call_parser.ts";
import { NamedCallParser } from "./named_call_parser.ts";
import { PairCallParser, TagCallParser } from "./tag_call_parsers.ts";

/** A parser for a call that began with one of the syntax's texts, or for a bare one. */
export function callParser(syntax: CallSyntax, tools: KnownTools, { opened }: { opened: string }): CallParser {
  switch (syntax.form) {
    case "tags":
      return new TagCallParser(tools, { inFunction: opened === "<function=" });
    case "pairs":
      return new PairCallParser(tools);
    case "named":
      return new NamedCallParser(tools, syntax.header ?? /^([\w.-]+)$/);
    default:
      return new JsonCallParser(tools);
  }
}
