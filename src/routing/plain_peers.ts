import type { ArkError } from "@ark/node/protocol";

/** How long it is remembered that a peer knows nothing of tokens, in milliseconds: it may be updated. */
const REMEMBERED_MS = 600_000;
const MOST = 1_024;

/**
 * Peers of an earlier version, which refuse a request that asks for the tokens of its answer: the protocol refuses what it
 * does not know. They are asked without, and nobody can go on with what they have written.
 */
export class PlainPeers {
  readonly #until = new Map<string, number>();

  /** Whether one is known to be such a peer. */
  has(key: string): boolean {
    const until = this.#until.get(key);
    if (until === undefined) return false;
    if (performance.now() < until) return true;
    this.#until.delete(key);
    return false;
  }

  /** Whether a failure says that one is such a peer, which is then remembered. */
  learn(key: string, { code, message }: ArkError): boolean {
    if (code !== "bad_request" || !/unknown field: ids\b/.test(message) || this.has(key)) return false;
    const [oldest] = this.#until.keys();
    if (this.#until.size >= MOST && oldest !== undefined) this.#until.delete(oldest);
    this.#until.set(key, performance.now() + REMEMBERED_MS);
    return true;
  }
}
