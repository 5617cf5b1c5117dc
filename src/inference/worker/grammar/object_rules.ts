import { classCharacters, type GrammarRules, literal } from "./grammar_rules.ts";
import { type Schema, unsupported } from "./schema_parts.ts";

/** Longest name of a property that others must be told from, in UTF-16 units. */
const LONGEST_NAME = 256;

/** What object rules are made with. */
export interface ObjectRuleMaker {
  /** Where rules are added. */
  rules: GrammarRules;
  /** Makes a rule for the values of a schema. */
  rule(schema: unknown): string;
}

/**
 * A rule's body for objects: the properties in the order of the schema, those that are not required present or not, and
 * after them whatever else is allowed.
 */
export function objectBody(said: Schema, { rules, rule }: ObjectRuleMaker): string {
  const { additionalProperties, propertyNames } = said;
  const properties = (said.properties ?? {}) as Schema;
  const required = (said.required ?? []) as string[];
  const known = Object.entries(properties);
  const names = [...known.map(([name]) => name), ...required.filter((name) => !Object.hasOwn(properties, name))];
  const limits = said.minProperties !== undefined || said.maxProperties !== undefined;
  if (names.length > 0 && (limits || propertyNames !== undefined)) {
    throw unsupported("minProperties, maxProperties and propertyNames do not go together with properties");
  }
  const ws = rules.primitive("ws");
  // Where nothing is said about properties, any is allowed.
  const free = additionalProperties === undefined && known.length === 0 ? true : additionalProperties ?? false;
  if (free === false && names.length > known.length) throw unsupported("required names a property that is not allowed");
  const others = free === false ? null : pair({
    key: propertyNames === undefined ? otherNames(names, rules) : rule(stringSchema(propertyNames)),
    value: rule(free),
    rules,
  });
  if (names.length === 0) return anyObject(said, { rules, others });
  const properPairs = names.map((name) => ({
    needed: required.includes(name),
    pair: pair({
      key: literal(JSON.stringify(name)),
      value: rule(Object.hasOwn(properties, name) ? properties[name] : free),
      rules,
    }),
  }));
  const comma = `"," ${ws}`;
  // From the last one back: what may follow after some property, and what where there was none before.
  let after = others === null ? "" : rules.add(`(${comma} ${others})*`);
  let first = others === null ? "" : rules.add(`(${others} (${comma} ${others})*)?`);
  for (const { needed, pair: own } of properPairs.reverse()) {
    const following = `${own} ${after}`;
    const begun = needed ? `${comma} ${following}` : `(${comma} ${own})? ${after}`;
    first = rules.add(needed ? following : `${following} | ${first || '""'}`);
    after = rules.add(begun);
  }
  return `"{" ${ws} ${first} ${ws} "}"`;
}

function anyObject(
  said: Schema,
  { rules, others }: { rules: GrammarRules; others: string | null },
): string {
  const ws = rules.primitive("ws");
  const least = Number(said.minProperties ?? 0);
  const most = said.maxProperties === undefined ? null : Number(said.maxProperties);
  if (![least, most ?? 0].every((value) => Number.isSafeInteger(value) && value >= 0) || (most ?? least) < least) {
    throw unsupported("minProperties and maxProperties must be whole numbers in order");
  }
  if (least > 1) throw unsupported("minProperties may be 1 at most: that names differ cannot be kept to");
  if (others === null || most === 0) {
    if (least > 0) throw unsupported("minProperties wants a property, and none is allowed");
    return `"{" ${ws} "}"`;
  }
  const more = rules.repeat(`("," ${ws} ${others})`, 0, most === null ? null : most - 1);
  const many = `${others} ${more} ${ws}`;
  return `"{" ${ws} ${least === 0 ? `(${many})?` : many} "}"`;
}

function pair({ key, value, rules }: { key: string; value: string; rules: GrammarRules }): string {
  return rules.add(`${key} ":" ${rules.primitive("sp")} ${value}`);
}

/** Names are texts, also where that is not said. */
function stringSchema(schema: unknown): unknown {
  return typeof schema === "object" && schema !== null ? { ...schema, type: "string" } : schema;
}

/** A rule for names other than some; where a name begins like one of them, it has no escapes so far. */
function otherNames(names: readonly string[], rules: GrammarRules): string {
  if (names.length === 0) return rules.primitive("string");
  const root: Branch = { next: new Map(), end: false };
  for (const name of names) {
    if (name.length > LONGEST_NAME) throw unsupported("a property's name is too long beside others that may come");
    let branch = root;
    for (const character of name) {
      let next = branch.next.get(character);
      if (next === undefined) branch.next.set(character, next = { next: new Map(), end: false });
      branch = next;
    }
    branch.end = true;
  }
  return rules.add(`"\\"" ${branchRule(root, rules)} "\\""`);
}

interface Branch {
  next: Map<string, Branch>;
  end: boolean;
}

function branchRule({ next, end }: Branch, rules: GrammarRules): string {
  const plain = [...next].filter(([character]) => !/^["\\\p{Cc}]$/u.test(character));
  const set = plain.map(([character]) => classCharacters(character)).join("");
  const alternatives = plain.map(([character, branch]) => `${literal(character)} ${branchRule(branch, rules)}`);
  alternatives.push(`[^"\\\\\\x7F\\x00-\\x1F${set}] ${rules.primitive("char")}*`);
  if (!end) alternatives.push('""');
  return rules.add(alternatives.join(" | "));
}
