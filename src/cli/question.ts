import { basename } from "node:path";
import { type CommandInput, UsageError } from "./command.ts";
import { byteCount } from "./byte_count.ts";
import type { Output } from "./output.ts";

/** Most text that one question may have: more than the longest contexts of today's models take. */
export const MOST_QUESTION_BYTES = 4_000_000;

/** After so long a silence it is said what is waited for, in milliseconds. */
const SILENCE_MS = 2_000;

/** What a question is made of. */
export interface QuestionParts {
  /** Words of the command line. */
  words: readonly string[];
  /** Names of files whose text belongs to it. */
  files: readonly string[];
  /** What may be piped in, or typed. */
  input: CommandInput;
  /** Where a person is told what to type. */
  out: Output;
}

/**
 * Puts a question together: texts of files, what is piped in, and the words, in this order. Where there are neither words
 * nor files, what is piped in is the question, and a person is asked to type one.
 *
 * @throws {UsageError} for what cannot be read, is no text, or is too much.
 */
export async function questionOf({ words, files, input, out }: QuestionParts): Promise<string> {
  const typed = words.join(" ");
  const asked = typed === "-" ? "" : typed.trim();
  const room = { left: MOST_QUESTION_BYTES };
  const texts: string[] = [];
  for (const file of files) texts.push(quoted(basename(file), await fileText(file, room)));
  const person = input.isTerminal();
  if (!person || typed === "-" || (asked === "" && files.length === 0)) {
    if (person) out.note("Type the question, then Ctrl-D on a line of its own.");
    const piped = await streamText(input.readable, { room, out, person });
    if (piped.trim() !== "") {
      texts.push(asked === "" && files.length === 0 ? piped.trim() : quoted("standard input", piped));
    }
  }
  if (asked !== "") texts.push(asked);
  if (texts.length === 0) throw new UsageError("There is no question: write it after the model, or pipe it in");
  return texts.join("\n\n");
}

/** A text under its name, between fences that are longer than any in it. */
function quoted(name: string, text: string): string {
  const longest = Math.max(2, ...(text.match(/`{3,}/g) ?? []).map((fence) => fence.length));
  const fence = "`".repeat(longest + 1);
  return `${name}:\n${fence}\n${text.replace(/\n+$/, "")}\n${fence}`;
}

async function fileText(path: string, room: { left: number }): Promise<string> {
  let file: Deno.FsFile;
  try {
    file = await Deno.open(path);
  } catch (error) {
    const why = error instanceof Deno.errors.NotFound ? "there is no such file" : reasonOf(error);
    throw new UsageError(`Cannot read ${path}: ${why}`);
  }
  try {
    const bytes = await bounded(file.readable, room, path);
    return textOf(bytes, path);
  } catch (error) {
    if (error instanceof UsageError) throw error;
    throw new UsageError(`Cannot read ${path}: ${reasonOf(error)}`);
  }
}

async function streamText(
  readable: ReadableStream<Uint8Array>,
  { room, out, person }: { room: { left: number }; out: Output; person: boolean },
): Promise<string> {
  const what = "what is piped in";
  // A pipe that nobody ends looks like a program that hangs.
  const timer = setTimeout(() => {
    if (!person) out.note("ark-node: waiting for what is piped in to end; '< /dev/null' where nothing is");
  }, SILENCE_MS);
  try {
    return textOf(await bounded(readable, room, what), what);
  } finally {
    clearTimeout(timer);
  }
}

async function bounded(
  readable: ReadableStream<Uint8Array>,
  room: { left: number },
  what: string,
): Promise<Uint8Array> {
  const chunks: Uint8Array[] = [];
  let size = 0;
  for await (const chunk of readable) {
    size += chunk.length;
    if (chunks.length === 0) refuseKind(chunk, what);
    // What is no text is told before it is too much.
    if (chunk.includes(0)) throw new UsageError(`Cannot ask about ${what}: it is no text`);
    if (size > room.left) {
      throw new UsageError(
        `There is too much text with ${what}: a question may have ${byteCount(MOST_QUESTION_BYTES)}; give a part of it`,
      );
    }
    chunks.push(chunk);
  }
  room.left -= size;
  const bytes = new Uint8Array(size);
  let at = 0;
  for (const chunk of chunks) {
    bytes.set(chunk, at);
    at += chunk.length;
  }
  return bytes;
}

/** How files begin that people try to ask about. */
const KINDS: readonly (readonly [kind: string, begins: readonly number[]])[] = [
  ["an image", [0x89, 0x50, 0x4e, 0x47]],
  ["an image", [0xff, 0xd8, 0xff]],
  ["an image", [0x47, 0x49, 0x46, 0x38]],
  ["an image", [0x52, 0x49, 0x46, 0x46]],
  ["a PDF", [0x25, 0x50, 0x44, 0x46]],
  ["an archive or a document of an office program", [0x50, 0x4b, 0x03, 0x04]],
];

function refuseKind(beginning: Uint8Array, what: string): void {
  const [kind] = KINDS.find(([, begins]) => begins.every((byte, at) => beginning[at] === byte)) ?? [];
  if (kind === undefined) return;
  throw new UsageError(`Cannot ask about ${what}: it is ${kind}, and this node reads text only; give it as text`);
}

function textOf(bytes: Uint8Array, what: string): string {
  try {
    return new TextDecoder("utf-8", { fatal: true }).decode(bytes);
  } catch {
    throw new UsageError(`Cannot ask about ${what}: it is no text in UTF-8`);
  }
}

function reasonOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
