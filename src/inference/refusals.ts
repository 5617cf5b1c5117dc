/** What those are told who cannot be served now. */
import { ArkError } from "@ark/node/protocol";
import type { Job } from "./job.ts";
import { leastModelBytes } from "./model_memory.ts";
import type { Residents } from "./residents.ts";
import { tooLarge } from "./worker_starter.ts";

/** When to ask again while memory is short, in seconds: how long the machine must be calm, and a little more. */
const STRAINED_SECONDS = 30;
/** The longest wait that is told, in seconds. */
const LONGEST_SECONDS = 600;

/** The line is full. */
export function queueFull({ position, seconds }: { position: number; seconds: number }): ArkError {
  return new ArkError(
    "busy",
    `Too many requests are waiting for this node: yours would be number ${position}, and have its turn in about ` +
      `${seconds} s; ask again then`,
    { retryAfterSeconds: seconds },
  );
}

/** The machine has too little memory for the work of others. */
export function mustWait(): ArkError {
  return new ArkError("busy", "This node has too little free memory for the work of others now; ask again later", {
    retryAfterSeconds: STRAINED_SECONDS,
  });
}

/** A peer's answer made room for the owner's, and cannot be gone on with. */
export function ownersTurn(): ArkError {
  const sentence = "The owner's request came first, and an answer like this cannot be gone on with; ask again";
  return new ArkError("busy", sentence, { retryAfterSeconds: 1 });
}

/** An answer that was set aside may not fit or please the model's template any more: that is no fault of the asker's. */
export function cannotGoOn(error: ArkError): ArkError {
  if (error.code !== "bad_request" && error.code !== "context_exceeded") return error;
  const sentence = "The owner's request came first, and this answer could not be gone on with; ask again";
  return new ArkError("busy", sentence, { cause: error, retryAfterSeconds: 1 });
}

/** There is no memory for a model: none at all beside those that are pinned, or none that the owner does not use. */
export function noRoom(
  { why, job, residents }: { why: "unfit" | "kept"; job: Job; residents: Residents },
): ArkError {
  const all = residents.list().filter(({ phase }) => phase !== "leaving");
  if (why === "kept") {
    const times = all.flatMap(({ kept, keptForMs }) => kept && keptForMs !== null ? keptForMs : []);
    const seconds = times.length === 0 ? LONGEST_SECONDS : Math.ceil(Math.min(...times) / 1_000);
    return new ArkError(
      "busy",
      `The model ${job.model.id} has no room beside those that this node's owner uses now; ask again later`,
      { retryAfterSeconds: Math.min(LONGEST_SECONDS, Math.max(1, seconds)) },
    );
  }
  const pinned = all.filter((each) => each.pinned);
  const { bytes, maxLoaded } = residents.room;
  const least = leastModelBytes(job.model);
  if (pinned.length >= maxLoaded) {
    const sentence =
      `The model ${job.model.id} has no place beside the ${pinned.length} that are pinned: --max-loaded is ` +
      `${maxLoaded}`;
    return new ArkError("engine_failed", sentence);
  }
  const has = Math.max(0, bytes - pinned.reduce((sum, { state }) => sum + state.bytes, 0));
  return new ArkError("engine_failed", tooLarge(job.model, { least, has }));
}
