import { ArkError, type ErrorCode } from "@ark/node/protocol";

/** What a server's status says about the request; every other one says that the server cannot be used now. */
const CODES: Readonly<Record<number, ErrorCode>> = {
  400: "bad_request",
  404: "model_not_found",
  413: "too_large",
  422: "bad_request",
  429: "busy",
};

/** A failure of an upstream server: the words that it said stand behind its name. */
export function upstreamFailure(
  name: string,
  { status, text, retryAfter = null }: { status: number; text: string; retryAfter?: string | null },
): ArkError {
  const said = wordsOf(text);
  if (status === 401 || status === 403) {
    return new ArkError("unavailable", `${name} refuses this node's key (status ${status}); give it another key`);
  }
  const code = CODES[status] ?? "unavailable";
  const seconds = /^\d{1,6}$/.exec(retryAfter ?? "")?.[0];
  const options = seconds === undefined ? {} : { retryAfterSeconds: Number(seconds) };
  if (/context[ _](?:length|size|window)/i.test(said) && code === "bad_request") {
    return new ArkError("context_exceeded", `${name} answered: ${said}`);
  }
  return new ArkError(
    code,
    said === "" ? `${name} answered with status ${status}` : `${name} answered: ${said}`,
    options,
  );
}

/** The sentence in a server's error, in any of the shapes that are in use: printable, in one line, short. */
export function wordsOf(text: string): string {
  let words: unknown = text;
  try {
    const body = JSON.parse(text);
    words = body?.error?.message ?? body?.error ?? body?.message ?? body?.detail ?? "";
  } catch {
    // A page of a proxy says nothing that helps.
    if (text.trimStart().startsWith("<")) words = "";
  }
  if (typeof words !== "string") words = JSON.stringify(words);
  return [...String(words).replaceAll(/[\p{C}\p{Zl}\p{Zp}\s]+/gu, " ").trim()].slice(0, 300).join("");
}
