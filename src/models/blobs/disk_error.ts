import { ArkError } from "@ark/node/protocol";

const FULL: ReadonlySet<unknown> = new Set(["ENOSPC", "EDQUOT", "EFBIG"]);

/** What a file operation failed with, as a sentence for the owner; an {@linkcode ArkError} stays what it is. */
export function diskError(error: unknown, path: string): ArkError {
  if (error instanceof ArkError) return error;
  const { code, name } = Object(error) as { code?: unknown; name?: unknown };
  if (FULL.has(code)) {
    return new ArkError(
      "unavailable",
      "The disk is full: make room; what came is kept, and the next pull goes on from here",
      {
        cause: error,
      },
    );
  }
  if (code === "ELOOP") {
    return new ArkError("unavailable", `${path} is a link and no file: remove it`, { cause: error });
  }
  return new ArkError(
    "unavailable",
    `Cannot write ${path} (${String(code ?? name)}): it must be in a folder that the node may write`,
    { cause: error },
  );
}
