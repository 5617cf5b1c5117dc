import type { NodeId } from "@ark/node/identity";
import type { Logger } from "@ark/node/telemetry";
import type { MeshClient, MeshResponse, PeerAddress } from "@ark/node/transport";
import type { AwakeClock } from "./awake_clock.ts";
import { OfferStreamError, readOffers } from "./offer_stream.ts";
import type { PeerQuestions } from "./peer_question.ts";
import type { LiveOffers, PeerNews, PeerRow } from "./peer_row.ts";
import { standingOf } from "./peer_view.ts";

/** What {@linkcode OfferFollower} needs. */
export interface OfferFollowerOptions {
  /** Opens streams. */
  client: Pick<MeshClient, "request">;
  /** Makes the call for one. */
  questions: Pick<PeerQuestions, "call">;
  /** Measures how long peers are silent. */
  clock: AwakeClock;
  /** Says who abuses a stream. */
  logger: Pick<Logger, "warn">;
  /** Longest silence of a stream, in milliseconds. */
  silenceMs: number;
  /** The same while the peer answers a request of ours. */
  hurriedSilenceMs: number;
  /** Where a peer may be dialled, likeliest first. */
  whereIs(id: NodeId): PeerAddress[];
  /** Told where a peer answered as itself. */
  reached(id: NodeId, address: PeerAddress): void;
  /** Asks a peer whether it is there, in the background. */
  ask(row: PeerRow, signal: AbortSignal): void;
  /** Takes what a peer told. */
  learnt(row: PeerRow, news: PeerNews): void;
  /** Called when a stream has ended, for a reason that only the peer can tell when it is asked. */
  ended(row: PeerRow): void;
}

/** How often the distance to a peer is measured that is listened to, in milliseconds. */
const MEASURE_MS = 30_000;
/** How long a stream has to last to count as a good one, in milliseconds. */
const GOOD_STREAM_MS = 5_000;

/** Listens to what peers offer, on a stream of each. */
export class OfferFollower {
  readonly #options: OfferFollowerOptions;

  /** Makes it; nobody is listened to yet. */
  constructor(options: OfferFollowerOptions) {
    this.#options = options;
  }

  /** Begins to wait anew for a sign of life: requests to a peer that run make it tell of itself more often. */
  paceChanged(row: PeerRow): void {
    row.stream?.wait.again(this.#silenceOf(row));
  }

  /**
   * Listens to what a peer offers until one of both ends it. A peer that is silent for too long is asked; whoever asks
   * ends the stream where it has nothing to say on that either. Never rejects.
   */
  async follow(row: PeerRow, running: AbortSignal): Promise<void> {
    const { id } = row;
    const { client, clock, logger, questions, whereIs } = this.#options;
    const stop = new AbortController();
    const began = performance.now();
    const suspect = () => {
      stream.suspect = true;
      this.#options.ask(row, running);
    };
    const listen = () => clock.wait(this.#silenceOf(row), suspect);
    const stream: LiveOffers = { stop, wait: listen(), offer: null, heardAt: began, suspect: false };
    row.stream = stream;
    let how: "lived" | "broke" | "abused" | "unknown" = "broke";
    try {
      const call = questions.call("offers", AbortSignal.any([running, stop.signal]));
      const response = await client.request({ id, addresses: whereIs(id) }, call);
      if (response.status === 200) {
        row.roundTripMs = row.smoothed(performance.now() - began);
        await this.#listen(row, { stream, response, listen, running });
      } else {
        await response.body.cancel();
        // It is older than such streams, or will not have one now: what else there is to say it says when it is asked.
        how = "unknown";
      }
    } catch (error) {
      if (error instanceof OfferStreamError) {
        how = "abused";
        logger.warn("A peer abuses the stream of its offers", { peer: id, reason: error.message });
      }
    }
    stream.wait[Symbol.dispose]();
    if (row.stream === stream) row.stream = null;
    if (how === "broke" && performance.now() - began >= GOOD_STREAM_MS) how = "lived";
    row.streamEnded(how);
    if (!running.aborted && how !== "unknown") this.#options.ended(row);
  }

  async #listen(
    row: PeerRow,
    { stream, response: { body, address }, listen, running }: {
      stream: LiveOffers;
      response: MeshResponse;
      listen: () => LiveOffers["wait"];
      running: AbortSignal;
    },
  ): Promise<void> {
    const { ask, learnt, reached } = this.#options;
    reached(row.id, address);
    const heard = () => {
      stream.heardAt = performance.now();
      if (stream.suspect) stream.wait = listen();
      else stream.wait.again(this.#silenceOf(row));
      stream.suspect = false;
      // Right after a sign of life, so that a link that is cut meanwhile is not noticed later for it.
      if (stream.heardAt - row.askedAt >= MEASURE_MS && row.inFlight === 0) ask(row, running);
    };
    for await (const offer of readOffers(body, { heard })) {
      stream.offer = offer;
      if (row.stream !== stream) return;
      learnt(row, { ...standingOf(offer), offer, address });
    }
  }

  /** How long a peer may say nothing on its stream. */
  #silenceOf({ inFlight, roundTripMs }: PeerRow): number {
    const { silenceMs, hurriedSilenceMs } = this.#options;
    return Math.max(inFlight > 0 ? hurriedSilenceMs : silenceMs, 3 * (roundTripMs ?? 0));
  }
}
