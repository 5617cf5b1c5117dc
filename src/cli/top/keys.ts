/** A key that was pressed: a name, or the character that it types. */
export type Key = string;

const NAMED: Readonly<Record<string, Key>> = {
  "\u001b[A": "up",
  "\u001bOA": "up",
  "\u001b[B": "down",
  "\u001bOB": "down",
  "\u001b[5~": "page up",
  "\u001b[6~": "page down",
  "\u001b[H": "home",
  "\u001bOH": "home",
  "\u001b[1~": "home",
  "\u001b[F": "end",
  "\u001bOF": "end",
  "\u001b[4~": "end",
  "\r": "enter",
  "\n": "enter",
  "\u0003": "interrupt",
  "\u007f": "backspace",
  "\b": "backspace",
  "\u001b": "escape",
};

// deno-lint-ignore no-control-regex -- that is what keys send
const KEY_REGEXP = /\u001b\[[0-9;?]*[ -/]*[@-~]|\u001bO[@-~]|[\s\S]/gu;

/** The keys in what a terminal sent. Keys that nobody knows are left out. */
export function keysOf(text: string): Key[] {
  return (text.match(KEY_REGEXP) ?? []).flatMap((sequence) =>
    NAMED[sequence] ?? (/^[^\p{C}]$/u.test(sequence) ? [sequence] : [])
  );
}
