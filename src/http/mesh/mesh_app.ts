import { Buffer } from "node:buffer";
import type { AuditLog, WitnessBook } from "@ark/node/audit";
import { isDialablePort } from "@ark/node/discovery";
import type { Identity, NodeId } from "@ark/node/identity";
import type { Backend } from "@ark/node/inference";
import type { CopyKeeper } from "@ark/node/models";
import { type ApprovedPeer, type Cost, type Gate, PAUSED } from "@ark/node/peers";
import {
  ArkError,
  decodeInferenceRequest,
  type Hardware,
  type InferenceInput,
  type InferenceRequest,
  type Offer,
  toArkError,
  type WakeFacts,
} from "@ark/node/protocol";
import type { SharedEngine } from "@ark/node/routing";
import type { Events, Logger } from "@ark/node/telemetry";
import { type Caller, type MeshRequest, type PeerAddress, signedBody } from "@ark/node/transport";
import { arkErrorResponse } from "../ark_error.ts";
import { copiesAnswer } from "./copies_answer.ts";
import { contentAnswer, type ContentAnswerOptions, isContentPath } from "./content_answer.ts";
import type { BlobRoutes } from "./blob_routes.ts";
import type { Denials } from "./denials.ts";

import { offerFor } from "./offer.ts";
import { OfferStreams } from "./offer_streams.ts";
import { PeerAnswer } from "./peer_answer.ts";
import { peerFailure } from "./peer_failure.ts";
import { wakeAnswer } from "./wake_answer.ts";
import { witnessAnswer } from "./witness_answer.ts";

/** What {@linkcode meshApp} needs. There is no router among it: a peer's request takes one hop. */
export interface MeshAppOptions {
  /** This node, which signs receipts. */
  identity: Identity;
  /** Label of this node. */
  name: string;
  /** Approved peers. */
  peers: { get(id: NodeId): ApprovedPeer | undefined };
  /** Lends slots to peers. */
  gate: Gate;
  /** Records each request before it runs, and how it ended. */
  audit: Pick<AuditLog, "append">;
  /** Records who was turned away. */
  denials: Denials;
  /** This node as a witness of its peers' audit logs; without it there is no such route. */
  witness?: Pick<WitnessBook, "add" | "remembered">;
  /** This node's own content packs and who may read them; without it there is no such route. */
  content?: Omit<ContentAnswerOptions, "caller">;
  /** What the owner's other nodes are told of copies; without it there is no such route. */
  copies?: Pick<CopyKeeper, "state">;
  /** How this node is woken, for the owner's other nodes; without it there is no such route. */
  wake?(): Promise<WakeFacts>;
  /** Files of models for those who may download them; without it there are no such routes. */
  blobs?: BlobRoutes;
  /** What peers may be given, or null where there is nothing. */
  engine: SharedEngine | null;
  /** Most tokens of context that a request may use. */
  contextSize: number;
  /** What this node works with, or null where its owner does not show it; without it nobody is told. */
  hardware?(): Hardware | null;
  /** Whether work is taken now; false while the node stops. */
  accepting(): boolean;
  /** Whether peers are served now, as far as their owner goes; without it, always. The owner's own nodes always are. */
  sharing?: {
    /** Whether they are. */
    readonly open: boolean;
    /** What becomes of answers that run when that ends. */
    readonly onYield: "finish" | "move";
    /** When who is refused may ask again, in seconds. */
    readonly retryAfterSeconds: number;
  };
  /** Told where a peer says that it can be dialled. */
  asked(id: NodeId, address: PeerAddress): void;
  /** Says what fails. */
  logger: Pick<Logger, "warn">;
  /** Told when a peer's request begins and ends. */
  events: Pick<Events, "emit">;
  /** Puts itself around what answers one request, to tell of its journey; without it nobody is told. */
  serving?(backend: Backend, asked: { peer: NodeId; request: string; traceparent: string | null }): Backend;
}

