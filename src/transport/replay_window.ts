import { createHmac, randomBytes, timingSafeEqual } from "node:crypto";
import type { NodeId } from "@ark/node/identity";
import type { Clock } from "./clock.ts";
import { ownCopy } from "./own_copy.ts";
import { WINDOW_SECONDS } from "./signed_request.ts";

/** How long a nonce that this node issued is accepted, in seconds; also how long a new process insists on one. */
export const SERVER_NONCE_SECONDS = 120;

/**
 * What a stamp is worth: `fresh` was noted and may be served, `clock` needs a nonce of ours, `replay` was seen before,
 * `busy` means that too many are remembered for this peer.
 */
export type StampVerdict = "fresh" | "clock" | "replay" | "busy";

/** Options of {@linkcode ReplayWindow}. */
export interface ReplayWindowOptions {
  /** Where time comes from. */
  clock: Clock;
  /** Most live nonces of one peer. */
  noncesPerPeer: number;
  /**
   * Whether only stamps with a nonce of ours count, and of so many keys at a time: for strangers, of whom there may be any
   * number.
   *
   * @default {null}
   */
  mostStrangers?: number | null;
}

interface Noted {
  /** Monotonic milliseconds until which the nonce is remembered. */
  until: number;
  /** `created` of a stamp that was judged by the wall clock; -1 for one that carried a nonce of ours. */
  created: number;
}

interface PeerWindow {
  nonces: Map<string, Noted>;
  /** Largest `created` that was forgotten: what is not newer may be a repetition, whatever the clocks say by now. */
  floor: number;
  sweptAt: number;
  /** The nonce of ours that was proven last: the same one comes with each request for two minutes. */
  proven: { text: string; second: number } | null;
}

/**
 * Accepts each signed stamp at most once, whatever happens to the clocks.
 *
 * A stamp without a nonce of ours is judged by the wall clock (60 s to either side) and remembered longer than it could
 * be accepted; after that, only newer ones count. A stamp with a nonce of ours is judged by the monotonic clock alone.
 * A new window remembers nothing, so for its first 120 s it insists on nonces of its own; that holds unless the wall clock
 * is set back across a restart.
 *
 * Only stamps with a valid signature may come here, and of keys that nobody approved only where `mostStrangers` is set:
 * each costs memory.
 */
export class ReplayWindow {
  readonly #clock: Clock;
  readonly #noncesPerPeer: number;
  readonly #mostStrangers: number | null;
  readonly #secret = randomBytes(32);
  readonly #born: number;
  readonly #peers = new Map<NodeId, PeerWindow>();

  /** Makes an empty window. */
  constructor({ clock, noncesPerPeer, mostStrangers = null }: ReplayWindowOptions) {
    this.#clock = clock;
    this.#noncesPerPeer = noncesPerPeer;
    this.#mostStrangers = mostStrangers;
    this.#born = clock.monotonicMs();
  }

