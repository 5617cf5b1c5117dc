/** Numbers, sizes and times as people read them. */

/** @param {number} bytes */
export function size(bytes) {
  if (!(bytes > 0)) return "0 B";
  const units = ["B", "kB", "MB", "GB", "TB"];
  const step = Math.min(units.length - 1, Math.floor(Math.log10(bytes) / 3));
  const value = bytes / 1_000 ** step;
  return `${value >= 100 || step === 0 ? Math.round(value) : value.toFixed(1)} ${units[step]}`;
}

/** @param {number} seconds */
export function span(seconds) {
  const s = Math.max(0, Math.round(seconds));
  if (s < 60) return `${s} s`;
  if (s < 3_600) return `${Math.floor(s / 60)} min`;
  if (s < 86_400) return `${Math.floor(s / 3_600)} h ${Math.floor((s % 3_600) / 60)} min`;
  return `${Math.floor(s / 86_400)} d ${Math.floor((s % 86_400) / 3_600)} h`;
}

/** @param {number | null | undefined} ms */
export function millis(ms) {
  if (ms === null || ms === undefined) return "–";
  if (ms < 1) return `${ms.toFixed(2)} ms`;
  if (ms < 1_000) return `${Math.round(ms)} ms`;
  return ms < 60_000 ? `${(ms / 1_000).toFixed(1)} s` : span(ms / 1_000);
}

/** @param {string} instant RFC 3339 */
export function ago(instant) {
  const seconds = (Date.now() - Date.parse(instant)) / 1_000;
  return seconds < 5 ? "just now" : seconds < 86_400 ? `${span(seconds)} ago` : day(instant);
}

/** @param {string | number} instant */
export function day(instant) {
  return new Date(instant).toLocaleDateString(undefined, { day: "numeric", month: "short", year: "numeric" });
}

/** @param {string | number} instant */
export function clock(instant) {
  return new Date(instant).toLocaleTimeString(undefined, { hour: "2-digit", minute: "2-digit", second: "2-digit" });
}

/** @param {number} count @param {string} one @param {string} [many] */
export function counted(count, one, many = `${one}s`) {
  return `${count.toLocaleString()} ${count === 1 ? one : many}`;
}

/** @param {number} part 0 to 1 */
export function percent(part) {
  return `${Math.round(part * 100)} %`;
}

/** The first group of a node's id, which is enough to tell nodes apart. @param {string} id */
export function short(id) {
  return id.slice(0, 8);
}

/** Whether one can chat with a model; where its node does not say what it can do, one may try. */
export function chats({ capabilities }) {
  return capabilities === undefined || capabilities.includes("completion") || capabilities.includes("chat");
}
