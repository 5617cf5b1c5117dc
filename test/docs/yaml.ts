/** Reads the part of YAML that configurations in the documentation use: mappings, lists, plain and quoted scalars. */

interface Line {
  readonly indent: number;
  readonly text: string;
  readonly number: number;
}

/** Reads a document. Throws a SyntaxError with the line for all that it does not know. */
export function parseYaml(source: string): unknown {
  const lines = source.split("\n").flatMap((line, index): Line[] => {
    const text = line.replace(/(^|\s)#.*$/, "").trimEnd();
    if (text.includes("\t")) throw new SyntaxError(`Line ${index + 1}: YAML knows no tabs`);
    if (text.trim() === "" || text === "---") return [];
    return [{ indent: text.length - text.trimStart().length, text: text.trimStart(), number: index + 1 }];
  });
  const rest = { lines };
  const value = node(rest, lines[0]?.indent ?? 0);
  if (rest.lines.length > 0) throw wrong(rest.lines[0]);
  return value;
}

function node(rest: { lines: Line[] }, indent: number): unknown {
  const [first] = rest.lines;
  if (first === undefined) return null;
  return /^-( |$)/.test(first.text) ? list(rest, indent) : mapping(rest, indent);
}

function list(rest: { lines: Line[] }, indent: number): unknown[] {
  const items: unknown[] = [];
  for (let [line] = rest.lines; line?.indent === indent && /^-( |$)/.test(line.text); [line] = rest.lines) {
    const text = line.text.slice(1).trimStart();
    if (text === "") {
      rest.lines = rest.lines.slice(1);
      const [next] = rest.lines;
      items.push(next !== undefined && next.indent > indent ? node(rest, next.indent) : null);
    } else if (keyOf(text) !== null || /^-( |$)/.test(text)) {
      const inner = indent + line.text.length - text.length;
      rest.lines = [{ ...line, indent: inner, text }, ...rest.lines.slice(1)];
      items.push(node(rest, inner));
    } else {
      items.push(scalar(text, line));
      rest.lines = rest.lines.slice(1);
    }
  }
  return items;
}

function mapping(rest: { lines: Line[] }, indent: number): Record<string, unknown> {
  const value: Record<string, unknown> = {};
  for (let [line] = rest.lines; line !== undefined && line.indent === indent; [line] = rest.lines) {
    const pair = keyOf(line.text);
    if (pair === null) throw wrong(line);
    const [key, text] = pair;
    if (Object.hasOwn(value, key)) throw new SyntaxError(`Line ${line.number}: ${key} is there twice`);
    rest.lines = rest.lines.slice(1);
    const [next] = rest.lines;
    if (text !== "") value[key] = scalar(text, line);
    else if (next !== undefined && (next.indent > indent || (next.indent === indent && next.text.startsWith("- ")))) {
      value[key] = node(rest, next.indent);
    } else value[key] = null;
  }
  if ((rest.lines[0]?.indent ?? 0) > indent) throw wrong(rest.lines[0]);
  return value;
}

function keyOf(text: string): [string, string] | null {
  const [, key, rest = ""] = /^("[^"]*"|'[^']*'|[^\s"'[{&*!|>#][^:]*?):(?: +(.*))?$/.exec(text) ?? [];
  return key === undefined ? null : [key.replaceAll(/^["']|["']$/g, ""), rest];
}

function scalar(text: string, line: Line): unknown {
  if (/^".*"$/.test(text)) return JSON.parse(text);
  if (/^'.*'$/.test(text)) return text.slice(1, -1).replaceAll("''", "'");
  if (/^\[.*\]$/.test(text)) {
    return text.slice(1, -1).split(",").map((one) => one.trim()).filter(Boolean).map((one) => scalar(one, line));
  }
  if (/^["'[{&*!|>]/.test(text)) throw wrong(line);
  if (/^(true|false)$/.test(text)) return text === "true";
  if (/^(null|~)$/.test(text)) return null;
  return /^-?\d+(\.\d+)?$/.test(text) ? Number(text) : text;
}

function wrong(line: Line | undefined): SyntaxError {
  return new SyntaxError(`Line ${line?.number}: this cannot be read as YAML: ${line?.text}`);
}
