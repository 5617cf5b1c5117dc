import { connect } from "node:tls";
import { ArkError } from "@ark/node/protocol";
import { keyInCertificate, TLS_NAME } from "./certificate.ts";
import { formatAddress, type PeerAddress } from "./peer_address.ts";
import { DIAL_TIMES, dialPinned } from "./pinned_connection.ts";

/** Options of {@linkcode presentedKey}. */
export interface PresentedKeyOptions {
  /** Time for each of the two connections, in milliseconds. @default {3000} */
  timeoutMs?: number;
  /** Ends the attempt. */
  signal?: AbortSignal;
}

/**
 * Learns which key answers at an address: reads it from the certificate that is presented there, then proves it by a
 * second, pinned handshake. The answer says who is there now, and nothing about whether to trust them.
 *
 * @throws {ArkError} `unavailable` when nobody answers, or who answers is no node or does not hold the key it shows;
 * `cancelled` when the signal fires.
 */
export async function presentedKey(address: PeerAddress, options: PresentedKeyOptions = {}): Promise<Uint8Array> {
  const { timeoutMs = 3_000, signal } = options;
  const stop = new AbortController();
  const onAbort = () => stop.abort();
  signal?.addEventListener("abort", onAbort, { once: true });
  if (signal?.aborted) onAbort();
  try {
    const key = await claimedKey(address, { timeoutMs, signal: stop.signal });
    const times = { connectMs: Math.min(timeoutMs, DIAL_TIMES.connectMs), handshakeMs: timeoutMs };
    (await dialPinned(key, address, { ...times, signal: stop.signal })).close();
    return key;
  } catch (error) {
    if (signal?.aborted) throw new ArkError("cancelled", "The probe was cancelled", { cause: signal.reason });
    throw error;
  } finally {
    signal?.removeEventListener("abort", onAbort);
  }
}

/** Reads the key from the certificate at an address. Verifies nothing: the pinned handshake after it does. */
async function claimedKey(
  address: PeerAddress,
  { timeoutMs, signal }: { timeoutMs: number; signal: AbortSignal },
): Promise<Uint8Array<ArrayBuffer>> {
  const at = formatAddress(address);
  const { promise, resolve, reject } = Promise.withResolvers<Uint8Array<ArrayBuffer>>();
  const fail = (what: string, cause?: unknown) => reject(new ArkError("unavailable", `${at} ${what}`, { cause }));
  const socket = connect({
    host: address.hostname,
    port: address.port,
    servername: TLS_NAME,
    rejectUnauthorized: false,
    minVersion: "TLSv1.3",
    ALPNProtocols: ["http/1.1"],
  });
  const timer = setTimeout(() => fail(`did not answer within ${timeoutMs} ms`), timeoutMs);
  const onAbort = () => fail("was given up");
  signal.addEventListener("abort", onAbort, { once: true });
  if (signal.aborted) onAbort();
  socket.once("secureConnect", () => {
    const key = keyInCertificate(socket.getPeerCertificate().raw ?? new Uint8Array(0));
    if (key === null) fail("shows a certificate that is not of a node");
    else resolve(key);
  });
  socket.on("error", (error) => fail("cannot be reached, or does not speak TLS 1.3", error));
  socket.once("close", () => fail("broke off"));
  try {
    return await promise;
  } finally {
    clearTimeout(timer);
    signal.removeEventListener("abort", onAbort);
    await closed(socket);
  }
}

function closed(socket: ReturnType<typeof connect>): Promise<void> {
  const { promise, resolve } = Promise.withResolvers<void>();
  if (socket.closed) return Promise.resolve();
  socket.once("close", () => resolve());
  socket.destroy();
  return promise;
}
