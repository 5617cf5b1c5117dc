import { isIPv4, isIPv6 } from "node:net";
import type { Clock } from "./clock.ts";
import type { MeshLimits } from "./mesh_limits.ts";

/** One admitted connection. */
export interface Admission extends Disposable {
  /** An approved peer proved itself on it: it no longer counts among the strangers, nor as a new connection. */
  proven(): void;
}

interface Source {
  open: number;
  strangers: number;
  tokens: number;
  refilledAt: number;
}

const MOST_SOURCES = 1_024;

/** Keeps any one source from taking all connections. Counts by IPv4 address or IPv6 /56. */
export class SourceLimiter {
  readonly #limits: MeshLimits;
  readonly #clock: Clock;
  readonly #sources = new Map<string, Source>();

  /** Makes a limiter with nobody connected. */
  constructor(limits: MeshLimits, clock: Clock) {
    this.#limits = limits;
    this.#clock = clock;
  }

  /** Admits a new connection, or null. The admission is disposed when the connection is closed. */
  admit(remote: string): Admission | null {
    const limits = this.#limits;
    const source = this.#source(sourceOf(remote));
    if (
      source.open >= limits.connectionsPerSource || source.strangers >= limits.strangersPerSource || source.tokens < 1
    ) return null;
    source.open++;
    source.strangers++;
    source.tokens--;
    let stranger = true;
    let open = true;
    const known = (): void => {
      if (stranger) source.strangers--;
      stranger = false;
    };
    return {
      proven: () => {
        if (stranger && open) source.tokens = Math.min(limits.burstPerSource, source.tokens + 1);
        known();
      },
      [Symbol.dispose]: () => {
        if (open) source.open--;
        open = false;
        known();
      },
    };
  }

  #source(name: string): Source {
    const now = this.#clock.monotonicMs();
    const { burstPerSource, newPerSourceAndSecond } = this.#limits;
    const source = this.#sources.get(name) ?? { open: 0, strangers: 0, tokens: burstPerSource, refilledAt: now };
    // In order of last use, so that the one to forget is found at once.
    this.#sources.delete(name);
    if (this.#sources.size >= MOST_SOURCES) this.#forgetOldest();
    this.#sources.set(name, source);
    const gained = (now - source.refilledAt) / 1_000 * newPerSourceAndSecond;
    source.tokens = Math.min(burstPerSource, source.tokens + gained);
    source.refilledAt = now;
    return source;
  }

  /** Forgets the source that was quiet for longest. Whoever has a thousand of them gains nothing by a new burst. */
  #forgetOldest(): void {
    for (const [name, source] of this.#sources) {
      if (source.open > 0) continue;
      this.#sources.delete(name);
      return;
    }
  }
}

/** An address without the IPv4-in-IPv6 prefix, so that one caller has one name. */
export function plainAddress(remote: string): string {
  const mapped = remote.match(/^::ffff:(\d+\.\d+\.\d+\.\d+)$/i)?.[1];
  return mapped ?? remote;
}

/** What counts as one source: an IPv4 address, or the /56 that a provider gives to one household. */
export function sourceOf(remote: string): string {
  const address = plainAddress(remote).replace(/%.*$/, "");
  if (isIPv4(address) || !isIPv6(address)) return address;
  const [head = "", tail] = address.toLowerCase().split("::");
  const front = head === "" ? [] : head.split(":");
  const back = tail === undefined || tail === "" ? [] : tail.split(":");
  const zeros = Array.from({ length: Math.max(0, 8 - front.length - back.length) }, () => "0");
  const groups = [...front, ...zeros, ...back].map((group) => parseInt(group, 16));
  const [a = 0, b = 0, c = 0, d = 0] = groups;
  return [a, b, c, d & 0xff00].map((group) => group.toString(16)).join(":");
}
