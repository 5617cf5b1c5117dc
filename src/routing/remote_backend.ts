import type { AuditLog } from "@ark/node/audit";
import type { NodeId } from "@ark/node/identity";
import type { Backend, InferOptions, PartSink } from "@ark/node/inference";
import type { ApprovedPeer } from "@ark/node/peers";
import {
  ArkError,
  decodePeerError,
  type ErrorCode,
  type InferenceEvent,
  type InferenceRequest,
  LIMITS,
  type ModelRef,
  toArkError,
} from "@ark/node/protocol";
import type { Logger } from "@ark/node/telemetry";
import type { MeshClient, MeshResponse } from "@ark/node/transport";
import { AskedParts } from "./asked_parts.ts";
import { readJson } from "./peer_refusal.ts";
import type { PeerTable } from "./peer_table.ts";
import { findOffered } from "./peer_view.ts";
import { readAnswer, type Tally } from "./signed_answer.ts";
import { startWatchdog } from "./watchdog.ts";

/** Options of {@linkcode RemoteBackend}. */
export interface RemoteBackendOptions {
  /** Which peer. */
  peer: ApprovedPeer;
  /** What the peer offers, and where it is. */
  table: PeerTable;
  /** Carries signed requests. */
  client: Pick<MeshClient, "request">;
  /** Records each request, and how it ended. While it has a `fault`, nothing is sent before its start is recorded. */
  audit: Pick<AuditLog, "append"> & Partial<Pick<AuditLog, "fault">>;
  /** Says when the end of a request could not be recorded. */
  logger?: Pick<Logger, "warn">;
  /** How long the peer may take until its first event, in milliseconds. @default {600000} */
  deadlineMs?: number;
  /** Longest silence of a running answer, in milliseconds. @default {30000} */
  silenceMs?: number;
}

/** One request to the peer. */
interface Run {
  request: InferenceRequest;
  /** Where it goes, with its query. */
  path: string;
  body: Uint8Array;
  /** Model that must answer, or null where the peer may choose. */
  model: string | null;
  tally: Tally;
  signal: AbortSignal;
  direct: PartSink | undefined;
  /** Monotonic time at which the peer was last heard on this request, in milliseconds. */
  heardAt: number;
  /** Whether it was hung up because the peer is silent, here and to questions that are asked meanwhile, or the start is not recorded. */
  lost: boolean;
  /** Hangs up. */
  cut: AbortController;
}

/** One peer as a backend. Model, input and parameters travel; nothing else has a field to travel in. */
export class RemoteBackend implements Backend {
  /** The peer's label. */
  readonly name: string;
  /** The peer's id. */
  readonly id: NodeId;
  readonly #options: Required<Omit<RemoteBackendOptions, "logger">> & Pick<RemoteBackendOptions, "logger">;

  /** Makes a backend of one peer. */
  constructor(options: RemoteBackendOptions) {
    this.#options = { deadlineMs: 600_000, silenceMs: LIMITS.interTokenMs, ...options };
    this.name = options.peer.name;
    this.id = options.peer.node_id;
  }

  /** Whether the peer offers a model to us now. */
  handles(model: ModelRef): boolean {
    return this.#options.table.offering(model).some(({ view }) => view.peer.node_id === this.id);
  }

