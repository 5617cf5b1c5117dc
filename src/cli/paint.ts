/** How a piece of text looks. Nothing is said by a colour alone: the words say it, too. */
export type Look = "plain" | "strong" | "faint" | "good" | "warning" | "bad" | "chosen" | "heading";

const CODES: Readonly<Record<Look, string>> = {
  plain: "",
  strong: "1",
  faint: "2",
  good: "32",
  warning: "33",
  bad: "31",
  chosen: "7",
  heading: "1;36",
};

/** A text as it looks on a terminal with colours, and as it is elsewhere. The text has no characters that steer one. */
export function painted(text: string, look: Look, { colours }: { colours: boolean }): string {
  const code = CODES[look];
  return !colours || code === "" || text === "" ? text : `\u001b[${code}m${text}\u001b[0m`;
}

/** Whether colours are wanted where a person reads along: https://no-color.org, and terminals that know nothing. */
export function coloursWanted(env: (name: string) => string | undefined): boolean {
  return !env("NO_COLOR") && env("TERM") !== "dumb";
}
