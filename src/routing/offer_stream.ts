import { ArkError, decodeOfferFrame, FrameSplitter, type Offer, OfferReader, toArkError } from "@ark/node/protocol";

/** A peer that does not keep to what a stream of offers is. */
export class OfferStreamError extends ArkError {}

/** What a stream may say: at first, and then in each second. An honest one says a tenth of it. */
const MOST = {
  frames: { first: 256, perSecond: 40 },
  bytes: { first: 8 << 20, perSecond: 1 << 20 },
};

/**
 * Reads a peer's stream of offers: each offer, whole, as it is after a change. `heard` is called for each frame.
 *
 * @throws {OfferStreamError} when the peer sends what is no part of the protocol, or more than anybody needs.
 * @throws what the body fails with when the connection breaks.
 */
export async function* readOffers(
  body: ReadableStream<Uint8Array>,
  { heard }: { heard: () => void },
): AsyncGenerator<Offer, void> {
  const splitter = new FrameSplitter();
  const reader = new OfferReader();
  const frames = new Allowance(MOST.frames);
  const bytes = new Allowance(MOST.bytes);
  for await (const chunk of body) {
    let latest: Offer | null = null;
    try {
      bytes.take(chunk.length);
      for (const frame of splitter.push(chunk)) {
        frames.take(1);
        const decoded = decodeOfferFrame(frame);
        // Only a whole frame is a sign of life: bytes can be dripped for ever.
        heard();
        if (decoded.type === "update") latest = reader.take(decoded.update) ?? latest;
      }
    } catch (error) {
      const { code, message } = toArkError(error);
      throw new OfferStreamError(code, message, { cause: error });
    }
    // What arrived together counts as it was last.
    if (latest !== null) yield latest;
  }
}

/** So much at first, and so much more in each second. */
class Allowance {
  readonly #most: { first: number; perSecond: number };
  #left: number;
  #at = performance.now();

  constructor(most: { first: number; perSecond: number }) {
    this.#most = most;
    this.#left = most.first;
  }

  /** Throws where there is not so much left. */
  take(count: number): void {
    const now = performance.now();
    const { first, perSecond } = this.#most;
    this.#left = Math.min(first, this.#left + (now - this.#at) * perSecond / 1_000) - count;
    this.#at = now;
    if (this.#left < 0) throw new ArkError("unavailable", "The peer says more about its offers than anybody needs");
  }
}
