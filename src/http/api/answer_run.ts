import { type AnswerPart, ArkError, type InferenceEvent, type InferenceRequest, toArkError } from "@ark/node/protocol";
import type { AnsweringNode, Answers } from "./answers.ts";

/** What can answer a question. */
export type Answerer = Pick<Answers, "infer">;

/** What an answer is made for. */
export interface AnswerRunOptions {
  /** What is asked. */
  request: InferenceRequest;
  /** Aborts when the client goes away. */
  client: AbortSignal;
  /** Whether the question must stay on this machine, also where its sender does not say so. */
  localOnly?: boolean;
  /** How long the model is to stay in memory afterwards; absent is as the node does by itself. */
  keepAliveMs?: number | null | undefined;
}

/**
 * One answer to the owner while it is made. It ends early when the client goes away or when {@linkcode stop} is called;
 * both abort the signal that goes the whole way to the engine, and let the iterator go, which matters where nobody asks
 * it for the next event.
 */
export class AnswerRun {
  readonly #events: AsyncIterator<InferenceEvent>;
  readonly #hangUp = new AbortController();
  readonly #client: AbortSignal;
  #left: Promise<unknown> | null = null;
  #node: AnsweringNode | null = null;
  #ran = false;
  #take: ((parts: readonly AnswerPart[]) => Promise<void> | null) | null = null;

  /** Prepares an answer; nothing happens before the first {@linkcode next}. */
  constructor(answerer: Answerer, { request, client, localOnly, keepAliveMs }: AnswerRunOptions) {
    this.#client = client;
    const chosen = (node: AnsweringNode) => void (this.#node = node);
    const kept = {
      ...localOnly === true ? { localOnly } : {},
      ...keepAliveMs === undefined ? {} : { keepAliveMs },
    };
    const takes = () => this.#take;
    const direct = {
      get open() {
        return takes() !== null;
      },
      take: (parts: readonly AnswerPart[]) => takes()?.(parts) ?? null,
    };
    const options = { priority: "owner", principal: "owner", signal: this.signal, chosen, direct, ...kept } as const;
    this.#events = answerer.infer(request, options)[Symbol.asyncIterator]();
    if (client.aborted) this.#leave();
    else client.addEventListener("abort", this.#leave, { once: true });
  }

  /** Aborts when the answer is not wanted any more. */
  get signal(): AbortSignal {
    return this.#hangUp.signal;
  }

  /** Who answers, once that is known. */
  get node(): AnsweringNode | null {
    return this.#node;
  }

  /** Whether an engine has begun: a request that has run is not to be repeated by itself. */
  get ran(): boolean {
    return this.#ran;
  }

  /**
   * The next event, or null after the last.
   *
   * @throws {ArkError}
   */
  async next(): Promise<InferenceEvent | null> {
    try {
      const { done, value } = await this.#events.next();
      if (done) return null;
      this.#ran = true;
      return value;
    } catch (error) {
      throw this.#failure(error);
    }
  }

  /**
   * Lets parts come to `take` while the next event is waited for, which is the short way (see `PartSink`). Only after the
   * answer's start has come, and by whoever asks for each next event at once.
   */
  receive(take: (parts: readonly AnswerPart[]) => Promise<void> | null): void {
    this.#take = take;
  }

  /** Lets go of the client; called when the answer has ended by itself. */
  end(): void {
    this.#client.removeEventListener("abort", this.#leave);
  }

  /** Ends the work, and waits until it has. */
  async stop(): Promise<void> {
    this.end();
    this.#leave();
    await this.#left;
  }

  readonly #leave = (): void => {
    if (this.#left !== null) return;
    this.#hangUp.abort(this.#client.reason);
    // How a cancelled answer fails interests nobody.
    this.#left = Promise.resolve(this.#events.return?.()).catch(() => {});
  };

  #failure(thrown: unknown): ArkError {
    const failure = toArkError(thrown);
    if (failure.code !== "cancelled" || this.signal.aborted) return failure;
    // The client is still there: it was this node that gave up, which another try may cure.
    return new ArkError("unavailable", "The node stopped the request; ask again", { cause: failure });
  }
}