  /**
   * Asks the peer. The start is recorded durably before anything of the answer is given, and while the request is on its
   * way: the peer has it on its own record before it works on it, and the two disks need not wait for each other. Where
   * it cannot be recorded the request is taken back at once, nothing is given, and the next ones are not sent before their
   * start is durable. The end is recorded on every path, once: when the reader leaves or the signal fires too. A stream that
   * breaks, lies about itself or lacks its receipt ends with an error. That the end could not be recorded changes nothing
   * for the reader, who has the answer or the error by then.
   *
   * @throws {ArkError} what the peer said, `unavailable` where it cannot be reached, breaks off or lies, `too_large`,
   * `audit_unavailable`, and `cancelled` when the signal is aborted.
   */
  async *infer(request: InferenceRequest, { signal, trace, direct }: InferOptions): AsyncGenerator<InferenceEvent> {
    if (signal.aborted) throw cancelled(signal.reason);
    const run = { ...this.#prepare(request, { signal, direct }), path: inferPath(trace) };
    const { audit, table } = this.#options;
    const began = performance.now();
    run.heardAt = began;
    // Counted before anything is waited for: requests that come together must see each other.
    using running = table.begin(this.id, (since) => {
      if (run.heardAt < since) lose(run);
    });
    const record = () => audit.append({ kind: "start", direction: "out", peer: this.id, model: run.tally.model });
    const before = typeof audit.fault === "string" ? record() : null;
    if (before !== null) await before;
    if (signal.aborted) run.cut.abort(signal.reason);
    // First of all: the record is put together while it is on its way.
    const asked = this.#ask(run);
    const recorded = before ?? record();
    recorded.catch(() => lose(run));
    // The reader may simply leave: then neither a result nor an error is seen here.
    let outcome: "ok" | ErrorCode = "cancelled";
    let ended: Promise<void> | null = null;
    const end = () => {
      running[Symbol.dispose]();
      const how = { outcome, ms: performance.now() - began };
      // What has no start on the record has no end there either.
      return ended ??= recorded.then(() => this.#recordEnd(run.tally, how), () => {});
    };
    const abort = () => {
      run.cut.abort(signal.reason);
      void end();
    };
    signal.addEventListener("abort", abort, { once: true });
    try {
      let durable = false;
      for await (const event of this.#answer(run, asked)) {
        if (!durable) await recorded;
        durable = true;
        if (event.type === "end") outcome = "ok";
        yield event;
      }
    } catch (error) {
      // That the start could not be recorded is why the request was taken back.
      await recorded;
      if (!signal.aborted) outcome = toArkError(error).code;
      throw error;
    } finally {
      signal.removeEventListener("abort", abort);
      await end();
    }
  }

  #prepare(
    { model: asked, input, parameters, count_only, ids, resume }: InferenceRequest,
    { signal, direct }: Pick<Run, "signal" | "direct">,
  ): Omit<Run, "path"> {
    const { table } = this.#options;
    const offer = table.list().find((view) => view.peer.node_id === this.id)?.offer;
    const model = findOffered(offer?.models ?? [], asked)?.id ?? null;
    const request = {
      model: model ?? asked,
      input,
      parameters,
      ...count_only === true ? { count_only } : {},
      ...ids === true ? { ids } : {},
      ...resume === undefined ? {} : { resume },
    };
    const body = new TextEncoder().encode(JSON.stringify(request));
    if (body.length > LIMITS.requestBodyBytes) {
      const most = LIMITS.requestBodyBytes >> 20;
      throw new ArkError(
        "too_large",
        `The request is larger than the ${most} MiB that a peer accepts; shorten the prompt`,
      );
    }
    const tally = {
      model: request.model,
      digest: null,
      prompt_tokens: 0,
      completion_tokens: 0,
      request: null,
      receipt: null,
    };
    return { request, body, model, tally, signal, direct, heardAt: 0, lost: false, cut: new AbortController() };
  }

  /** Sends the request; what goes wrong comes by the promise. */
  #ask({ path, body, cut }: Run): Promise<MeshResponse> {
    const { id } = this;
    const { client, table, deadlineMs } = this.#options;
    // Since it was chosen the owner may have revoked or paused it. From here on, that cuts the request.
    const asked = table.mayAsk(id)
      ? client.request({ id, addresses: table.addresses(id) }, {
        method: "POST",
        path,
        body,
        deadlineMs,
        signal: cut.signal,
      })
      : Promise.reject(new ArkError("unavailable", `${this.name} is not to be asked any more`));
    // It is waited for a little later.
    asked.catch(() => {});
    return asked;
  }

