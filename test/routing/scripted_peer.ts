import { createHash } from "node:crypto";
import { AuditLog } from "@ark/node/audit";
import { formatPublicKey, generateIdentity, type Identity, type NodeId } from "@ark/node/identity";
import { type ApprovedPeer, decodeApproval } from "@ark/node/peers";
import {
  ArkError,
  encodeEventFrame,
  encodeReceiptFrame,
  type InferenceEvent,
  type InferenceRequest,
  type Offer,
  type Receipt,
  receiptBytes,
} from "@ark/node/protocol";
import { PeerTable } from "@ark/node/routing";
import { openStore, type Store } from "@ark/node/store";
import { Logger } from "@ark/node/telemetry";
import type { MeshCall, MeshPeer, MeshResponse, PeerAddress } from "@ark/node/transport";

/** What a peer does with a request to infer: status, header fields and the bytes of its body as they come. */
export interface Answer {
  status?: number;
  headers?: Record<string, string>;
  body: Iterable<Uint8Array | string> | AsyncIterable<Uint8Array | string>;
}

/** A request as it arrived. */
export interface Arrived {
  path: string;
  method: string;
  /** Body as text. */
  body: string;
  /** SHA-256 of its signature, which the receipt has to name. */
  hash: string;
}

/**
 * A peer that answers in memory as a test tells it. It stands where `MeshClient` stands: what TLS and signatures of
 * requests do is tested in `transport`.
 */
export class ScriptedPeer {
  readonly identity: Identity = generateIdentity();
  readonly peer: ApprovedPeer;
  readonly address: PeerAddress;
  /** Requests to infer that arrived. */
  readonly arrived: Arrived[] = [];
  /** How many offers were asked for. */
  asked = 0;
  /** Bodies of answers that were read to their end, and those that the reader gave up. */
  readonly bodies = { finished: 0, cancelled: 0 };
  offer: Offer;
  /** Answers a request for the offer; the default is the offer. May throw as `MeshClient` does. */
  onOffer: () => Answer | Promise<Answer> = () => ({ body: [JSON.stringify(this.offer)] });
  /** Answers a request for the stream of its offers; the default knows no such thing. */
  onOffers: () => Answer | Promise<Answer> = () => ({ status: 400, body: ["{}"] });
  /** Answers a request to infer. May throw as `MeshClient` does. */
  onInfer: (arrived: Arrived) => Answer | Promise<Answer> = (arrived) => ({ body: this.honest(arrived) });

  constructor(name = "bob", models: readonly string[] = ["tiny:1b"]) {
    const { publicKey } = this.identity;
    this.peer = decodeApproval({ name, public_key: formatPublicKey(publicKey) }, new Date().toISOString());
    this.address = { hostname: `${name}.local`, port: 8911 };
    this.offer = { name, ready: true, max_concurrent_requests: 2, models: models.map(offered) };
  }

  get id(): NodeId {
    return this.identity.id;
  }

  async request(call: MeshCall): Promise<MeshResponse> {
    const { method, path, body = "", signal } = call;
    if (signal?.aborted) throw new ArkError("cancelled", "The request was cancelled");
    const infers = path === "/ark/v1/infer";
    const streams = path.startsWith("/ark/v1/offers?");
    const hash = createHash("sha256").update(crypto.randomUUID()).digest("hex");
    const arrived = { path, method, body: typeof body === "string" ? body : new TextDecoder().decode(body), hash };
    if (infers) this.arrived.push(arrived);
    else if (!streams) this.asked++;
    const answer = await (infers ? this.onInfer(arrived) : streams ? this.onOffers() : this.onOffer());
    return {
      status: answer.status ?? 200,
      headers: new Headers(answer.headers),
      body: this.#stream(answer.body, { signal, counted: infers }),
      signature: hash,
      address: this.address,
    };
  }

