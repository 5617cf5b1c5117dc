/** Writes what quick.ts knows of the commands: `deno task index`, after a command or a flag has changed. */
import { COMMANDS } from "../../src/cli/commands/mod.ts";
import { EXAMPLES } from "../../src/cli/examples.ts";

/** Where it lies. */
export const INDEX = new URL("../../src/cli/command_index.json", import.meta.url);

/** Everything about the commands that are shown but what they do, as JSON keeps it. */
export function commandIndex(): unknown {
  const shown = COMMANDS.filter(({ hidden }) => !hidden).map(({ run: _, example, ...outline }) => {
    const shown = example ?? EXAMPLES[outline.name];
    return shown === undefined ? outline : { ...outline, example: shown };
  });
  return JSON.parse(JSON.stringify(shown));
}

if (import.meta.main) {
  await Deno.writeTextFile(INDEX, JSON.stringify(commandIndex(), null, 2) + "\n");
}
