import type { YieldUse } from "@ark/node/config";

/** What one look at the machine came to. */
export type UseReading =
  | {
    /** The machine is used so. */
    readonly kind: "used";
    /** How, as a sentence without a full stop. */
    readonly sentence: string;
  }
  | {
    /** It is not. */
    readonly kind: "calm";
  }
  | {
    /** Nobody can know that here, or at this moment. */
    readonly kind: "cannot_tell";
    /** Why, as a sentence without a full stop. */
    readonly why: string;
  };

/** Looks whether the machine is used by others than this node. */
export interface UseDetector {
  /** What it looks for. */
  readonly what: YieldUse;
  /** Time between two looks, in milliseconds. */
  readonly everyMs: number;
  /** Looks once; never rejects, and takes some seconds at most. */
  look(signal: AbortSignal): Promise<UseReading>;
}

/** Makes a reading that tells nothing. */
export function cannotTell(why: string): UseReading {
  return { kind: "cannot_tell", why };
}

/** What this node itself does on the machine. */
export interface OwnWork {
  /** Process ids of its workers, as far as it knows them. */
  pids(): readonly number[];
  /** Whether one of its models works now, or is being loaded. */
  working(): boolean;
}
