import { type Command, type CommandOutline, EXIT, UsageError } from "../command.ts";
import { completionScript } from "../completion/scripts.ts";

/** Makes the command that prints completion scripts of the commands that `all` returns. */
export function completionCommand(all: () => readonly CommandOutline[]): Command {
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
      const script = completionScript(shell ?? "", all());
      if (script === null || more.length > 0) {
        throw new UsageError("Name your shell: ark-node completion bash, zsh or fish");
      }
      if (json) out.json({ shell, script });
      else out.line(script);
      return Promise.resolve(EXIT.ok);
    },
  };
}