/** Answers requests of approved peers; see {@linkcode meshApp}. */
export interface MeshApp {
  /** Answers one request whose sender is proven and approved. */
  fetch(request: MeshRequest, caller: Caller): Promise<Response>;
  /** Requests that run now, or whose end is not recorded yet. */
  readonly running: number;
  /** Resolves when none runs. */
  settled(): Promise<void>;
  /** What peers may do here, or whether work is taken, may have changed: those that listen are told at once. */
  changed(): void;
  /** The node yields to its owner: peers' requests that run make way as `sharing.onYield` says, those that wait at once. */
  makeWay(): void;
}

/**
 * What peers may ask of this node.
 *
 * | request | answer |
 * |---|---|
 * | `GET /ark/v1/offer?port=N` | an `Offer`: the models that this very peer may use. `port` is where the peer itself listens |
 * | `POST /ark/v1/infer?traceparent=…` | the body is an `InferenceRequest`; the answer a stream of frames that ends with a signed receipt. The query is there where the caller traces its requests |
 * | `GET /ark/v1/offers?port=N` | the same as a stream: frames of `OfferUpdate`, and signs of life, until one of both hangs up |
 * | `GET /ark/v1/content…` | see {@linkcode contentAnswer} |
 * | `GET /ark/v1/copies` | a `CopyState`, for nodes that the owner approved as his own |
 * | `GET /ark/v1/wake` | `WakeFacts`, for nodes that the owner approved as his own |
 * | `GET /ark/v1/models/manifest`, `GET /ark/v1/blobs/…` | see {@linkcode blobRoutes} |
 * | `POST /ark/v1/witness`, `GET /ark/v1/witness` | see {@linkcode witnessAnswer} |
 *
 * A failure is `{"error":{"code":"ark_…","message"}}` with a status as long as nothing was sent, and an `ark-error`
 * frame afterwards.
 */
export function meshApp(options: MeshAppOptions): MeshApp {
  let running = 0;
  const answers = new Set<PeerAnswer>();
  let settled = Promise.withResolvers<void>();
  const streams = offerStreams(options);
  const over = () => {
    streams.changed();
    if (--running > 0) return;
    settled.resolve();
    settled = Promise.withResolvers();
  };
  return {
    get running() {
      return running;
    },
    settled: () => running === 0 ? Promise.resolve() : settled.promise,
    changed: () => streams.flush(),
    makeWay() {
      for (const answer of [...answers]) {
        if (yieldsTo(options, answer.peer)) answer.makeWay(options.sharing?.onYield ?? "finish");
      }
    },
    async fetch(request, caller) {
      try {
        // First, and without the work of parsing: it is what nearly all requests are, and what somebody waits for.
        if (request.method === "POST" && isInfer(request.url)) {
          running++;
          return await infer(request, { caller, options, over, answers, admitted: () => streams.changed() });
        }
        const url = new URL(request.url);
        if (request.method === "GET" && url.pathname === "/ark/v1/offer") {
          const peer = listening(url, { caller, options });
          return Response.json(offerMaker(options)(peer));
        }
        if (request.method === "GET" && url.pathname === "/ark/v1/offers") {
          return streams.open(listening(url, { caller, options }).node_id);
        }
        const { witness, content, copies } = options;
        if (copies !== undefined && request.method === "GET" && url.pathname === "/ark/v1/copies") {
          return await copiesAnswer(caller, { peers: options.peers, gate: options.gate, copies });
        }
        if (options.wake !== undefined && request.method === "GET" && url.pathname === "/ark/v1/wake") {
          return await wakeAnswer(caller, { peers: options.peers, facts: options.wake });
        }
        if (content !== undefined && request.method === "GET" && isContentPath(url.pathname)) {
          if (yieldsTo(options, caller.nodeId)) throw refusedForNow(options);
          return await contentAnswer(url, { ...content, caller });
        }
        if (witness !== undefined && url.pathname === "/ark/v1/witness") {
          return await witnessAnswer(request, { caller, witness });
        }
        if (url.pathname.startsWith("/ark/v1/blobs/") && yieldsTo(options, caller.nodeId)) throw refusedForNow(options);
        const blob = options.blobs?.(request, { url, caller }) ?? null;
        if (blob !== null) return await blob;
        throw new ArkError("bad_request", "This node has no such request");
      } catch (error) {
        return arkErrorResponse(peerFailure(error));
      }
    },
  };
}

