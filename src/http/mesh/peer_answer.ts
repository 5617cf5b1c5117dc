import { Buffer } from "node:buffer";
import { createHash } from "node:crypto";
import type { AuditLog } from "@ark/node/audit";
import type { Identity, NodeId } from "@ark/node/identity";
import type { Backend, PartSink } from "@ark/node/inference";
import type { Lease } from "@ark/node/peers";
import {
  type AnswerPart,
  ArkError,
  encodeErrorFrame,
  encodeReceiptFrame,
  type ErrorCode,
  type InferenceEvent,
  type InferenceRequest,
  type Receipt,
  receiptBytes,
  toArkError,
} from "@ark/node/protocol";
import type { Events, Logger } from "@ark/node/telemetry";
import { type ByteSink, type Caller, notePushed, type PushedBody } from "@ark/node/transport";
import { AnswerBytes } from "./answer_bytes.ts";
import { peerFailure } from "./peer_failure.ts";

/** What {@linkcode PeerAnswer} needs. */
export interface PeerAnswerOptions {
  /** Who asked. */
  caller: Caller;
  /** The slot that comes back at the end. */
  lease: Lease;
  /** Records start and end. */
  audit: Pick<AuditLog, "append">;
  /** Signs the receipt. */
  identity: Identity;
  /** Told of start and end. */
  events: Pick<Events, "emit">;
  /** Says when the end could not be recorded. */
  logger: Pick<Logger, "warn">;
  /** Model as it is recorded. */
  model: string;
  /** Called exactly once, when the request is over and its end is recorded. */
  over(): void;
}

/** What a {@linkcode PeerAnswer} answers. */
export interface PeerQuestion {
  /** The question. */
  request: InferenceRequest;
  /** Whose signal fires when the one who asked has left; looked at when it is needed first. */
  client: Pick<Request, "signal">;
}

/** Silence after which a sign of life is sent, in milliseconds: a third of what the caller endures. */
const ALIVE_MS = 10_000;

/**
 * One answer to a peer, from its durable start to its end, which is recorded exactly once on every path. Its bytes can be
 * had by one of two ways: as a stream, or pushed to a connection, which lets parts come by the short way (see `PartSink`).
 */
export class PeerAnswer implements PushedBody {
  readonly #options: PeerAnswerOptions;
  readonly #began = performance.now();
  readonly #bytes: AnswerBytes;
  readonly #hangUp = new AbortController();
  #events: AsyncIterator<InferenceEvent> | null = null;
  /** The first event, once the backend was asked. */
  #first: Promise<IteratorResult<InferenceEvent>> | null = null;
  /** Where bytes go that come by the short way. */
  #sink: ByteSink | null = null;
  /** What went wrong on the short way. */
  #fault: unknown = null;
  /** Whether nothing was said since it was looked last. */
  #silent = true;
  #begun = false;
  /** Number of the audit entry that records the start. */
  #leaf: number | null = null;
  #over = false;
  #start: Extract<InferenceEvent, { type: "start" }> | null = null;
  /** Tokens of the answer, as its end tells. */
  #told: number | null = null;
  #receipt: string | null = null;

  /** Takes over a lease; {@linkcode start} or {@linkcode fail} gives it back. */
  constructor(options: PeerAnswerOptions) {
    this.#options = options;
    this.#bytes = new AnswerBytes(options.lease.charge);
  }

