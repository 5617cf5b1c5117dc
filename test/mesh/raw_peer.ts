/** A caller that builds its requests by hand, so that they can be wrong. */
import { createHash, randomBytes } from "node:crypto";
import { connect } from "node:tls";
import type { Identity, NodeId } from "@ark/node/identity";
import type { PeerAddress } from "@ark/node/transport";
import { signRequest } from "../../src/transport/signed_request.ts";

/** What came back. */
export interface RawAnswer {
  /** Status of the answer. */
  status: number;
  /** Everything, as it was on the wire. */
  text: string;
  /** Nonce that the receiver asks to be used, or null. */
  nonce: string | null;
}

/** A request to `POST /ark/v1/infer` as bytes, signed by an identity, or not at all. */
export function rawRequest(
  body: string,
  { to, signer, nonce = null }: { to: NodeId; signer: Identity | null; nonce?: string | null },
): string {
  const contentDigest = `sha-256=:${createHash("sha256").update(body).digest("base64")}:`;
  const head = {
    method: "POST",
    target: "/ark/v1/infer",
    contentType: "application/json",
    contentLength: body.length,
    contentDigest,
    to,
    deadlineMs: 5_000,
  };
  const fresh = randomBytes(16).toString("base64url");
  const signed = signer === null ? null : signRequest(signer, {
    ...head,
    created: Math.floor(Date.now() / 1_000),
    nonce: nonce === null ? fresh : `${nonce}.${fresh}`,
  });
  const lines = [
    "POST /ark/v1/infer HTTP/1.1",
    "Host: node.ark.invalid",
    `Ark-To: ${to}`,
    "Ark-Deadline: 5000",
    "Content-Type: application/json",
    `Content-Length: ${body.length}`,
    `Content-Digest: ${contentDigest}`,
    ...(signed === null ? [] : [`Signature-Input: ${signed.signatureInput}`, `Signature: ${signed.signatureField}`]),
  ];
  return `${lines.join("\r\n")}\r\n\r\n${body}`;
}

/** Sends bytes over TLS of its own, and returns the beginning of what comes back. */
export function sendRaw({ hostname, port }: PeerAddress, bytes: string): Promise<RawAnswer> {
  const { promise, resolve, reject } = Promise.withResolvers<RawAnswer>();
  let text = "";
  const socket = connect({ host: hostname, port, rejectUnauthorized: false, servername: "node.ark.invalid" });
  socket.once("secureConnect", () => socket.write(bytes));
  socket.on("data", (chunk) => {
    text += chunk;
    // A refusal fits into one packet; an answer may go on for long.
    if (/\r\n\r\n./s.test(text)) socket.destroy();
  });
  socket.once("error", reject);
  socket.once("close", () => {
    const nonce = text.match(/^ark-nonce: (\S+)/im)?.[1] ?? null;
    resolve({ status: Number(text.match(/^HTTP\/1\.1 (\d+)/)?.[1]), text, nonce });
  });
  return promise;
}
