import type { Message } from "@ark/node/protocol";
import { invalid } from "../api/request_fault.ts";

/**
 * How `context` begins: "ark" and the version of what follows. Larger than any token, so that tokens of an Ollama are
 * never taken for a conversation.
 */
const MARK = 0x61726b_01;

/** Longest conversation that is told, in bytes: clients in Go read no line of more than 512 KB, and a number has nine characters. */
const MOST_BYTES = 128 << 10;

/** Bytes in one number. */
const GROUP = 3;

/**
 * A conversation as the numbers of `/api/generate`'s `context`, which its clients send back without looking into them.
 * Ollama gives tokens of the model; here it is the conversation itself, so that it can be gone on with on every node that
 * has the model, through its template, and nothing has to be kept. Null where it is too long for a line.
 */
export function contextOf(messages: readonly Message[]): number[] | null {
  const turns = messages.map(({ role, content }) => [role, content]);
  const bytes = new TextEncoder().encode(JSON.stringify(turns));
  if (bytes.length > MOST_BYTES) return null;
  const numbers = [MARK, bytes.length];
  for (let at = 0; at < bytes.length; at += GROUP) {
    numbers.push(((bytes[at] ?? 0) << 16) | ((bytes[at + 1] ?? 0) << 8) | (bytes[at + 2] ?? 0));
  }
  return numbers;
}

/**
 * The conversation that a `context` holds; an empty one is none.
 *
 * @throws {RequestFault} where it is none of ours.
 */
export function conversationOf(context: unknown): Message[] {
  if (!Array.isArray(context)) throw invalid("context", "must be the list of numbers that an earlier answer had");
  if (context.length === 0) return [];
  const turns = turnsOf(context);
  if (turns === null) throw invalid("context", "must be as an earlier answer of this node had it");
  return turns;
}

function turnsOf([mark, length, ...groups]: unknown[]): Message[] | null {
  if (mark !== MARK || !Number.isSafeInteger(length) || Math.ceil(Number(length) / GROUP) !== groups.length) {
    return null;
  }
  const bytes = new Uint8Array(groups.length * GROUP);
  for (const [index, group] of groups.entries()) {
    if (!Number.isInteger(group) || Number(group) < 0 || Number(group) > 0xffffff) return null;
    bytes.set([Number(group) >> 16, Number(group) >> 8, Number(group)], index * GROUP);
  }
  try {
    const text = new TextDecoder("utf-8", { fatal: true }).decode(bytes.subarray(0, Number(length)));
    const turns: unknown = JSON.parse(text);
    return Array.isArray(turns) && turns.every(isTurn) ? turns.map(([role, content]) => ({ role, content })) : null;
  } catch {
    return null;
  }
}

function isTurn(turn: unknown): turn is ["system" | "user" | "assistant", string] {
  if (!Array.isArray(turn) || turn.length !== 2) return false;
  const [role, content] = turn;
  return (role === "system" || role === "user" || role === "assistant") && typeof content === "string";
}
