import { type RunTool, runTool } from "./run_tool.ts";
import { cannotTell, type UseDetector, type UseReading } from "./use_detector.ts";

/** Options of {@linkcode GameUse}. */
export interface GameUseOptions {
  /** Asks a program. */
  run?: RunTool;
  /** The operating system, as `Deno.build.os`. */
  os?: string;
}

/** Prints what Windows itself goes by before it shows a notification: 2 and 3 are something that fills the screen, 4 a talk. */
const WINDOWS_STATE =
  "$t='[DllImport(\"shell32.dll\")] public static extern int SHQueryUserNotificationState(out int s);';" +
  "$u=Add-Type -MemberDefinition $t -Name N -Namespace Ark -PassThru;$s=0;[void]$u::SHQueryUserNotificationState([ref]$s);$s";

/**
 * Looks whether a game runs: on Linux as far as games tell GameMode (Steam, Lutris and Heroic can start them so), on Windows whether
 * something fills the screen. Wayland and macOS tell no other program what fills the screen.
 */
export class GameUse implements UseDetector {
  readonly what = "game";
  readonly everyMs: number;
  readonly #run: RunTool;
  readonly #os: string;

  /** Has not looked yet. */
  constructor({ run = runTool, os = Deno.build.os }: GameUseOptions = {}) {
    this.#run = run;
    this.#os = os;
    this.everyMs = os === "windows" ? 30_000 : 15_000;
  }

  /** Looks once. */
  async look(signal: AbortSignal): Promise<UseReading> {
    if (this.#os === "linux") return await this.#ask("gamemoded", ["-s"], { signal, parse: parseGameMode });
    if (this.#os === "windows") {
      const args = ["-NoProfile", "-NonInteractive", "-Command", WINDOWS_STATE];
      return await this.#ask("powershell.exe", args, { signal, parse: parseNotificationState });
    }
    return cannotTell("this system does not tell whether a game fills the screen");
  }

  async #ask(
    program: string,
    args: readonly string[],
    { signal, parse }: { signal: AbortSignal; parse: (text: string) => boolean | null },
  ): Promise<UseReading> {
    const answer = await this.#run(program, args, signal);
    if (answer.kind === "missing") return cannotTell(`there is no ${program} here`);
    if (answer.kind === "failed") return cannotTell(answer.why);
    const plays = parse(answer.text);
    if (plays === null) return cannotTell(`${program} does not say whether a game runs`);
    return plays ? { kind: "used", sentence: "A game or something else that fills the screen runs" } : { kind: "calm" };
  }
}

/** What `gamemoded -s` prints. Total; null where it is something else. */
export function parseGameMode(text: string): boolean | null {
  if (/^gamemode is active$/m.test(text)) return true;
  return /^gamemode is inactive$/m.test(text) ? false : null;
}

/** A `QUERY_USER_NOTIFICATION_STATE`. Total; null where it is none. */
export function parseNotificationState(text: string): boolean | null {
  const [, state] = /^\s*([1-7])\s*$/.exec(text) ?? [];
  return state === undefined ? null : ["2", "3", "4"].includes(state);
}
