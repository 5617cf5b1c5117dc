import { createHash } from "node:crypto";
import type { AuditLog } from "@ark/node/audit";
import type { Identity } from "@ark/node/identity";
import type { Backend } from "@ark/node/inference";
import type { Lease } from "@ark/node/peers";
import {
  ALIVE_FRAME,
  ArkError,
  encodeErrorFrame,
  encodeEventFrame,
  encodeReceiptFrame,
  type ErrorCode,
  type InferenceEvent,
  type InferenceRequest,
  type Receipt,
  receiptBytes,
  toArkError,
  tokensOf,
} from "@ark/node/protocol";
import type { Events, Logger } from "@ark/node/telemetry";
import type { Caller } from "@ark/node/transport";
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

/** Silence after which a sign of life is sent, in milliseconds: a third of what the caller endures. */
const ALIVE_MS = 10_000;

/** One answer to a peer, from its durable start to its end, which is recorded exactly once on every path. */
export class PeerAnswer {
  readonly #options: PeerAnswerOptions;
  readonly #began = performance.now();
  readonly #hash = createHash("sha256");
  readonly #hangUp = new AbortController();
  /** Number of the audit entry that records the start. */
  #leaf: number | null = null;
  #over = false;
  #start: Extract<InferenceEvent, { type: "start" }> | null = null;
  #tokens = 0;
  #receipt: string | null = null;

  /** Takes over a lease; {@linkcode start} or {@linkcode fail} gives it back. */
  constructor(options: PeerAnswerOptions) {
    this.#options = options;
  }

  /**
   * Records the start durably, asks the backend, and answers when its first event is there, so that a failure until then
   * has a status of its own.
   *
   * @throws {ArkError} what the backend threw, `busy` where the prompt is more than the peer has left, or
   * `audit_unavailable`. The caller then calls {@linkcode fail}.
   */
  async start(
    backend: Backend,
    { request, signal }: { request: InferenceRequest; signal: AbortSignal },
  ): Promise<Response> {
    const { audit, caller, model, events } = this.#options;
    const peer = caller.nodeId;
    this.#leaf = (await audit.append({ kind: "start", direction: "in", peer, model, request: caller.signature })).seq;
    events.emit({ type: "request", phase: "start", request: caller.signature, direction: "in", peer, model });
    const either = AbortSignal.any([signal, this.#hangUp.signal]);
    const answer = backend.infer(request, { priority: "peer", principal: peer, signal: either });
    const iterator = answer[Symbol.asyncIterator]();
    const first = await iterator.next();
    if (first.done || first.value.type !== "start") {
      throw new ArkError("engine_failed", "The engine ended before its answer began");
    }
    try {
      this.#options.lease.charge.read(first.value.prompt_tokens);
    } catch (error) {
      this.#hangUp.abort();
      await iterator.return?.();
      throw error;
    }
    this.#start = first.value;
    return new Response(this.#body(first.value, iterator), {
      headers: { "content-type": "text/event-stream", "cache-control": "no-store" },
    });
  }

  /** Records that the request failed, and gives the slot back. Only the first end counts. */
  fail(thrown: unknown): Promise<void> {
    return this.#end(toArkError(thrown).code);
  }

  #body(first: InferenceEvent, iterator: AsyncIterator<InferenceEvent>): ReadableStream<Uint8Array> {
    const frames = this.#frames(first, iterator);
    let timer: ReturnType<typeof setInterval> | undefined;
    let said = performance.now();
    return new ReadableStream<Uint8Array>({
      start: (controller) => {
        timer = setInterval(() => {
          const silent = performance.now() - said >= ALIVE_MS / 2;
          if (silent && (controller.desiredSize ?? 0) > 0) controller.enqueue(this.#hashed(ALIVE_FRAME));
        }, ALIVE_MS);
      },
      pull: async (controller) => {
        const { done, value } = await frames.next();
        said = performance.now();
        if (!done) return controller.enqueue(value);
        clearInterval(timer);
        controller.close();
      },
      cancel: async () => {
        clearInterval(timer);
        this.#hangUp.abort();
        await frames.return();
        // A stream that nobody began to read has run nothing of the above.
        void this.#end("cancelled");
      },
    });
  }

  async *#frames(first: InferenceEvent, iterator: AsyncIterator<InferenceEvent>): AsyncGenerator<Uint8Array, void> {
    const { lease } = this.#options;
    let outcome: "ok" | ErrorCode = "cancelled";
    try {
      yield this.#hashed(encodeEventFrame(first));
      for (;;) {
        const { done, value: event } = await iterator.next();
        if (done) throw new ArkError("engine_failed", "The engine ended before its answer was complete");
        const tokens = tokensOf(event);
        if (tokens > 0) {
          lease.charge.write(tokens);
          this.#tokens += tokens;
        }
        yield this.#hashed(encodeEventFrame(event));
        if (event.type === "end") {
          outcome = "ok";
          return yield this.#receiptFrame(event);
        }
      }
    } catch (error) {
      const failure = peerFailure(error);
      outcome = failure.code;
      yield encodeErrorFrame(failure);
    } finally {
      await iterator.return?.();
      // The caller need not wait for our disk: what it was promised, the start, is recorded already.
      void this.#end(outcome);
    }
  }

  #hashed(frame: Uint8Array): Uint8Array {
    this.#hash.update(frame);
    return frame;
  }

  #receiptFrame({ usage, finish_reason }: Extract<InferenceEvent, { type: "end" }>): Uint8Array {
    const { caller, identity, model } = this.#options;
    const receipt: Receipt = {
      request: caller.signature,
      stream: this.#hash.copy().digest("hex"),
      model: this.#start?.model ?? model,
      digest: this.#start?.digest ?? null,
      prompt_tokens: usage.prompt_tokens,
      completion_tokens: usage.completion_tokens,
      finish_reason,
      ...this.#leaf === null ? {} : { leaf: this.#leaf },
    };
    this.#tokens = usage.completion_tokens;
    const signature = identity.sign(receiptBytes(receipt));
    this.#receipt = createHash("sha256").update(signature).digest("hex");
    return encodeReceiptFrame({ receipt, signature: signature.toBase64() });
  }

  async #end(outcome: "ok" | ErrorCode): Promise<void> {
    if (this.#over) return;
    this.#over = true;
    const { audit, caller, events, lease, logger, model, over } = this.#options;
    lease.charge.settle(
      outcome === "ok" ? "answered" : outcome === "cancelled" ? "broken_off" : "failed",
      this.#tokens,
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
      tokens: this.#tokens,
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
        completion_tokens: this.#tokens,
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
