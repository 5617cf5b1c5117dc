import type { NodeId } from "@ark/node/identity";
import { decodeOffer, type Offer } from "@ark/node/protocol";
import type { MeshCall, MeshClient, PeerAddress } from "@ark/node/transport";
import type { AwakeClock } from "./awake_clock.ts";
import { type PeerRefusal, readJson, refusalIn, refusalOf, unreachable } from "./peer_refusal.ts";

/** What one question to a peer came to. */
export type PeerAnswer =
  | { offer: Offer; address: PeerAddress; tookMs: number }
  | { offer?: never; refusal: PeerRefusal; address?: PeerAddress }
  | "aborted"
  | "late";

/** What {@linkcode PeerQuestions} needs. */
export interface PeerQuestionsOptions {
  /** Asks. */
  client: Pick<MeshClient, "request">;
  /** Port of our own mesh listener, told to peers; 0 for none. */
  ownPort(): number;
  /** How long a peer may take to say what it offers, in milliseconds. */
  answerMs: number;
  /** Measures how long peers take. */
  clock: AwakeClock;
}

const OFFER_BYTES = 4 << 20;
/** A failure while this node was held up for longer than this, in milliseconds, says nothing about the peer. */
const HELD_UP_MS = 200;
/** So often a peer is asked again because this node was held up meanwhile. */
const MOST_UNCLEAR = 5;

/** Asks peers what they offer. */
export class PeerQuestions {
  readonly #options: PeerQuestionsOptions;

  /** Makes it. */
  constructor(options: PeerQuestionsOptions) {
    this.#options = options;
  }

  /** Asks once, or again where this node itself was held up so that nothing can be said. Never rejects. */
  async ask(
    to: { id: NodeId; addresses: PeerAddress[] },
    { ms, signal }: { ms: number; signal: AbortSignal },
  ): Promise<PeerAnswer> {
    const { clock } = this.#options;
    for (let unclear = 0;; unclear++) {
      const late = new AbortController();
      const before = clock.lostMs;
      using _wait = clock.wait(ms, () => late.abort());
      try {
        return await this.#ask(to, AbortSignal.any([signal, late.signal]));
      } catch (error) {
        if (signal.aborted) return "aborted";
        if (late.signal.aborted) return "late";
        const refusal = refusalOf(error);
        // Timers of a dial run out before what arrived meanwhile is read.
        if (refusal === null && unclear < MOST_UNCLEAR && clock.lostMs - before > HELD_UP_MS) continue;
        return { refusal: refusal ?? unreachable(error) };
      }
    }
  }

  /** The call that asks for something that is offered; it waits for no other request to that peer. */
  call(what: "offer" | "offers", signal: AbortSignal): MeshCall {
    const { ownPort, answerMs } = this.#options;
    // Behind as many requests as there may be to it, a peer would seem to be silent.
    return { method: "GET", path: `/ark/v1/${what}?port=${ownPort()}`, deadlineMs: answerMs, signal, apart: true };
  }

  async #ask(to: { id: NodeId; addresses: PeerAddress[] }, signal: AbortSignal): Promise<PeerAnswer> {
    const began = performance.now();
    const { status, body, address } = await this.#options.client.request(to, this.call("offer", signal));
    const tookMs = performance.now() - began;
    const said = await readJson(body, OFFER_BYTES);
    return status === 200
      ? { offer: decodeOffer(said), address, tookMs }
      : { refusal: refusalIn(status, said), address };
  }
}