  /** Judges a stamp of a peer, and notes it when it is fresh. */
  judge(peer: NodeId, stamp: { created: number; nonce: string; serverNonce: string | null }): StampVerdict {
    // Without a nonce of ours a stranger costs nothing, so whoever makes up keys must come twice with each.
    if (this.#mostStrangers !== null && stamp.serverNonce === null) return "clock";
    const window = this.#windowOf(peer);
    if (window === null) return "busy";
    if (window.nonces.has(stamp.nonce)) return "replay";
    const until = stamp.serverNonce === null
      ? this.#untilByWallClock(stamp.created, window)
      : this.#untilByOwnNonce(peer, { window, nonce: stamp.serverNonce });
    if (until === null) return "clock";
    if (!this.#hasRoom(window)) return "busy";
    window.nonces.set(ownCopy(stamp.nonce), { until, created: stamp.serverNonce === null ? stamp.created : -1 });
    return "fresh";
  }

  /** A nonce that this peer may use for the next 120 s: 27 characters of base64url, the same for a whole second. */
  issue(peer: NodeId): string {
    const second = new Uint8Array(4);
    new DataView(second.buffer).setUint32(0, this.#second());
    return Uint8Array.of(...this.#mac(peer, second), ...second).toBase64({ alphabet: "base64url", omitPadding: true });
  }

  /** What is remembered of a peer; null where there is no room for another one. */
  #windowOf(peer: NodeId): PeerWindow | null {
    let window = this.#peers.get(peer);
    if (window === undefined) {
      if (this.#mostStrangers !== null && !this.#hasRoomForKeys(this.#mostStrangers)) return null;
      window = { nonces: new Map(), floor: -1, sweptAt: -Infinity, proven: null };
      this.#peers.set(peer, window);
    }
    const now = this.#clock.monotonicMs();
    // In order of arrival, which is nearly the order of ending: one late entry holds others back for two minutes at most.
    for (const [nonce, noted] of window.nonces) {
      if (noted.until > now) break;
      forget(window, { nonce, noted });
    }
    return window;
  }

  /** Forgets strangers of whom no nonce lives. What they signed then cannot be accepted again: its nonce of ours is over. */
  #hasRoomForKeys(most: number): boolean {
    if (this.#peers.size < most) return true;
    const now = this.#clock.monotonicMs();
    for (const [peer, { nonces }] of this.#peers) {
      if ([...nonces.values()].every(({ until }) => until <= now)) this.#peers.delete(peer);
    }
    return this.#peers.size < most;
  }

  #hasRoom(window: PeerWindow): boolean {
    if (window.nonces.size < this.#noncesPerPeer) return true;
    const now = this.#clock.monotonicMs();
    if (now - window.sweptAt < 1_000) return false;
    window.sweptAt = now;
    for (const [nonce, noted] of window.nonces) {
      if (noted.until <= now) forget(window, { nonce, noted });
    }
    return window.nonces.size < this.#noncesPerPeer;
  }

  #untilByWallClock(created: number, window: PeerWindow): number | null {
    const now = this.#clock.monotonicMs();
    // At the very end of that time, what was accepted early before a restart is only just too old.
    if (now - this.#born <= SERVER_NONCE_SECONDS * 1_000 || created <= window.floor) return null;
    const wall = this.#clock.wallMs();
    if (Math.abs(wall - created * 1_000) > WINDOW_SECONDS * 1_000) return null;
    return now + (created + 2 * WINDOW_SECONDS) * 1_000 - wall;
  }

  #untilByOwnNonce(peer: NodeId, { window, nonce }: { window: PeerWindow; nonce: string }): number | null {
    // What the peer itself has proven is no secret from it, so that texts may be compared as such.
    const second = window.proven?.text === nonce ? window.proven.second : this.#provenSecond(peer, nonce);
    if (second === null) return null;
    const age = this.#second() - second;
    if (age < 0 || age > SERVER_NONCE_SECONDS) return null;
    window.proven = { text: nonce, second };
    // One second after the last at which it is accepted.
    return (second + SERVER_NONCE_SECONDS + 2) * 1_000;
  }

  /** When a nonce of ours was issued to this peer; null where it never was. */
  #provenSecond(peer: NodeId, nonce: string): number | null {
    const bytes = decode(nonce);
    if (bytes === null) return null;
    const authentic = timingSafeEqual(this.#mac(peer, bytes.subarray(16)), bytes.subarray(0, 16));
    return authentic ? new DataView(bytes.buffer).getUint32(16) : null;
  }

  #second(): number {
    return Math.floor(this.#clock.monotonicMs() / 1_000);
  }

  #mac(peer: NodeId, second: Uint8Array): Uint8Array {
    return createHmac("sha256", this.#secret).update(peer).update(second).digest().subarray(0, 16);
  }
}

function forget(window: PeerWindow, { nonce, noted }: { nonce: string; noted: Noted }): void {
  window.floor = Math.max(window.floor, noted.created);
  window.nonces.delete(nonce);
}

function decode(nonce: string): Uint8Array<ArrayBuffer> | null {
  try {
    const bytes = Uint8Array.fromBase64(nonce, { alphabet: "base64url", lastChunkHandling: "loose" });
    // The unused bits of the last character must be zero, or one nonce would have four spellings.
    const canonical = bytes.toBase64({ alphabet: "base64url", omitPadding: true }) === nonce;
    return canonical && bytes.length === 20 ? bytes : null;
  } catch {
    return null;
  }
}