  /**
   * Records the start durably, asks the backend, and answers when its first event is there, so that a failure until then
   * has a status of its own. A backend whose work nobody else sees is asked as soon as the record is written and works while
   * the disk does: nothing of the answer leaves before the record is durable, and whatever ends this process leaves it there.
   *
   * @throws {ArkError} what the backend threw, `busy` where the prompt is more than the peer has left, or
   * `audit_unavailable`. The caller then calls {@linkcode fail}.
   */
  async start(
    backend: Backend,
    { request, client }: PeerQuestion,
  ): Promise<Response> {
    const { audit, caller, model, events } = this.#options;
    const peer = caller.nodeId;
    const ask = () => {
      this.#first = this.#ask(backend, { request, client });
      // What comes of it is looked at when the record is durable.
      this.#first.catch(() => {});
    };
    const start = { kind: "start", direction: "in", peer, model, request: caller.signature } as const;
    try {
      const early = backend.worksHere?.(request.model) === true ? { written: ask } : {};
      this.#leaf = (await audit.append(start, { atOnce: true, ...early })).seq;
    } catch (error) {
      this.#hangUp.abort();
      await this.#events?.return?.();
      throw error;
    }
    events.emit({ type: "request", phase: "start", request: caller.signature, direction: "in", peer, model });
    // Whoever left meanwhile has asked nobody else.
    if (this.#first === null && client.signal.aborted) this.#hangUp.abort(client.signal.reason);
    const first = await (this.#first ?? this.#ask(backend, { request, client })).catch((error) => {
      throw this.#fault ?? error;
    });
    if (first.done || first.value.type !== "start") {
      throw new ArkError("engine_failed", "The engine ended before its answer began");
    }
    try {
      this.#options.lease.charge.read(first.value.prompt_tokens);
    } catch (error) {
      this.#hangUp.abort();
      await this.#events?.return?.();
      throw error;
    }
    this.#start = first.value;
    const body = this.#stream();
    notePushed(body, this);
    return new Response(body, {
      headers: { "content-type": "text/event-stream", "cache-control": "no-store" },
    });
  }

  /** Asks at once; all that goes wrong comes by the promise. */
  async #ask(backend: Backend, { request, client }: PeerQuestion): Promise<IteratorResult<InferenceEvent>> {
    const hangUp = this.#hangUp;
    const options = { priority: "peer", principal: this.peer, signal: hangUp.signal, direct: this.#direct() } as const;
    this.#events = backend.infer(request, options)[Symbol.asyncIterator]();
    const first = this.#events.next();
    // Whatever need not be there before the engine is at work comes after it.
    const { signal } = client;
    if (signal.aborted) hangUp.abort(signal.reason);
    else signal.addEventListener("abort", () => hangUp.abort(signal.reason), { once: true });
    return await first;
  }

  /** Who asked. */
  get peer(): NodeId {
    return this.#options.caller.nodeId;
  }

  /**
   * Makes way for the owner. What has not begun is refused. What has begun finishes, or with `move` is broken off with
   * an error after which the one who asked lets another node go on.
   */
  makeWay(how: "finish" | "move"): void {
    if (this.#over || this.#fault !== null || (how === "finish" && this.#start !== null)) return;
    const sentence = "This node's owner needs it now; another node may go on with this";
    this.#fault = new ArkError("busy", sentence, { retryAfterSeconds: 60 });
    this.#hangUp.abort();
  }

  /** Records that the request failed, and gives the slot back. Only the first end counts. */
  fail(thrown: unknown): Promise<void> {
    return this.#end(toArkError(thrown).code);
  }

  /** Pushes the bytes of the answer, once it has started. */
  async pipe(sink: ByteSink): Promise<void> {
    // At once, so that it leaves together with the head.
    if (this.#start !== null) sink.write(this.#beginning(this.#start));
    this.#sink = sink;
    const timer = this.#watch(() => {
      if (sink.idle) sink.write(this.#bytes.alive());
    });
    try {
      for (let bytes = await this.#more(); bytes !== null; bytes = await this.#more()) {
        const full = sink.write(bytes);
        if (full !== null) await full;
      }
    } finally {
      clearInterval(timer);
    }
  }

  #stream(): ReadableStream<Uint8Array> {
    let timer: ReturnType<typeof setInterval> | undefined;
    return new ReadableStream<Uint8Array>({
      pull: async (controller) => {
        timer ??= this.#watch(() => {
          // Below 0 lies what the caller has not taken yet: it is not waiting for a sign of life.
          if (controller.desiredSize === 0) controller.enqueue(this.#bytes.alive());
        });
        const bytes = await this.#more();
        if (bytes !== null) return controller.enqueue(bytes);
        clearInterval(timer);
        controller.close();
      },
      cancel: async () => {
        clearInterval(timer);
        if (this.#over) return;
        this.#hangUp.abort();
        await this.#events?.return?.();
        void this.#end("cancelled");
      },
    }, { highWaterMark: 0 });
  }

