import { ConfigError } from "./config_error.ts";

/**
 * What a node can yield to.
 *
 * | use | meaning |
 * |---|---|
 * | `gpu` | other programs use the GPU |
 * | `game` | a game runs, or something fills the screen, as far as the platform tells |
 * | `cpu` | other programs use the processors |
 * | `input` | somebody uses keyboard or mouse |
 */
export const YIELD_USES = ["gpu", "game", "cpu", "input"] as const;

/** One of {@linkcode YIELD_USES}. */
export type YieldUse = typeof YIELD_USES[number];

/** What a node yields to. */
export interface YieldSetting {
  /** What is looked at. */
  readonly uses: readonly YieldUse[];
  /** Whether `cpu` counts only on a machine at whose screen somebody is logged in: a server is meant to work. */
  readonly cpuAtDesktopOnly: boolean;
}

const AUTO: YieldSetting = { uses: ["gpu", "game", "cpu"], cpuAtDesktopOnly: true };

/**
 * Reads `--yield`: `auto`, `off`, or what it yields to, with commas; `auto,input` is the usual and one more.
 *
 * @throws {ConfigError} with one sentence.
 */
export function yieldSetting(text: string): YieldSetting {
  const words = text.split(",").map((word) => word.trim().toLowerCase()).filter(Boolean);
  if (words.length === 1 && words[0] === "off") return { uses: [], cpuAtDesktopOnly: false };
  const unknown = words.find((word) => word !== "auto" && !isUse(word));
  if (unknown !== undefined || words.length === 0) {
    throw new ConfigError(
      `Cannot use --yield ${text}: it is auto, off, or some of ${YIELD_USES.join(", ")} with commas between`,
    );
  }
  const named = words.filter(isUse);
  const auto = words.includes("auto");
  const uses = YIELD_USES.filter((use) => named.includes(use) || (auto && AUTO.uses.includes(use)));
  return { uses, cpuAtDesktopOnly: auto && !named.includes("cpu") };
}

function isUse(word: string): word is YieldUse {
  return (YIELD_USES as readonly string[]).includes(word);
}
