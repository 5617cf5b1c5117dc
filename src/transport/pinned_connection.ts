import { ArkError } from "@ark/node/protocol";
import { TLS_NAME, trustAnchor } from "./certificate.ts";
import { closeQuietly } from "./close_quietly.ts";
import { formatAddress, type PeerAddress } from "./peer_address.ts";
import { READ_BUFFER_BYTES } from "./response_reader.ts";

/** Times of {@linkcode dialPinned}, in milliseconds. */
export interface DialTimes {
  /** TCP connection to one address. */
  connectMs: number;
  /** TLS handshake. */
  handshakeMs: number;
  /** Head start of each address before the next one is tried beside it. */
  staggerMs: number;
}

/** Times for a network of homes. */
export const DIAL_TIMES: Readonly<DialTimes> = { connectMs: 1_000, handshakeMs: 3_000, staggerMs: 250 };

/** Before a connection is given up for good, in milliseconds: what has come by then is there. */
const ARRIVED_MS = 50;

/** Why a dial is given up when another address was faster. */
const WON = Symbol("another address answered first");

/** A TLS connection to the holder of one key: the handshake proved it. */
export class PinnedConnection {
  /** Where it leads. */
  readonly address: PeerAddress;
  /** Room for reading; made once, since it outlives many requests. */
  readonly buffer: Uint8Array<ArrayBuffer> = new Uint8Array(READ_BUFFER_BYTES);
  /** Requests that it has carried. */
  uses = 0;
  readonly #tls: Deno.TlsConn;
  #closed = false;

  /** Wraps a connection whose pinned handshake succeeded. */
  constructor(tls: Deno.TlsConn, address: PeerAddress) {
    this.#tls = tls;
    this.address = address;
  }

  /** Whether {@linkcode PinnedConnection.close} was called. */
  get closed(): boolean {
    return this.#closed;
  }

  /** Reads some bytes into a buffer; null at the end. */
  read(buffer: Uint8Array): Promise<number | null> {
    return this.#tls.read(buffer);
  }

  /** Writes all the bytes. */
  async write(bytes: Uint8Array): Promise<void> {
    for (let at = 0; at < bytes.length;) at += await this.#tls.write(at === 0 ? bytes : bytes.subarray(at));
  }

  /** Closes the connection at once; running reads and writes fail, and the other side notices. */
  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    closeQuietly(this.#tls);
  }
}

/**
 * Connects to a key at one of several addresses. They are tried in the given order, each next one as soon as the one
 * before has failed or taken 250 ms; the first that proves the key wins and the others are dropped.
 *
 * @throws {ArkError} `unavailable` with what happened at each address; the reason of `signal` when it aborts.
 */
export async function dialFirst(
  key: Uint8Array,
  addresses: readonly PeerAddress[],
  options: DialTimes & { signal: AbortSignal },
): Promise<PinnedConnection> {
  const { signal, staggerMs } = options;
  if (addresses.length === 0) throw new ArkError("unavailable", "Cannot reach the peer: no address of it is known");
  signal.throwIfAborted();
  const stop = new AbortController();
  const onAbort = () => stop.abort(signal.reason);
  signal.addEventListener("abort", onAbort, { once: true });
  const failures: string[] = [];
  const dials = new Set<Promise<void>>();
  let winner: PinnedConnection | null = null;
  try {
    for (const address of addresses) {
      const dial = dialPinned(key, address, { ...options, signal: stop.signal }).then((connection) => {
        if (winner !== null) return connection.close();
        winner = connection;
        stop.abort(WON);
      }, (error: Error) => void failures.push(error.message)).finally(() => dials.delete(dial));
      dials.add(dial);
      await settledWithin(dial, { ms: staggerMs, signal: stop.signal });
      if (stop.signal.aborted) break;
    }
    await Promise.all(dials);
  } finally {
    signal.removeEventListener("abort", onAbort);
  }
  if (signal.aborted) {
    (winner as PinnedConnection | null)?.close();
    throw signal.reason;
  }
  if (winner !== null) return winner;
  throw new ArkError("unavailable", `Cannot reach the peer: ${failures.join("; ")}`);
}

