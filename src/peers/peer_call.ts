import { ArkError, type ErrorCode, isErrorCode } from "@ark/node/protocol";
import { boundedText, type MeshClient, type MeshPeer } from "@ark/node/transport";

/** Something to ask a node that may not know this one yet. */
export interface PeerCall {
  /** Path with its query. */
  path: string;
  /** The message. */
  body: unknown;
  /** How long the answer may take, in milliseconds. */
  deadlineMs: number;
  /** Ends the call. */
  signal: AbortSignal;
}

const MOST_BYTES = 8 << 10;

/**
 * Sends a small message to a node and returns its answer as a JSON value.
 *
 * @throws {ArkError} what the node answered in place of it, without its own words, or what became of the connection.
 */
export async function callPeer(client: Pick<MeshClient, "request">, to: MeshPeer, call: PeerCall): Promise<unknown> {
  const { path, body, deadlineMs, signal } = call;
  const text = JSON.stringify(body);
  const response = await client.request(to, { method: "POST", path, body: text, deadlineMs, whole: true, signal });
  const value = parsed(
    await boundedText(response.body, {
      most: MOST_BYTES,
      tooLong: () => new ArkError("unavailable", "The other node sent more than the protocol allows"),
    }),
  );
  if (response.status === 200) return value;
  const code = codeOf(value);
  throw new ArkError(code, SENTENCES[code] ?? "The other node could not answer; its owner can see why");
}

const SENTENCES: Partial<Record<ErrorCode, string>> = {
  busy: "The other node takes no more of this now: try again in a minute, or ask its owner",
  forbidden: "The other node does not accept this",
  bad_request: "The other node does not understand this: it may be of another version",
};

function parsed(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch (error) {
    throw new ArkError("unavailable", "The other node sent an answer that is not part of the protocol", {
      cause: error,
    });
  }
}

function codeOf(value: unknown): ErrorCode {
  const code = (value as { error?: { code?: unknown } } | null)?.error?.code;
  const plain = typeof code === "string" ? code.replace(/^ark_/, "") : "";
  return isErrorCode(plain) ? plain : "unavailable";
}
