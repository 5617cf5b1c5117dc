/** Digits of the largest whole number that a grammar writes. */
const MOST_DIGITS = 16;
const LARGEST = 10n ** BigInt(MOST_DIGITS) - 1n;

/** Bounds of a number: whole numbers, or null where there is none. */
export interface Bounds {
  /** Not less than this. */
  least: bigint | null;
  /** Not more than this. */
  most: bigint | null;
}

/** A rule's body for the whole numbers within bounds, or null where there are none. */
export function integersBetween({ least, most }: Bounds): string | null {
  const from = least ?? -LARGEST;
  const to = most ?? LARGEST;
  const alternatives = signed(from, to).map(({ sign, low, high }) => `${sign}(${digits(low, high)})`);
  return alternatives.length === 0 ? null : alternatives.join(" | ");
}

/** Bounds of a number that need not be whole. */
export interface RealBounds extends Bounds {
  /** Whether the number is more than `least`. */
  above: boolean;
  /** Whether the number is less than `most`. */
  below: boolean;
}

/** A rule's body for the decimal numbers within bounds that are whole, or null where there are none. */
export function numbersBetween({ least, most, above, below }: RealBounds): string | null {
  const from = least ?? -LARGEST;
  const to = most ?? LARGEST;
  const alternatives: string[] = [];
  if (to >= 0n && to >= from) {
    const start = from < 0n ? 0n : from;
    alternatives.push(...magnitudes(start, to, { above: above && from >= 0n, below }));
  }
  if (from < 0n) {
    const end = to < 0n ? -to : 0n;
    alternatives.push(
      ...magnitudes(end, -from, { above: below && to <= 0n, below: above }).map((body) => `"-" ${body}`),
    );
  }
  return alternatives.length === 0 ? null : alternatives.join(" | ");
}

/** Decimal numbers from `low` to `high`, both at least 0. */
function magnitudes(low: bigint, high: bigint, { above, below }: { above: boolean; below: boolean }): string[] {
  const alternatives: string[] = [];
  const fraction = '("." [0-9]{1,16})?';
  const fresh = above ? low + 1n : low;
  if (above && low < high) alternatives.push(`"${low}" "." [0-9]{0,15} [1-9]`);
  if (fresh < high) alternatives.push(`(${digits(fresh, high - 1n)}) ${fraction}`);
  if (!below && high >= fresh) alternatives.push(`"${high}" ("." "0"{1,16})?`);
  return alternatives;
}

function signed(from: bigint, to: bigint): { sign: string; low: bigint; high: bigint }[] {
  const ranges = [];
  if (to >= 0n && to >= from) ranges.push({ sign: "", low: from < 0n ? 0n : from, high: to });
  if (from < 0n && to >= from) ranges.push({ sign: '"-" ', low: to < 0n ? -to : 1n, high: -from });
  return ranges.filter(({ low, high }) => low <= high);
}

/** Alternatives for the whole numbers from `low` to `high`, both at least 0, without leading zeros. */
function digits(low: bigint, high: bigint): string {
  const alternatives: string[] = [];
  for (let length = String(low).length; length <= String(high).length; length++) {
    const first = length === 1 ? 0n : 10n ** BigInt(length - 1);
    const last = 10n ** BigInt(length) - 1n;
    alternatives.push(...sameLength(String(low > first ? low : first), String(high < last ? high : last)));
  }
  return alternatives.join(" | ");
}

/** Alternatives for the texts of digits between two of the same length. */
function sameLength(low: string, high: string): string[] {
  const [first = ""] = low;
  const [last = ""] = high;
  const rest = low.length - 1;
  if (/^0*$/.test(low) && /^9*$/.test(high)) return [`[0-9]{${low.length}}`];
  if (rest === 0) return [`[${first}-${last}]`];
  if (first === last) return sameLength(low.slice(1), high.slice(1)).map((tail) => `"${first}" ${tail}`);
  const lowRest = low.slice(1);
  const highRest = high.slice(1);
  const open = /^0+$/.test(lowRest) ? Number(first) : Number(first) + 1;
  const close = /^9+$/.test(highRest) ? Number(last) : Number(last) - 1;
  return [
    ...open > Number(first) ? sameLength(lowRest, "9".repeat(rest)).map((tail) => `"${first}" ${tail}`) : [],
    ...open <= close ? [`[${open}-${close}] [0-9]{${rest}}`] : [],
    ...close < Number(last) ? sameLength("0".repeat(rest), highRest).map((tail) => `"${last}" ${tail}`) : [],
  ];
}
