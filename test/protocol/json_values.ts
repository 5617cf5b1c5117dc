import fc from "fast-check";

/** Any JSON value, with keys that have tripped up codecs before. */
export function anyJson(): fc.Arbitrary<unknown> {
  const key = fc.oneof(fc.string(), fc.constantFrom("__proto__", "constructor", "type", "model", "user", "messages"));
  return fc.letrec((tie) => ({
    value: fc.oneof(
      { depthSize: "small" },
      fc.constant(null),
      fc.boolean(),
      fc.double({ noNaN: true, noDefaultInfinity: true }),
      fc.integer(),
      fc.string({ unit: "binary" }),
      fc.array(tie("value")),
      fc.array(fc.tuple(key, tie("value"))).map(Object.fromEntries),
    ),
  })).value.map((value) => JSON.parse(JSON.stringify(value)));
}

/** A value of the shape of `template`, with at most one part of it replaced by any JSON value, dropped, or added. */
export function almost(template: unknown): fc.Arbitrary<unknown> {
  const paths = pathsOf(template);
  return fc.tuple(fc.constantFrom(...paths), anyJson(), fc.constantFrom("replace", "drop", "add"), fc.string())
    .map(([path, value, how, name]) => changed(template, { path, value, how, name }));
}

type Path = readonly (string | number)[];

function pathsOf(value: unknown): Path[] {
  if (typeof value !== "object" || value === null) return [[]];
  return [[], ...Object.entries(value).flatMap(([key, part]) => pathsOf(part).map((path) => [key, ...path]))];
}

function changed(value: unknown, change: { path: Path; value: unknown; how: string; name: string }): unknown {
  const copy = structuredClone(value);
  const last = change.path.at(-1);
  if (last === undefined) return change.value;
  // deno-lint-ignore no-explicit-any
  const parent: any = change.path.slice(0, -1).reduce((part: any, key) => part[key], copy);
  if (change.how === "drop") delete parent[last];
  else if (change.how === "add" && Array.isArray(parent)) parent.push(change.value);
  else {
    // Not an assignment: that would not make a field of the name `__proto__`.
    const name = change.how === "add" ? change.name : last;
    Object.defineProperty(parent, name, { value: change.value, enumerable: true, configurable: true, writable: true });
  }
  return JSON.parse(JSON.stringify(copy));
}