const INFER = "/ark/v1/infer";

/** Whether a URL has the path of a question to a model. */
function isInfer(url: string): boolean {
  const path = url.indexOf("/", url.indexOf("//") + 2);
  const end = path + INFER.length;
  return url.startsWith(INFER, path) && (end === url.length || url[end] === "?");
}

/** The peer that wants to know what is offered to it. It tells where it listens itself. */
function listening(url: URL, { caller, options }: { caller: Caller; options: MeshAppOptions }): ApprovedPeer {
  const peer = options.peers.get(caller.nodeId);
  if (peer === undefined) throw new ArkError("forbidden", "This node has not approved you");
  if (peer.paused) throw new ArkError("forbidden", PAUSED);
  const address = toldAddress(url, caller.remote);
  if (address !== null) options.asked(caller.nodeId, address);
  return peer;
}

/** Whether a peer has to wait because of what the owner does or said: his own nodes never have. */
function yieldsTo({ sharing, peers }: MeshAppOptions, id: NodeId): boolean {
  return sharing !== undefined && !sharing.open && peers.get(id)?.own !== true;
}

function refusedForNow({ sharing }: MeshAppOptions): ArkError {
  return new ArkError("busy", "This node's owner needs it now, or shares nothing at this time; ask again later", {
    retryAfterSeconds: sharing?.retryAfterSeconds ?? 60,
  });
}

/** Looks at what there is once, for as many peers as there are. */
function offerMaker(options: MeshAppOptions) {
  const { engine, name, contextSize, accepting, gate, hardware } = options;
  const { backend, catalogue } = engine ?? {};
  const stock = {
    name,
    ready: accepting() && backend?.ready !== false,
    stopping: !accepting(),
    contextSize,
    models: catalogue?.list() ?? [],
    hardware: hardware?.() ?? null,
    loaded: new Set(backend?.loaded().map(({ id }) => id)),
    ...backend?.occupancy === undefined ? {} : { occupancy: backend.occupancy() },
    ...backend?.speeds === undefined ? {} : { speeds: backend.speeds() },
  };
  return (peer: ApprovedPeer): Offer =>
    offerFor(peer, stock, {
      held: gate.held(peer.node_id),
      mustWait: gate.obstacle(peer) !== null,
      yields: yieldsTo(options, peer.node_id),
    });
}

function offerStreams(options: MeshAppOptions): OfferStreams {
  const { peers, gate, engine } = options;
  const streams = new OfferStreams({
    stock() {
      const make = offerMaker(options);
      return {
        for(id) {
          const peer = peers.get(id);
          return peer === undefined || peer.paused ? null : make(peer);
        },
      };
    },
    serves: (id) => gate.held(id) > 0,
    watch() {
      const changed = () => streams.changed();
      const watches = [engine?.backend.watch?.(changed), engine?.catalogue.watch?.(changed)];
      return {
        looks: engine !== null && watches.includes(undefined),
        [Symbol.dispose]() {
          for (const watch of watches) watch?.[Symbol.dispose]();
        },
      };
    },
  });
  return streams;
}

/** Where a caller says that it listens itself, on the host that it calls from; null where that is no port of a node. */
export function toldAddress(url: URL, remote: string): PeerAddress | null {
  const port = Number(url.searchParams.get("port") ?? 0);
  return isDialablePort(port) ? { hostname: remote, port } : null;
}

