import type { Finding } from "@ark/node/http";
import type { StillFacts } from "./facts.ts";
import { shellWord } from "./typed_word.ts";

const OTHERS = 0o077;
const DAY_MS = 86_400_000;
const OLD_DAYS = 365;

/** Whether others than the owner can open what is secret. Pure. */
export function privateFiles({ files, tokenAgeMs }: StillFacts): Finding[] {
  const check = "private-files";
  const loose = files.filter(({ mode }) => mode !== null && (mode & OTHERS) !== 0);
  const found: Finding[] = loose.map(({ path, what, mode }) => ({
    check,
    level: "danger",
    sentence: `Other users of this machine can open ${what} ${path} (mode ${octal(mode ?? 0)})`,
    fix: `Run: chmod ${what.includes("directory") ? "700" : "600"} ${shellWord(path)}`,
  }));
  if (loose.length === 0) {
    found.push({ check, level: "ok", sentence: "Key, token, database and audit log are for their owner only" });
  }
  if (tokenAgeMs !== null && tokenAgeMs > OLD_DAYS * DAY_MS) {
    found.push({
      check: "admin-token",
      level: "warning",
      sentence: `The admin token is ${Math.floor(tokenAgeMs / DAY_MS)} days old`,
      fix: "Delete admin.token in the data directory and start the node again, which makes a new one",
    });
  }
  return found;
}

function octal(mode: number): string {
  return (mode & 0o7777).toString(8).padStart(4, "0");
}
