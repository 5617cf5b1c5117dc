import type { Job } from "./job.ts";

/** A part of a prompt that is read at once. */
export interface Piece<J = Job> {
  /** Whose prompt it is. */
  readonly job: J;
  /** Its first token's place in the prompt. */
  readonly begin: number;
  /** The place behind its last one. */
  readonly end: number;
}

/** What there is to know of an answer whose prompt is read. */
export interface Reading {
  /** Tokens that are read at once, at most. */
  readonly pace: number;
  readonly options: {
    readonly prompt: readonly number[];
    readonly slot: { readonly sequence: number; readonly tokens: readonly number[] };
    readonly loras: { readonly variant: string };
    /** Whether its prompt must always be computed in the same way. */
    readonly exact: boolean;
  };
}

/**
 * What is read in the next batch of those that wait for it, the first of them in any case: a chunk of its prompt, or, with the
 * end of it, those of others that fit in as well. What must always be computed in the same way is read alone. They stand
 * in the order of their sequences, as llama.cpp wants it.
 */
export function nextPieces<J extends Reading>(
  waiting: readonly J[],
  { chunkTokens }: { chunkTokens: number },
): Piece<J>[] {
  const [first, ...others] = waiting;
  if (first === undefined) return [];
  const pieces = [pieceOf(first, chunkTokens)];
  let room = chunkTokens - lengthOf(pieces[0]);
  for (const job of first.options.exact ? [] : others) {
    if (job.options.exact || job.options.loras.variant !== first.options.loras.variant) continue;
    const piece = pieceOf(job, chunkTokens);
    if (lengthOf(piece) > room) continue;
    room -= lengthOf(piece);
    pieces.push(piece);
  }
  return pieces.toSorted((a, b) => a.job.options.slot.sequence - b.job.options.slot.sequence);
}

/** Tokens of a piece. */
export function lengthOf(piece: Pick<Piece, "begin" | "end"> | undefined): number {
  return piece === undefined ? 0 : piece.end - piece.begin;
}

/** As much as an answer's pace allows, and not beyond a multiple of a chunk. */
function pieceOf<J extends Reading>(job: J, chunkTokens: number): Piece<J> {
  const { prompt, slot } = job.options;
  const begin = slot.tokens.length;
  const whole = (Math.floor(begin / chunkTokens) + 1) * chunkTokens;
  return { job, begin, end: Math.min(prompt.length, whole, begin + job.pace) };
}
