import { lateSink, type PartSink } from "@ark/node/inference";
import type { AnswerPart } from "@ark/node/protocol";

/** The short way of an answer, with somebody who sees what goes by. */
export function seenParts(direct: PartSink, see: (part: AnswerPart, at?: number) => void): PartSink {
  const { show, note } = lateSink(direct);
  return {
    get open() {
      return direct.open;
    },
    take(parts) {
      for (const part of parts) see(part);
      return direct.take(parts);
    },
    later: {
      show,
      note(parts, times) {
        parts.forEach((part, index) => see(part, times[index]));
        note(parts, times);
      },
    },
  };
}
