/** Characters that look like others: Cyrillic, Greek, digits, and pairs that run together. */
const LOOKS: readonly (readonly [RegExp, string])[] = [
  [/[аαɑ]/g, "a"],
  [/[вβ8]/g, "b"],
  [/[сϲ]/g, "c"],
  [/[еεєё3]/g, "e"],
  [/[нη]/g, "h"],
  [/[іïιı1lј|!]/g, "i"],
  [/[кκ]/g, "k"],
  [/[мμ]|rn/g, "m"],
  [/[оο0]/g, "o"],
  [/[рρ]/g, "p"],
  [/[ѕ5]/g, "s"],
  [/[тτ7]/g, "t"],
  [/[υцµ]/g, "u"],
  [/[ν]/g, "v"],
  [/ω|vv/g, "w"],
  [/[хχ]/g, "x"],
  [/[уγ]/g, "y"],
];

/**
 * The first of some names that a new one could be taken for, or null: same letters in another alphabet, other case,
 * digits for letters, accents and punctuation aside, or one character more, less or other.
 */
export function lookAlike(name: string, known: readonly string[]): string | null {
  const shape = shapeOf(name);
  if (shape === "") return null;
  return known.find((one) => alike(shape, shapeOf(one))) ?? null;
}

function shapeOf(name: string): string {
  const plain = name.normalize("NFKD").replaceAll(/\p{M}/gu, "").toLowerCase();
  const shape = LOOKS.reduce((text, [pattern, letter]) => text.replaceAll(pattern, letter), plain);
  return shape.replaceAll(/[^\p{L}\p{N}]/gu, "");
}

/** Short names may well differ by one character: `ark 1` and `ark 2`. */
const LEAST_LENGTH = 6;

function alike(a: string, b: string): boolean {
  if (a === b) return true;
  if (Math.min(a.length, b.length) < LEAST_LENGTH || Math.abs(a.length - b.length) > 1) return false;
  let from = 0;
  while (from < a.length && a[from] === b[from]) from++;
  const [restA, restB] = [a.slice(from), b.slice(from)];
  return restA.slice(1) === restB.slice(1) || restA.slice(1) === restB || restA === restB.slice(1);
}