  /** Calls whenever there was nothing to say for a while. */
  #watch(silent: () => void): ReturnType<typeof setInterval> {
    return setInterval(() => {
      if (this.#silent) silent();
      this.#silent = true;
    }, ALIVE_MS / 2);
  }

  /** The next bytes of the answer; null after its last. */
  async #more(): Promise<Uint8Array | null> {
    if (this.#over || this.#start === null) return null;
    this.#silent = false;
    if (!this.#begun) return this.#beginning(this.#start);
    try {
      const next = await this.#events?.next();
      this.#silent = false;
      if (this.#fault !== null) throw this.#fault;
      if (next === undefined || next.done) {
        throw new ArkError("engine_failed", "The engine ended before its answer was complete");
      }
      const { bytes, fault } = this.#bytes.of([next.value]);
      if (fault !== null) throw fault;
      if (next.value.type !== "end") return bytes;
      const receipt = this.#receiptFrame(next.value);
      await this.#leave("ok");
      return Buffer.concat([bytes, receipt]);
    } catch (error) {
      const failure = peerFailure(this.#fault ?? error);
      await this.#leave(failure.code);
      return encodeErrorFrame(failure);
    }
  }

  #beginning(start: InferenceEvent): Uint8Array {
    this.#begun = true;
    return this.#bytes.of([start]).bytes;
  }

  async #leave(outcome: "ok" | ErrorCode): Promise<void> {
    await this.#events?.return?.();
    // The caller need not wait for our disk: what it was promised, the start, is recorded already.
    void this.#end(outcome);
  }

  #direct(): PartSink {
    const isOpen = () => this.#sink !== null && this.#fault === null;
    return {
      get open() {
        return isOpen();
      },
      take: (parts) => this.#take(parts),
    };
  }

  /** What came by the short way leaves as one piece. */
  #take(parts: readonly AnswerPart[]): Promise<void> | null {
    if (this.#sink === null || this.#fault !== null || this.#over) return null;
    this.#silent = false;
    const { bytes, fault } = this.#bytes.of(parts);
    if (fault !== null) {
      this.#fault = fault;
      this.#hangUp.abort();
    }
    return this.#sink.write(bytes);
  }

  #receiptFrame({ usage, finish_reason }: Extract<InferenceEvent, { type: "end" }>): Uint8Array {
    const { caller, identity, model } = this.#options;
    const receipt: Receipt = {
      request: caller.signature,
      stream: this.#bytes.digest(),
      model: this.#start?.model ?? model,
      digest: this.#start?.digest ?? null,
      prompt_tokens: usage.prompt_tokens,
      completion_tokens: usage.completion_tokens,
      finish_reason,
      ...this.#leaf === null ? {} : { leaf: this.#leaf },
    };
    this.#told = usage.completion_tokens;
    const signature = identity.sign(receiptBytes(receipt));
    this.#receipt = createHash("sha256").update(signature).digest("hex");
    return encodeReceiptFrame({ receipt, signature: signature.toBase64() });
  }

  async #end(outcome: "ok" | ErrorCode): Promise<void> {
    if (this.#over) return;
    this.#over = true;
    const tokens = this.#told ?? this.#bytes.tokens;
    const { audit, caller, events, lease, logger, model, over } = this.#options;
    lease.charge.settle(
      outcome === "ok" ? "answered" : outcome === "cancelled" ? "broken_off" : "failed",
      tokens,
    );
    lease[Symbol.dispose]();
    if (this.#leaf === null) return over();
    const ms = performance.now() - this.#began;
    const peer = caller.nodeId;
    const request = caller.signature;
    events.emit({
      type: "request",
      phase: "end",
      request,
      direction: "in",
      peer,
      model,
      outcome,
      tokens,
      ms,
    });
    try {
      await audit.append({
        kind: "end",
        direction: "in",
        peer,
        model: this.#start?.model ?? model,
        digest: this.#start?.digest,
        prompt_tokens: this.#start?.prompt_tokens ?? 0,
        completion_tokens: tokens,
        ms,
        outcome,
        request,
        receipt: this.#receipt,
      });
    } catch (error) {
      logger.warn("The end of a request could not be recorded", { peer, reason: toArkError(error).message });
    }
    over();
  }
}
