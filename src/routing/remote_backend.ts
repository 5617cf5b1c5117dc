import { createHash } from "node:crypto";
import type { AuditLog } from "@ark/node/audit";
import { type NodeId, publicKeyOf, verify } from "@ark/node/identity";
import type { Backend, InferOptions } from "@ark/node/inference";
import type { ApprovedPeer } from "@ark/node/peers";
import {
  ArkError,
  decodeFrame,
  decodePeerError,
  type ErrorCode,
  FrameSplitter,
  type InferenceEvent,
  type InferenceRequest,
  LIMITS,
  type ModelRef,
  receiptBytes,
  type SignedReceipt,
  toArkError,
} from "@ark/node/protocol";
import type { MeshClient, MeshResponse } from "@ark/node/transport";
import { findOffered, type PeerTable, readJson } from "./peer_table.ts";

/** Options of {@linkcode RemoteBackend}. */
export interface RemoteBackendOptions {
  /** Which peer. */
  peer: ApprovedPeer;
  /** What the peer offers, and where it is. */
  table: PeerTable;
  /** Carries signed requests. */
  client: Pick<MeshClient, "request">;
  /** Records each request before it is sent, and how it ended. */
  audit: Pick<AuditLog, "append">;
  /** How long the peer may take until its first event, in milliseconds. @default {600000} */
  deadlineMs?: number;
}

/** What one answer came to; for the record. */
interface Tally {
  model: string;
  digest: string | null;
  prompt_tokens: number;
  completion_tokens: number;
  request: string | null;
  receipt: string | null;
}

/** One peer as a backend. Model, input and parameters travel; nothing else has a field to travel in. */
export class RemoteBackend implements Backend {
  /** The peer's label. */
  readonly name: string;
  /** The peer's id. */
  readonly id: NodeId;
  readonly #options: Required<RemoteBackendOptions>;

  /** Makes a backend of one peer. */
  constructor(options: RemoteBackendOptions) {
    this.#options = { deadlineMs: 600_000, ...options };
    this.name = options.peer.name;
    this.id = options.peer.node_id;
  }

  /** Whether the peer offers a model to us now. */
  handles(model: ModelRef): boolean {
    return this.#options.table.offering(model).some(({ view }) => view.peer.node_id === this.id);
  }

  /**
   * Asks the peer. The first event arrives before anything else is known to have worked; a stream that breaks, lies about
   * itself or lacks its receipt ends with an error.
   *
   * @throws {ArkError} what the peer said, or `unavailable`.
   */
  async *infer(request: InferenceRequest, { signal }: InferOptions): AsyncGenerator<InferenceEvent> {
    const { table, audit } = this.#options;
    const began = performance.now();
    const offered = table.list().find((view) => view.peer.node_id === this.id)?.offer?.models ?? [];
    const model = findOffered(offered, request.model)?.id ?? request.model;
    const tally: Tally = { model, digest: null, prompt_tokens: 0, completion_tokens: 0, request: null, receipt: null };
    await audit.append({ kind: "start", direction: "out", peer: this.id, model });
    using _running = table.begin(this.id);
    // The consumer may simply stop reading: then neither a result nor an error is seen here, only `finally`.
    let outcome: "ok" | ErrorCode = "cancelled";
    try {
      yield* this.#answer({ ...request, model }, { tally, signal });
      outcome = "ok";
    } catch (error) {
      outcome = signal.aborted ? "cancelled" : toArkError(error).code;
      throw error;
    } finally {
      await audit.append({
        kind: "end",
        direction: "out",
        peer: this.id,
        model: tally.model,
        ...(tally.digest === null ? {} : { digest: tally.digest }),
        prompt_tokens: tally.prompt_tokens,
        completion_tokens: tally.completion_tokens,
        ms: performance.now() - began,
        outcome,
        ...(tally.request === null ? {} : { request: tally.request }),
        ...(tally.receipt === null ? {} : { receipt: tally.receipt }),
      });
    }
  }

