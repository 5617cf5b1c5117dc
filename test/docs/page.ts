/** A page of the documentation, taken apart. */

/** What a comment before a block says about it. */
export interface Marker {
  /** Why it cannot run here; null where it runs. */
  readonly notRun: string | null;
  /** Settings such as `on: there`. */
  readonly settings: ReadonlyMap<string, string>;
}

/** A fenced block. */
export interface Block {
  /** Word after the fence. */
  readonly language: string;
  /** What is in it, with a line feed at the end. */
  readonly text: string;
  /** Line of its fence, from 1. */
  readonly line: number;
  /** What the comment before it says. */
  readonly marker: Marker;
}

/** A link in the text. */
export interface Link {
  /** Where it goes. */
  readonly target: string;
  /** Its line, from 1. */
  readonly line: number;
}

/** What the tests read of a page. */
export interface Page {
  /** Its name for messages. */
  readonly name: string;
  /** Its blocks, in order. */
  readonly blocks: readonly Block[];
  /** Its links outside of blocks. */
  readonly links: readonly Link[];
  /** What stands in its text as code. */
  readonly codes: readonly { readonly text: string; readonly line: number }[];
  /** Anchors of its headings, as GitHub makes them. */
  readonly anchors: ReadonlySet<string>;
  /** What `<!-- sandbox: … -->` says, or null. */
  readonly sandbox: string | null;
  /** Names of the two machines, as `<!-- names: here=desk; there=nas.lan -->` says. */
  readonly names: ReadonlyMap<string, string>;
}

const NOTHING: Marker = { notRun: null, settings: new Map() };

/** Reads a page. Throws with its line where a fence is not closed or a comment cannot be understood. */
export function parsePage(name: string, source: string): Page {
  const blocks: Block[] = [];
  const links: Link[] = [];
  const codes: { text: string; line: number }[] = [];
  const anchors = new Set<string>();
  let sandbox: string | null = null;
  let names: ReadonlyMap<string, string> = new Map();
  let marker = NOTHING;
  const lines = source.split("\n");
  for (let at = 0; at < lines.length; at++) {
    const line = lines[at] ?? "";
    const fence = /^( *)(`{3,})(\S*)/.exec(line);
    if (fence !== null) {
      const [, indent = "", ticks = "", language = ""] = fence;
      const end = lines.findIndex((one, index) => index > at && one.trim() === ticks);
      if (end < 0) throw new SyntaxError(`${name}:${at + 1}: the block is not closed`);
      const text = lines.slice(at + 1, end).map((one) => one.slice(Math.min(indent.length, indentOf(one)))).join("\n");
      blocks.push({ language, text: `${text}\n`, line: at + 1, marker });
      marker = NOTHING;
      at = end;
      continue;
    }
    const comment = /^<!-- *([\w ]+): *(.*?) *-->$/.exec(line.trim());
    if (comment !== null) {
      const [, kind = "", said = ""] = comment;
      if (kind === "not run") marker = { notRun: said, settings: new Map() };
      else if (kind === "test") marker = { notRun: null, settings: settingsOf(said) };
      else if (kind === "sandbox") sandbox = said;
      else if (kind === "names") names = settingsOf(said, "=");
      else if (kind !== "generated") throw new SyntaxError(`${name}:${at + 1}: there is no comment "${kind}:"`);
      continue;
    }
    // A comment is about the block right behind it.
    if (line.trim() !== "") marker = NOTHING;
    const heading = /^#{1,6} +(.*)$/.exec(line)?.[1];
    if (heading !== undefined) anchors.add(freeAnchor(anchorOf(heading), anchors));
    for (const [, text = ""] of line.matchAll(/`([^`]+)`/g)) {
      codes.push({ text: text.replaceAll("\\|", "|"), line: at + 1 });
    }
    for (const [, target = ""] of line.replaceAll(/`[^`]*`/g, "").matchAll(/\[[^\]]*\]\(([^)\s]+)\)/g)) {
      links.push({ target, line: at + 1 });
    }
  }
  return { name, blocks, links, codes, anchors, sandbox, names };
}

/** The anchor of a heading. */
export function anchorOf(heading: string): string {
  const plain = heading.replaceAll(/\[([^\]]*)\]\([^)]*\)/g, "$1").replaceAll("`", "").trim().toLowerCase();
  return plain.replaceAll(/[^\p{L}\p{N}\- _]/gu, "").replaceAll(" ", "-");
}

function freeAnchor(anchor: string, taken: ReadonlySet<string>): string {
  let free = anchor;
  for (let count = 1; taken.has(free); count++) free = `${anchor}-${count}`;
  return free;
}

function indentOf(line: string): number {
  return line.length - line.trimStart().length;
}

function settingsOf(text: string, between = ":"): Map<string, string> {
  const pairs = text.split(";").map((part) => part.trim()).filter(Boolean);
  return new Map(pairs.map((pair) => {
    const at = pair.indexOf(between);
    return at < 0 ? [pair, ""] : [pair.slice(0, at).trim(), pair.slice(at + 1).trim()];
  }));
}
