import { ArkError, type ErrorCode, toArkError } from "@ark/node/protocol";

/** What a peer is told where the reason is the owner's own business: paths of files, processes, faults. */
const DISCREET: Partial<Record<ErrorCode, string>> = {
  audit_unavailable: "This node cannot record requests now, so it answers none; its owner can see why",
  engine_failed: "The engine of this node failed; its owner can see why",
  internal: "This node met an unexpected fault; its owner can see why",
};

/** A failure as a peer is told of it: nothing about the machine is in it. */
export function peerFailure(thrown: unknown): ArkError {
  const error = toArkError(thrown);
  const sentence = DISCREET[error.code];
  if (sentence === undefined) return error;
  const { code, retryAfterSeconds } = error;
  return new ArkError(code, sentence, {
    cause: error,
    ...(retryAfterSeconds === undefined ? {} : { retryAfterSeconds }),
  });
}