  #stream(
    parts: Answer["body"],
    { signal, counted }: { signal: AbortSignal | undefined; counted: boolean },
  ): ReadableStream<Uint8Array<ArrayBuffer>> {
    const iterator = (async function* () {
      yield* parts;
    })();
    const aborted = Promise.withResolvers<never>();
    aborted.promise.catch(() => {});
    const onAbort = () => aborted.reject(new ArkError("cancelled", "The request was cancelled"));
    signal?.addEventListener("abort", onAbort);
    return new ReadableStream({
      pull: async (controller) => {
        const { done, value } = await Promise.race([iterator.next(), aborted.promise]);
        if (done) {
          if (counted) this.bodies.finished++;
          signal?.removeEventListener("abort", onAbort);
          controller.close();
        } else controller.enqueue(Uint8Array.from(typeof value === "string" ? new TextEncoder().encode(value) : value));
      },
      cancel: () => {
        if (counted) this.bodies.cancelled++;
        signal?.removeEventListener("abort", onAbort);
      },
    }, { highWaterMark: 0 });
  }

  /** The frames of an honest answer of so many words, with its receipt. */
  honest({ body, hash }: Arrived): Uint8Array[] {
    const { model, parameters, input } = JSON.parse(body) as InferenceRequest;
    const prompt = input.kind === "chat" ? input.messages.map(({ content }) => content).join(" ") : "a prompt";
    const words = parameters.max_tokens ?? 3;
    return this.signed(answerEvents(model, { prompt_tokens: prompt.split(" ").length, words }), { hash });
  }

  /** Frames of these events and a receipt that fits them, except for what `lie` says. */
  signed(events: InferenceEvent[], { hash, lie = {} }: { hash: string; lie?: Partial<Receipt> }): Uint8Array[] {
    const frames = events.map(encodeEventFrame);
    return [...frames, this.receiptFor(frames, { events, hash, lie })];
  }

  /** The frame of a receipt for these frames. */
  receiptFor(
    frames: readonly Uint8Array[],
    { events, hash, lie = {}, by = this.identity }: {
      events: InferenceEvent[];
      hash: string;
      lie?: Partial<Receipt>;
      by?: Identity;
    },
  ): Uint8Array {
    const stream = createHash("sha256");
    for (const frame of frames) stream.update(frame);
    const start = events.find((event) => event.type === "start");
    const end = events.find((event) => event.type === "end");
    const receipt: Receipt = {
      request: hash,
      stream: stream.digest("hex"),
      model: start?.model ?? "",
      digest: start?.digest ?? null,
      ...(end?.usage ?? { prompt_tokens: 0, completion_tokens: 0 }),
      finish_reason: end?.finish_reason ?? "stop",
      ...lie,
    };
    return encodeReceiptFrame({ receipt, signature: by.sign(receiptBytes(receipt)).toBase64() });
  }
}

export const DIGEST = "5a".repeat(32);

function offered(id: string): Offer["models"][number] {
  return { id, digest: DIGEST, size: 7, context_length: 64, parameters: "1b", quantization: "q4_0", loaded: true };
}

/** Events of an answer `w0 w1 …`. */
export function answerEvents(model: string, { prompt_tokens = 2, words = 3 } = {}): InferenceEvent[] {
  return [
    { type: "start", model, digest: DIGEST, prompt_tokens },
    ...Array.from({ length: words }, (_, index) => ({ type: "text", text: `w${index} `, tokens: 1 }) as const),
    {
      type: "end",
      finish_reason: "length",
      usage: { prompt_tokens, completion_tokens: words },
      timings: { queue_ms: 0, load_ms: 0, prompt_ms: 1, generation_ms: 2 },
    },
  ];
}

/** Several scripted peers behind one client, as `MeshClient` finds them by their ids. */
export function clientOf(
  peers: readonly ScriptedPeer[],
): { request(to: MeshPeer, call: MeshCall): Promise<MeshResponse> } {
  return {
    request({ id, addresses }, call) {
      const peer = peers.find((one) =>
        one.id === id && addresses.some(({ hostname }) => hostname === one.address.hostname)
      );
      if (peer === undefined) return Promise.reject(new ArkError("unavailable", "Nobody answers"));
      return peer.request(call);
    },
  };
}

/** A table of scripted peers that has asked each of them once. */
export async function tableOf(peers: readonly ScriptedPeer[], log: string[] = []): Promise<PeerTable> {
  const table = new PeerTable({
    approved: () => peers.map(({ peer }) => peer),
    addresses: (id) => peers.filter((peer) => peer.id === id).map(({ address }) => address),
    client: clientOf(peers),
    ownPort: () => 8911,
    logger: new Logger({ level: "debug", write: (line) => log.push(line) }),
  });
  for (const { id } of peers) await table.ask(id, new AbortController().signal);
  return table;
}

/** A real audit log in a folder of its own. */
export interface AuditFixture extends AsyncDisposable {
  audit: AuditLog;
  /** Path of `audit.log`. */
  file: string;
}

/** Opens a real audit log. */
export async function openAudit(): Promise<AuditFixture> {
  const directory = await Deno.makeTempDir({ prefix: "ark-routing-" });
  const store: Store = await openStore(":memory:");
  const file = `${directory}/audit.log`;
  const audit = await AuditLog.open({ store, mirror: file });
  return {
    audit,
    file,
    async [Symbol.asyncDispose]() {
      await audit[Symbol.asyncDispose]();
      await store[Symbol.asyncDispose]();
      await Deno.remove(directory, { recursive: true });
    },
  };
}

/** Reads an answer to its end or its error, which must be an ArkError. */
export async function read(
  events: AsyncIterable<InferenceEvent>,
): Promise<{ events: InferenceEvent[]; error: ArkError | null }> {
  const seen: InferenceEvent[] = [];
  try {
    for await (const event of events) seen.push(event);
    return { events: seen, error: null };
  } catch (error) {
    if (!(error instanceof ArkError)) throw error;
    return { events: seen, error };
  }
}

/** Waits until something holds, or fails after ten seconds. */
export async function until(holds: () => boolean | Promise<boolean>): Promise<void> {
  const deadline = performance.now() + 10_000;
  while (!await holds()) {
    if (performance.now() > deadline) throw new Error(`Waited in vain for ${holds}`);
    await new Promise((resolve) => setTimeout(resolve, 1));
  }
}
