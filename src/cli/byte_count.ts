/** A number of bytes for people, such as `5.2 MB`. */
export function byteCount(count: number): string {
  const units = ["B", "kB", "MB", "GB", "TB"];
  const power = Math.min(units.length - 1, Math.floor(Math.log10(Math.max(1, count)) / 3));
  const amount = count / 1_000 ** power;
  return `${amount.toFixed(power > 0 && amount < 100 ? 1 : 0)} ${units[power]}`;
}
