/** Blocks whose characters take two columns of a terminal (East Asian Width W and F); emoji are told by their property. */
const WIDE: readonly (readonly [first: number, last: number])[] = [
  [0x1100, 0x115f],
  [0x2e80, 0x303e],
  [0x3041, 0x4dbf],
  [0x4e00, 0xa4cf],
  [0xa960, 0xa97f],
  [0xac00, 0xd7a3],
  [0xf900, 0xfaff],
  [0xfe10, 0xfe19],
  [0xfe30, 0xfe6f],
  [0xff01, 0xff60],
  [0xffe0, 0xffe6],
  [0x16fe0, 0x18d08],
  [0x1aff0, 0x1b2ff],
  [0x1f200, 0x1f265],
  [0x20000, 0x3fffd],
];

const EMOJI = /\p{Emoji_Presentation}|\p{Emoji}\ufe0f/u;
const NO_COLUMN = /^[\p{Mn}\p{Me}\p{Cf}]+$/u;
const PLAIN = /^[\x20-\x7e]*$/;
/** More marks than that on one letter are no writing: they would be drawn over the lines above and below. */
const MOST_IN_CLUSTER = 8;

const CLUSTERS = new Intl.Segmenter("en", { granularity: "grapheme" });

/** Columns that a text takes on a terminal. The text has no characters that steer one. */
export function displayWidth(text: string): number {
  if (PLAIN.test(text)) return text.length;
  let width = 0;
  for (const { segment } of CLUSTERS.segment(text)) width += clusterWidth(segment);
  return width;
}

/** The beginning of a text, as much as fits into so many columns; where something is left out it ends with `…`. */
export function cutToWidth(text: string, columns: number): string {
  if (columns <= 0) return "";
  if (PLAIN.test(text)) return text.length <= columns ? text : text.slice(0, columns - 1) + "…";
  let [shown, width, fits] = ["", 0, ""];
  for (const { segment } of CLUSTERS.segment(text)) {
    const cluster = segment.slice(0, MOST_IN_CLUSTER);
    width += clusterWidth(cluster);
    if (width > columns) return fits + "…";
    shown += cluster;
    if (width < columns) fits = shown;
  }
  return shown;
}

/** A text with as many spaces behind it as make it so many columns wide. */
export function padToWidth(text: string, columns: number): string {
  return text + " ".repeat(Math.max(0, columns - displayWidth(text)));
}

/** Words as lines of at most so many columns; the lines after the first begin with `indent`. A long word stays whole. */
export function wrapWords(text: string, columns: number, { indent = "" }: { indent?: string } = {}): string[] {
  const lines: string[] = [];
  let line = "";
  for (const word of text.split(" ").filter(Boolean)) {
    const longer = line === "" ? word : `${line} ${word}`;
    if (line !== "" && displayWidth(longer) > columns) {
      lines.push(line);
      line = indent + word;
    } else line = longer;
  }
  return [...lines, line];
}

function clusterWidth(cluster: string): number {
  if (EMOJI.test(cluster)) return 2;
  let width = 0;
  for (const character of cluster) {
    if (!NO_COLUMN.test(character)) width = Math.max(width, isWide(character.codePointAt(0) ?? 0) ? 2 : 1);
  }
  return width;
}

function isWide(point: number): boolean {
  return point >= 0x1100 && WIDE.some(([first, last]) => point >= first && point <= last);
}
