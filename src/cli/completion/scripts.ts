import type { CommandOutline } from "../command.ts";
import { bashScript } from "./bash.ts";
import { fishScript } from "./fish.ts";
import { completionSpec } from "./spec.ts";
import { zshScript } from "./zsh.ts";

const SHELLS: ReadonlyMap<string, typeof bashScript> = new Map([
  ["bash", bashScript],
  ["zsh", zshScript],
  ["fish", fishScript],
]);

/** The script of a shell for these commands, or null for another shell. */
export function completionScript(shell: string, commands: readonly CommandOutline[]): string | null {
  return SHELLS.get(shell)?.(completionSpec(commands)).trimEnd() ?? null;
}
