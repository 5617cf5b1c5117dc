import { createHash, hkdfSync } from "node:crypto";
import { wordlist } from "@scure/bip39/wordlists/english.js";

/** What two nodes know after commit and reveal. Keys have 32 bytes, random numbers too. */
export interface Meeting {
  /** Key of the node that began. */
  begins: Uint8Array;
  /** Key of the node that answered. */
  answers: Uint8Array;
  /** Random number of the node that began: committed to before it saw the other one. */
  beginsNonce: Uint8Array;
  /** Random number of the node that answered. */
  answersNonce: Uint8Array;
}

/** Four words, and the same as numbers from 0 to 2047. */
export interface PairingWords {
  /** To be read aloud: each word is told by its first four letters. */
  words: readonly string[];
  /** To be typed or read over a bad line. */
  numbers: readonly number[];
}

const COMMITMENT = "ark-pair-commit/1";
const SAS = "ark-sas/1";
const WORDS = 4;
/** 2048 words are 11 bits each. */
const BITS = 11n;

/** What the node that begins commits to, hex: its random number, bound to both keys. */
export function commitmentOf({ begins, answers, beginsNonce }: Omit<Meeting, "answersNonce">): string {
  return createHash("sha256").update(COMMITMENT).update(beginsNonce).update(begins).update(answers).digest("hex");
}

/**
 * What both screens show: 44 bits of both keys and both random numbers. Whoever stands in between has other keys, and
 * since the first number is committed to before the second is known, one try of 1 in 2^44 to get the same words.
 */
export function wordsOf({ begins, answers, beginsNonce, answersNonce }: Meeting): PairingWords {
  const keys = [begins, answers].sort(byBytes);
  const salt = Uint8Array.of(...beginsNonce, ...answersNonce);
  const bytes = new Uint8Array(hkdfSync("sha256", Uint8Array.of(...keys.flatMap((key) => [...key])), salt, SAS, 6));
  const value = BigInt(`0x${bytes.toHex()}`) >> (48n - BigInt(WORDS) * BITS);
  const numbers = Array.from(
    { length: WORDS },
    (_, word) => Number((value >> (BITS * BigInt(WORDS - 1 - word))) & ((1n << BITS) - 1n)),
  );
  return { numbers, words: numbers.map((number) => wordlist[number] ?? "") };
}

/** Whether two spellings of the words are the same: in any case, with any separators, or as numbers. */
export function sameWords(typed: string, { words, numbers }: PairingWords): boolean {
  const given = typed.toLowerCase().split(/[^\p{L}\p{N}]+/u).filter(Boolean);
  if (given.length !== WORDS) return false;
  // The first four letters tell each word of the list from all others.
  const spelt = given.every((word, at) => word === words[at] || (word.length >= 4 && word === words[at]?.slice(0, 4)));
  return spelt || given.every((word, at) => /^\d{1,4}$/.test(word) && Number(word) === numbers[at]);
}

function byBytes(a: Uint8Array, b: Uint8Array): number {
  for (const [at, byte] of a.entries()) {
    const other = b[at] ?? 0;
    if (byte !== other) return byte - other;
  }
  return 0;
}