interface InferRun {
  caller: Caller;
  options: MeshAppOptions;
  /** Called exactly once, when the request is over. */
  over(): void;
  /** Those that run. */
  answers: Set<PeerAnswer>;
  /** Called when it has got its place. */
  admitted(): void;
}

async function infer(request: MeshRequest, { caller, options, over, answers, admitted }: InferRun): Promise<Response> {
  const { gate, audit, denials, engine, events, identity, logger } = options;
  let answer: PeerAnswer | undefined;
  try {
    if (!options.accepting()) throw new ArkError("unavailable", "This node is stopping");
    if (yieldsTo(options, caller.nodeId)) throw refusedForNow(options);
    const asked = decodeInferenceRequest(await bodyOf(request));
    const model = engine?.catalogue.find(asked.model);
    const wish = { model: model?.id ?? asked.model, ...costOf(asked) };
    const lease = leaseOf(() => gate.admit(caller.nodeId, "infer", wish), {
      denials,
      caller,
      model: asked.model,
    });
    admitted();
    const entered = answer = new PeerAnswer({
      caller,
      lease,
      audit,
      identity,
      events,
      logger,
      model: model?.id ?? asked.model,
      over() {
        answers.delete(entered);
        over();
      },
    });
    answers.add(entered);
    if (engine === null || model === undefined) {
      throw new ArkError("model_not_found", `This node has no model ${asked.model}`);
    }
    if (asked.parameters.lora !== undefined) {
      throw new ArkError("forbidden", "This node's additions to models are for its owner; ask without lora");
    }
    const parameters = { ...asked.parameters, max_tokens: lease.charge.maxTokens };
    const traceparent = request.url.includes("?") ? new URL(request.url).searchParams.get("traceparent") : null;
    const told = { peer: caller.nodeId, request: caller.signature, traceparent };
    return await answer.start(options.serving?.(engine.backend, told) ?? engine.backend, {
      request: { ...asked, model: model.id, parameters },
      client: request,
    });
  } catch (error) {
    if (answer === undefined) over();
    else await answer.fail(error);
    throw error;
  }
}

const DECODER = new TextDecoder();

async function bodyOf(request: MeshRequest): Promise<unknown> {
  const bytes = signedBody(request);
  const text = bytes === null ? await request.text() : DECODER.decode(await bytes);
  try {
    return JSON.parse(text);
  } catch {
    throw new ArkError("bad_request", "The request is not valid JSON");
  }
}

/** Bytes of a token, by a guess that is right for prose; the engine tells the true number before it reads the prompt. */
const BYTES_PER_TOKEN = 4;

function costOf({ input, parameters }: InferenceRequest): Cost {
  const promptTokens = partsOf(input).reduce((sum, part) => {
    return sum + (typeof part === "string" ? Math.ceil(Buffer.byteLength(part) / BYTES_PER_TOKEN) : part.length);
  }, 0);
  return { promptTokens, ...(parameters.max_tokens === undefined ? {} : { maxTokens: parameters.max_tokens }) };
}

/** What of an input becomes tokens, as texts or as tokens. */
function partsOf(input: InferenceInput): (string | number[])[] {
  switch (input.kind) {
    case "completion":
      return [input.prompt, input.suffix ?? ""];
    case "embed":
      return input.texts;
    case "rerank":
      // The query is read together with each document.
      return input.documents.map((document) => input.query + document);
    case "chat":
      return [
        ...input.messages.flatMap(({ content, reasoning = "", tool_calls = [] }) => [
          content,
          reasoning,
          ...tool_calls.map((call) => call.name + call.arguments),
        ]),
        ...(input.tools ?? []).map((tool) => JSON.stringify(tool)),
      ];
  }
}

function leaseOf<T>(admit: () => T, denied: { denials: Denials; caller: Caller; model: string }): T {
  try {
    return admit();
  } catch (error) {
    const { denials, caller, model } = denied;
    denials.note({ code: toArkError(error).code, remote: caller.remote, nodeId: caller.nodeId, model });
    throw error;
  }
}
