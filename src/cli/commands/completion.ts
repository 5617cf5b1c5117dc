import { type Command, EXIT, UsageError } from "../command.ts";
import { bashScript } from "../completion/bash.ts";
import { fishScript } from "../completion/fish.ts";
import { completionSpec } from "../completion/spec.ts";
import { zshScript } from "../completion/zsh.ts";

const SHELLS = { bash: bashScript, zsh: zshScript, fish: fishScript };

/** Makes the command that prints completion scripts of the commands that `all` returns. */
export function completionCommand(all: () => readonly Command[]): Command {
  return {
    name: "completion",
    summary: "Print a script with which your shell completes commands, flags and names",
    usage: "bash|zsh|fish",
    flags: {},
    details: `
  bash       source <(ark-node completion bash)      in ~/.bashrc
  zsh        source <(ark-node completion zsh)       in ~/.zshrc, after compinit
  fish       ark-node completion fish | source       in ~/.config/fish/config.fish

Names of models, peers and keys come from the running node; where none runs, nothing is said.`,
    run({ words: [shell, ...more], out, json }) {
      const make = Object.entries(SHELLS).find(([name]) => name === shell)?.[1];
      if (make === undefined || more.length > 0) {
        throw new UsageError("Name your shell: ark-node completion bash, zsh or fish");
      }
      const script = make(completionSpec(all()));
      if (json) out.json({ shell, script });
      else out.line(script.trimEnd());
      return Promise.resolve(EXIT.ok);
    },
  };
}