/**
 * Connects to a key at one address. What is there is believed only after a TLS handshake in which the certificate was
 * verified against the key.
 *
 * @throws {ArkError} `unavailable`, with a sentence that names the address and what happened there.
 */
export async function dialPinned(
  key: Uint8Array,
  address: PeerAddress,
  { connectMs, handshakeMs, signal }: Omit<DialTimes, "staggerMs"> & { signal: AbortSignal },
): Promise<PinnedConnection> {
  const at = formatAddress(address);
  const tcp = await connect(address, { connectMs, signal });
  let tls: Deno.TlsConn;
  try {
    tcp.setNoDelay();
    tcp.setKeepAlive();
    tls = await Deno.startTls(tcp, {
      hostname: TLS_NAME,
      caCerts: [trustAnchor(key)],
      alpnProtocols: ["http/1.1"],
    });
  } catch (error) {
    closeQuietly(tcp);
    throw new ArkError("unavailable", `${at} broke off`, { cause: error });
  }
  let late = false;
  const hangUp = () => closeQuietly(tls);
  const timer = setTimeout(() => {
    late = true;
    hangUp();
  }, handshakeMs);
  signal.addEventListener("abort", hangUp, { once: true });
  try {
    if (signal.aborted) hangUp();
    await tls.handshake();
    if (signal.aborted || late) throw signal.reason;
    return new PinnedConnection(tls, address);
  } catch (error) {
    closeQuietly(tls);
    const why = late
      ? `fell silent in the handshake for ${handshakeMs} ms`
      : error instanceof Deno.errors.InvalidData
      ? "does not prove to be this node"
      : "broke off in the handshake";
    throw new ArkError("unavailable", `${at} ${signal.aborted ? "was given up" : why}`, { cause: error });
  } finally {
    clearTimeout(timer);
    signal.removeEventListener("abort", hangUp);
  }
}

async function connect(
  { hostname, port }: PeerAddress,
  { connectMs, signal }: { connectMs: number; signal: AbortSignal },
): Promise<Deno.TcpConn> {
  const at = formatAddress({ hostname, port });
  if (signal.aborted) throw new ArkError("unavailable", `${at} was given up`);
  const stop = new AbortController();
  // Deno 2.9 keeps a connection open for good that is there in the very moment in which it is told to give up. Where this
  // process did not run for a while both are so, and of two addresses both may answer: what has arrived is looked at before.
  // One that nobody wants any more is waited for, up to the same time, and closed; but not where another one was faster.
  const giveUpSoon = () => {
    clearTimeout(timer);
    timer = setTimeout(() => stop.abort(), ARRIVED_MS);
  };
  let timer = setTimeout(giveUpSoon, connectMs);
  const onAbort = () => {
    if (signal.reason === WON) giveUpSoon();
  };
  signal.addEventListener("abort", onAbort, { once: true });
  try {
    const tcp = await Deno.connect({ hostname, port, signal: stop.signal });
    if (!signal.aborted) return tcp;
    closeQuietly(tcp);
    throw signal.reason;
  } catch (error) {
    const why = signal.aborted
      ? "was given up"
      : stop.signal.aborted
      ? `did not answer within ${connectMs} ms`
      : error instanceof Deno.errors.ConnectionRefused
      ? "refused the connection"
      : "cannot be reached";
    throw new ArkError("unavailable", `${at} ${why}`, { cause: error });
  } finally {
    clearTimeout(timer);
    signal.removeEventListener("abort", onAbort);
  }
}

/** Resolves when a promise has settled, some time has passed, or a signal fires. */
function settledWithin(promise: Promise<unknown>, { ms, signal }: { ms: number; signal: AbortSignal }): Promise<void> {
  const { promise: done, resolve } = Promise.withResolvers<void>();
  const go = () => {
    clearTimeout(timer);
    signal.removeEventListener("abort", go);
    resolve();
  };
  const timer = setTimeout(go, ms);
  signal.addEventListener("abort", go, { once: true });
  promise.then(go, go);
  if (signal.aborted) go();
  return done;
}
