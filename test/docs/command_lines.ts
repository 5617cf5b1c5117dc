/** Finds the calls of `ark-node` in a shell text, and has the real command line read them without running them. */
import { main } from "@ark/node/cli";

/** Words of each call of `ark-node` in a shell text, without its name. What stands behind `#` is not looked at. */
export function arkCalls(text: string): string[][] {
  const calls: string[][] = [];
  for (const line of text.replaceAll(/\\\n/g, " ").split("\n")) {
    for (const words of simpleCommands(line)) {
      // The name of an image or of a container, as in `docker build -t ark-node .`, is no call.
      const at = words.findIndex((word, index) =>
        /(^|\/)ark-node(-[\w.]+)?$/.test(word) &&
        !/^(-t|--name|-u|install|cat|ls|enable|restart)$/.test(words[index - 1] ?? "")
      );
      if (at >= 0 && !words[at]?.startsWith("/etc/")) calls.push(words.slice(at + 1));
    }
  }
  return calls;
}

/** Why a call cannot be: an unknown command or flag. Null where it can. */
export async function callFault(words: readonly string[]): Promise<string | null> {
  let said = "";
  const stream = {
    isTerminal: () => false,
    writeSync(bytes: Uint8Array): number {
      said += new TextDecoder().decode(bytes);
      return bytes.length;
    },
  };
  const quiet = { isTerminal: () => false, writeSync: (bytes: Uint8Array) => bytes.length };
  // With --help a command reads its flags, which may fail, and then does nothing else.
  const code = await main([...words, "--help"], {
    version: "0.0.0",
    env: () => undefined,
    streams: { stdout: quiet, stderr: stream },
  });
  return code === 0 ? null : said.trim();
}

/** The simple commands of a line as lists of words: quotes are taken away, and what shells do between them is not done. */
function simpleCommands(line: string): string[][] {
  const commands: string[][] = [];
  let words: string[] = [];
  let word: string | null = null;
  const next = () => {
    if (word !== null) words.push(word);
    word = null;
  };
  const end = () => {
    next();
    if (words.length > 0) commands.push(words);
    words = [];
  };
  for (let at = 0; at < line.length; at++) {
    const sign = line[at] ?? "";
    if (sign === "'" || sign === '"') {
      const close = line.indexOf(sign, at + 1);
      word = (word ?? "") + line.slice(at + 1, close < 0 ? undefined : close);
      at = close < 0 ? line.length : close;
    } else if (sign === "#" && word === null) break;
    else if (";|&()<>".includes(sign)) end();
    else if (/\s/.test(sign)) next();
    else word = (word ?? "") + sign;
  }
  end();
  return commands;
}
