import type { AnswerRun } from "../api/answer_run.ts";
import type { AnswerLines, EndEvent } from "./answer_lines.ts";
import { AnswerPieces, type Piece, pieceOf } from "./answer_pieces.ts";
import { brokenOff } from "./line_stream.ts";

/**
 * Collects an answer and gives its body in one piece.
 *
 * @throws {ArkError} what the answer failed with; `unavailable` when it broke off.
 */
export async function wholeAnswer(run: AnswerRun, lines: AnswerLines): Promise<object> {
  const pieces = new AnswerPieces();
  const found: Piece[] = [];
  let started = false;
  let end: EndEvent | null = null;
  // After `end` it goes on until the iterator is done: only then the request is recorded as complete.
  for (let event = await run.next(); event !== null; event = await run.next()) {
    if (event.type === "start") started = true;
    else if (!started || end !== null) throw brokenOff();
    else if (event.type === "end") end = event;
    else found.push(...listed(pieces.push(event)));
  }
  run.end();
  if (end === null) throw brokenOff();
  found.push(...listed(pieces.end(end.finish_reason)));
  const whole = pieceOf({
    text: found.map(({ text }) => text).join(""),
    thinking: found.map(({ thinking }) => thinking).join(""),
    calls: found.flatMap(({ calls }) => calls),
    logprobs: found.flatMap(({ logprobs }) => logprobs),
  });
  return lines.last(whole, { end, all: whole.text });
}

function listed(piece: Piece | null): Piece[] {
  return piece === null ? [] : [piece];
}