  async *#answer(request: InferenceRequest, run: { tally: Tally; signal: AbortSignal }): AsyncGenerator<InferenceEvent> {
    const { tally, signal } = run;
    const hangUp = new AbortController();
    const anySignal = AbortSignal.any([signal, hangUp.signal]);
    try {
      const response = await this.#send(request, anySignal);
      tally.request = response.signature;
      if (response.status !== 200) throw decodePeerError(await readJson(response.body, LIMITS.eventBytes));
      yield* this.#events(response, { tally, hangUp });
    } catch (error) {
      if (signal.aborted) throw new ArkError("cancelled", "The request was cancelled", { cause: error });
      const known = toArkError(error);
      if (known.code === "internal" || known.code === "cancelled") {
        throw new ArkError("unavailable", `${this.name} broke off: the connection was lost`, { cause: error });
      }
      throw known;
    } finally {
      hangUp.abort();
    }
  }

  async #send(request: InferenceRequest, signal: AbortSignal): Promise<MeshResponse> {
    const { client, table, deadlineMs } = this.#options;
    const addresses = table.addresses(this.id);
    try {
      return await client.request({ id: this.id, addresses }, {
        method: "POST",
        path: "/ark/v1/infer",
        body: JSON.stringify(request),
        deadlineMs,
        signal,
      });
    } catch (error) {
      if (!signal.aborted && toArkError(error).code === "unavailable") table.failed(this.id, toArkError(error).message);
      throw error;
    }
  }

  async *#events(response: MeshResponse, run: { tally: Tally; hangUp: AbortController }): AsyncGenerator<InferenceEvent> {
    const { tally, hangUp } = run;
    const splitter = new FrameSplitter();
    const hash = createHash("sha256");
    let end: Extract<InferenceEvent, { type: "end" }> | null = null;
    let started = false;
    let stalled = false;
    const watchdog = startWatchdog(() => {
      stalled = true;
      hangUp.abort();
    });
    try {
      for await (const chunk of response.body) {
        watchdog.feed();
        for (const bytes of splitter.push(chunk)) {
          const frame = decodeFrame(bytes);
          if (frame.type === "receipt") {
            if (end === null) throw new ArkError("unavailable", `${this.name} sent a receipt before the end of its answer`);
            this.#check(frame.signed, { stream: hash.digest("hex"), tally, end });
            tally.receipt = createHash("sha256").update(frame.signed.signature, "base64").digest("hex");
            yield end;
            return;
          }
          hash.update(bytes);
          if (frame.type === "error") throw frame.error;
          if (frame.type === "alive") continue;
          const { event } = frame;
          if (end !== null || started === (event.type === "start")) {
            throw new ArkError("unavailable", `${this.name} sent its answer in a wrong order`);
          }
          if (event.type === "start") {
            started = true;
            Object.assign(tally, { model: event.model, digest: event.digest, prompt_tokens: event.prompt_tokens });
          }
          if (event.type === "text") tally.completion_tokens += event.tokens;
          // The end is shown only together with its receipt: a stream without one is a cut stream.
          if (event.type === "end") end = event;
          else yield event;
        }
      }
    } catch (error) {
      if (stalled) throw new ArkError("unavailable", `${this.name} fell silent for ${LIMITS.interTokenMs / 1000} s`, { cause: error });
      throw error;
    } finally {
      watchdog[Symbol.dispose]();
    }
    throw new ArkError("unavailable", `${this.name} broke off before its answer was complete`);
  }

  #check(signed: SignedReceipt, expected: { stream: string; tally: Tally; end: Extract<InferenceEvent, { type: "end" }> }): void {
    const { receipt, signature } = signed;
    const { tally, end } = expected;
    const bytes = Uint8Array.fromBase64(signature);
    const honest = receipt.stream === expected.stream && receipt.request === tally.request &&
      receipt.model === tally.model && receipt.completion_tokens === end.usage.completion_tokens &&
      receipt.finish_reason === end.finish_reason && verify(publicKeyOf(this.id), receiptBytes(receipt), bytes);
    if (!honest) throw new ArkError("unavailable", `${this.name} sent a receipt that does not match its answer`);
    tally.prompt_tokens = end.usage.prompt_tokens;
    tally.completion_tokens = end.usage.completion_tokens;
  }
}

/** Calls back when it was not fed for the longest silence that a running stream may have. */
function startWatchdog(bark: () => void): Disposable & { feed(): void } {
  let fed = performance.now();
  const timer = setInterval(() => {
    if (performance.now() - fed > LIMITS.interTokenMs) bark();
  }, 1_000);
  return { feed: () => void (fed = performance.now()), [Symbol.dispose]: () => clearInterval(timer) };
}
