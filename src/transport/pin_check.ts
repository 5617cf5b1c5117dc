import { generateIdentity, type Identity } from "@ark/node/identity";
import { mintCertificate } from "./certificate.ts";
import { closeQuietly } from "./close_quietly.ts";
import { DIAL_TIMES, dialPinned } from "./pinned_connection.ts";

/** Whether connections of this process are pinned: they are, they are not, or it could not be found out. */
export type PinVerdict = "holds" | "broken" | "unknown";

/**
 * Dials a listener of our own on the loopback as if another node, whose key was made up just now, had to be there. A
 * runtime that believes any certificate (`--unsafely-ignore-certificate-errors` does that) connects all the same. Never
 * rejects.
 */
export function checkPin(identity: Identity): Promise<PinVerdict> {
  return checkPinBy(dialPinned, identity);
}

/** The same, dialling in another way. */
export async function checkPinBy(dial: typeof dialPinned, identity: Identity): Promise<PinVerdict> {
  const { signal } = new AbortController();
  try {
    // Not the mesh listener: there this would count as a stranger, and be recorded as one.
    using listener = Deno.listenTls({
      hostname: "127.0.0.1",
      port: 0,
      cert: mintCertificate(identity),
      key: identity.privateKeyPem(),
    });
    const { hostname, port } = listener.addr as Deno.NetAddr;
    const over = new AbortController();
    const answered = answer(listener, over.signal);
    try {
      const times = { connectMs: DIAL_TIMES.connectMs, handshakeMs: DIAL_TIMES.handshakeMs };
      (await dial(generateIdentity().publicKey, { hostname, port }, { ...times, signal })).close();
      return "broken";
    } catch (error) {
      return (error as Error).cause instanceof Deno.errors.InvalidData ? "holds" : "unknown";
    } finally {
      listener.close();
      over.abort();
      await answered;
    }
  } catch {
    return "unknown";
  }
}

/** Takes one connection, and lets go of it at the latest when it is over: whoever dialled may have left it as it was. */
async function answer(listener: Deno.TlsListener, over: AbortSignal): Promise<void> {
  try {
    const connection = await listener.accept();
    const close = () => closeQuietly(connection);
    over.addEventListener("abort", close, { once: true });
    if (over.aborted) close();
    await connection.handshake().finally(close);
  } catch {
    // It is refused, as it should be.
  }
}