  async *#answer(run: Run, asked: Promise<MeshResponse>): AsyncGenerator<InferenceEvent> {
    const { model, tally, cut } = run;
    const { name, id } = this;
    const { silenceMs } = this.#options;
    const hangUp = () => cut.abort();
    let refusal: ArkError | null = null;
    let whole = false;
    try {
      const response = await asked;
      tally.request = response.signature;
      if (response.status !== 200) refusal = await readRefusal(response, { hangUp, silenceMs });
      else {
        const heard = () => void (run.heardAt = performance.now());
        const wanted = new AskedParts(run.request);
        const see = (event: InferenceEvent) => wanted.take(event);
        const held = { id, name, model, tally, silenceMs, hangUp, heard, see, direct: run.direct };
        for await (const item of readAnswer(response, held)) {
          if (item instanceof ArkError) refusal = item;
          else yield item;
        }
      }
      whole = true;
    } catch (error) {
      throw this.#lost(error, run);
    } finally {
      // Of an answer that was read to its end the connection serves the next request, and aborting is not for free.
      if (!whole) hangUp();
    }
    if (refusal !== null) throw this.#refused(refusal, run);
  }

  /** What the peer itself said. It is there, but what it offers may have changed. */
  #refused(error: ArkError, { tally: { model } }: Run): ArkError {
    const { code, message, retryAfterSeconds } = error;
    this.#options.table.refused(this.id, { model, error });
    // Its own fault, or its own end, is to us that it is not available.
    const known = code === "internal" || code === "cancelled" ? "unavailable" : code;
    const options = retryAfterSeconds === undefined ? {} : { retryAfterSeconds };
    return new ArkError(known, `${this.name} answered: ${message}`, options);
  }

  /** What went wrong between it and us. */
  #lost(error: unknown, { signal, lost }: Run): ArkError {
    if (signal.aborted) return cancelled(error);
    const { table } = this.#options;
    if (lost) {
      return new ArkError("unavailable", `${this.name} fell silent: it cannot be reached any more`, { cause: error });
    }
    const { code, message } = toArkError(error);
    if (code === "unauthenticated" || code === "clock") {
      table.refresh();
      return new ArkError(code, message, { cause: error });
    }
    const reason = code === "unavailable" ? message : `${this.name} broke off: the connection was lost`;
    table.failed(this.id, reason);
    return new ArkError("unavailable", reason, { cause: error });
  }

  async #recordEnd(tally: Tally, how: { outcome: "ok" | ErrorCode; ms: number }): Promise<void> {
    const { audit, logger } = this.#options;
    try {
      await audit.append({ kind: "end", direction: "out", peer: this.id, ...tally, ...how });
    } catch (error) {
      const reason = toArkError(error).message;
      logger?.warn("The end of a request to a peer could not be recorded", { peer: this.id, reason });
    }
  }
}

/** Hangs up because nothing more is to be expected. */
function lose(run: Run): void {
  run.lost = true;
  run.cut.abort();
}

async function readRefusal(
  { body, headers }: MeshResponse,
  { hangUp, silenceMs }: { hangUp: () => void; silenceMs: number },
): Promise<ArkError> {
  using _watchdog = startWatchdog(hangUp, silenceMs);
  const { code, message } = decodePeerError(await readJson(body, LIMITS.eventBytes));
  const seconds = /^\d{1,6}$/.exec(headers.get("retry-after") ?? "")?.[0];
  return new ArkError(code, message, seconds === undefined ? {} : { retryAfterSeconds: Number(seconds) });
}

/**
 * Where the request goes. Its place in a trace stands in the query, which the signature covers as it is: a field of the
 * body would be one that reaches the engine, and a field of the header one that nobody signed.
 */
function inferPath(trace: InferOptions["trace"]): string {
  return trace === undefined ? "/ark/v1/infer" : `/ark/v1/infer?traceparent=${trace.traceparent}`;
}

function cancelled(cause: unknown): ArkError {
  return new ArkError("cancelled", "The request was cancelled", { cause });
}
