import { isDeepStrictEqual } from "node:util";
import { parse, stringify } from "smol-toml";
import { ConfigError } from "./config_error.ts";
import { isJson, settingName } from "./config_file.ts";

/** A value of more lines is none that a person wrote. */
const MOST_LINES = 200;

/**
 * Changes one setting in the text of a configuration file, or takes it out with null. Everything else stays as it was
 * written, remarks as well; that is checked by reading the result. Pure.
 *
 * @param path only its end counts: `.json` is JSON, everything else TOML.
 * @throws {ConfigError} where the text is such that only a person can change it.
 */
export function editConfig(
  text: string,
  { path, name, value }: { path: string; name: string; value: string | boolean | readonly string[] | null },
): string {
  const json = isJson(path);
  const before = (json ? JSON.parse(text === "" ? "{}" : text) : parse(text)) as Record<string, unknown>;
  const key = Object.keys(before).find((one) => settingName(one) === name) ?? name;
  const { [key]: _, ...others } = before;
  const wanted: Record<string, unknown> = value === null ? others : { ...before, [key]: value };
  if (json) return JSON.stringify(wanted, null, 2) + "\n";
  const line = value === null ? [] : [stringify({ [key]: value }).trimEnd()];
  const lines = text.split("\n");
  const at = lines.findIndex((one) =>
    one.replace(/^\s*["']?/, "").replace(/["']?\s*=.*$/, "") === key && one.includes("=")
  );
  if (at < 0) {
    const ended = text === "" || text.endsWith("\n") ? text : `${text}\n`;
    return checked(`${ended}${line.map((one) => `${one}\n`).join("")}`, wanted) ?? refuse(path, name);
  }
  // A list may go over several lines: as many are replaced as make the text right.
  for (let count = 1; count <= MOST_LINES && at + count <= lines.length; count++) {
    const edited = checked(lines.toSpliced(at, count, ...line).join("\n"), wanted);
    if (edited !== null) return edited;
  }
  return refuse(path, name);
}

/** The text where it says exactly what it shall, or null. */
function checked(text: string, wanted: Record<string, unknown>): string | null {
  try {
    // The parser's objects have no prototype.
    return isDeepStrictEqual({ ...parse(text) }, { ...wanted }) ? text : null;
  } catch {
    return null;
  }
}

function refuse(path: string, name: string): never {
  throw new ConfigError(`Cannot change ${name} in ${path} without changing more than that: change it by hand`);
}
