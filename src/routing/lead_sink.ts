import { type LateSink, lateSink, type PartSink } from "@ark/node/inference";
import type { AnswerPart, ArkError } from "@ark/node/protocol";
import type { ShownParts } from "./shown_parts.ts";
import { withoutIds } from "./transcript.ts";

/** What {@linkcode leadSink} needs. */
export interface LeadSinkOptions {
  /** Shows parts to the reader. */
  direct: PartSink;
  /** Lets parts pass when it is settled which tokens they belong to. */
  shown: ShownParts;
  /** Told before anything is shown. */
  shows(): void;
  /** Told why the one who answers must not go on. */
  fault(fault: ArkError): void;
  /** Looks whether a faster one is to go on: nothing more is shown before its promise is there. */
  moves(): Promise<void> | null;
}

/** Takes the parts of the one who leads by the short way: treated like what it gives to the iteration. */
export function leadSink({ direct, shown, shows, fault: failed, moves }: LeadSinkOptions): PartSink {
  const late = lateSink(direct);
  const later: LateSink = {
    show(parts) {
      shows();
      return late.show(bare(parts));
    },
    note(parts, times) {
      shown.note(parts, times);
      late.note(parts, times);
    },
  };
  return {
    get open() {
      return direct.open;
    },
    get later() {
      return shown.holds ? undefined : later;
    },
    take(given) {
      shows();
      const { parts, fault } = shown.take(given);
      const full = parts.length === 0 ? null : direct.take(parts);
      if (fault !== null) failed(fault);
      const moving = fault === null ? moves() : null;
      return full === null || moving === null ? moving ?? full : Promise.all([full, moving]).then(() => {});
    },
  };
}

/** Parts without what only nodes are told; the very same where there is none of it. */
function bare(parts: readonly AnswerPart[]): readonly AnswerPart[] {
  const [only] = parts;
  if (parts.length !== 1 || only === undefined) return parts.map(withoutIds);
  const shown = withoutIds(only);
  return shown === only ? parts : [shown];
}
