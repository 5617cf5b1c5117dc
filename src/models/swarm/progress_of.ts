import { ArkError } from "@ark/node/protocol";
import type { ChunkBook } from "./chunk_book.ts";
import type { Flow } from "./pace.ts";
import type { FetchProgress } from "./piece_source.ts";
import type { SourceState } from "./source_state.ts";

/** How far a file is, and who gives how much of it now. */
export function progressOf({ size, book, states, flow, now }: {
  size: number;
  book: ChunkBook;
  states: Iterable<SourceState>;
  flow: Flow;
  now: number;
}): FetchProgress {
  const speed = flow.rate(now);
  const { completed } = book;
  const sources = Array.from(states, ({ source: { key, name } }) => ({ name, speed: book.paceOf(key).flow.rate(now) }))
    .filter((source) => source.speed > 0)
    .toSorted((a, b) => b.speed - a.speed);
  return {
    completed,
    total: size,
    speed,
    secondsLeft: speed > 0 ? (size - completed) / speed : null,
    sources: sources.map((source) => ({ ...source, share: speed > 0 ? Math.min(1, source.speed / speed) : 0 })),
  };
}

/** Most sources that an error names. */
const MOST_NAMED = 8;

/** Nobody is left who could bring what is missing: who there was, and why each gives nothing. */
export function nobodyLeft(states: readonly SourceState[]): ArkError {
  const why = states.slice(0, MOST_NAMED)
    .map(({ source, fault }) => `${source.name} (${fault ?? "has not the missing part"})`);
  const message = states.length === 0
    ? "Nobody has this file any more"
    : `Nobody is left who gives the rest of the file: ${why.join("; ")}`;
  return new ArkError("unavailable", `${message}. What came is kept, and the next pull goes on`);
}
