import { desktopSessions } from "./logind.ts";
import { type RunTool, runTool } from "./run_tool.ts";
import { cannotTell, type UseDetector, type UseReading } from "./use_detector.ts";

/** Options of {@linkcode InputUse}. */
export interface InputUseOptions {
  /** Asks a program. */
  run?: RunTool;
  /** The operating system, as `Deno.build.os`. */
  os?: string;
}

/** Somebody who touched something within that time is there, in milliseconds. */
const LATELY_MS = 120_000;
const NOBODY: UseReading = { kind: "calm" };

/** Prints milliseconds since the last input, by a call that every Windows since 2000 has. */
const WINDOWS_IDLE = '$t=\'[DllImport("user32.dll")] public static extern bool GetLastInputInfo(ref I p);' +
  "[StructLayout(LayoutKind.Sequential)] public struct I {public uint s; public uint t;}';" +
  "$u=Add-Type -MemberDefinition $t -Name U -Namespace Ark -PassThru;" +
  "$i=New-Object Ark.U+I;$i.s=8;[void][Ark.U]::GetLastInputInfo([ref]$i);" +
  "[uint32]([uint32]([Environment]::TickCount -band 0x7fffffff)-($i.t -band 0x7fffffff))";

/**
 * Looks whether somebody uses keyboard or mouse of this machine: X11 says it to `xprintidle`, other desktops to logind,
 * macOS in its registry of devices, Windows by PowerShell. A machine at whose screen nobody is logged in has nobody who
 * could.
 */
export class InputUse implements UseDetector {
  readonly what = "input";
  readonly everyMs: number;
  readonly #run: RunTool;
  readonly #os: string;

  /** Has not looked yet. */
  constructor({ run = runTool, os = Deno.build.os }: InputUseOptions = {}) {
    this.#run = run;
    this.#os = os;
    // PowerShell takes a second of a processor.
    this.everyMs = os === "windows" ? 30_000 : 15_000;
  }

  /** Looks once. */
  async look(signal: AbortSignal): Promise<UseReading> {
    if (this.#os === "linux") return await this.#linux(signal);
    if (this.#os === "darwin") {
      return await this.#idle("ioreg", ["-c", "IOHIDSystem", "-d", "4"], { signal, parse: parseIoreg });
    }
    if (this.#os === "windows") {
      const args = ["-NoProfile", "-NonInteractive", "-Command", WINDOWS_IDLE];
      return await this.#idle("powershell.exe", args, { signal, parse: parseMilliseconds });
    }
    return cannotTell("this system does not tell when keyboard and mouse were used");
  }

  async #linux(signal: AbortSignal): Promise<UseReading> {
    const sessions = await desktopSessions(this.#run, signal);
    if (sessions !== null && sessions.length === 0) return NOBODY;
    const x11 = await this.#idle("xprintidle", [], { signal, parse: parseMilliseconds });
    if (x11.kind !== "cannot_tell") return x11;
    const hints = sessions?.map(({ idle }) => idle).filter((idle) => idle !== null) ?? [];
    if (hints.length === 0) return cannotTell("the desktop does not tell when keyboard and mouse were used");
    return hints.some((idle) => !idle) ? THERE : NOBODY;
  }

  async #idle(
    program: string,
    args: readonly string[],
    { signal, parse }: { signal: AbortSignal; parse: (text: string) => number | null },
  ): Promise<UseReading> {
    const answer = await this.#run(program, args, signal);
    if (answer.kind === "missing") return cannotTell(`there is no ${program} here`);
    if (answer.kind === "failed") return cannotTell(answer.why);
    const idleMs = parse(answer.text);
    if (idleMs === null) return cannotTell(`${program} does not say when keyboard and mouse were used`);
    return idleMs < LATELY_MS ? THERE : NOBODY;
  }
}

const THERE: UseReading = { kind: "used", sentence: "Somebody works at this machine" };

/** A number of milliseconds alone on its line. Total; null where it is none. */
export function parseMilliseconds(text: string): number | null {
  const [, digits] = /^\s*(\d{1,15})\s*$/.exec(text) ?? [];
  return digits === undefined ? null : Number(digits);
}

/** `"HIDIdleTime" = 123456789` of `ioreg`, which is nanoseconds, in milliseconds. Total; null where it is not there. */
export function parseIoreg(text: string): number | null {
  const all = [...text.matchAll(/"HIDIdleTime"\s*=\s*(\d{1,19})\b/g)].slice(0, 64).map(([, ns]) => Number(ns) / 1e6);
  return all.length === 0 ? null : Math.min(...all);
}
