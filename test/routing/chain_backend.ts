/** A model of which one always knows what it writes next: token n is followed by n + 1. Any token that is lost or doubled shows. */
import { formatPublicKey, generateIdentity } from "@ark/node/identity";
import type { Backend, InferOptions } from "@ark/node/inference";
import { type ApprovedPeer, decodeApproval } from "@ark/node/peers";
import {
  type AnswerPart,
  ArkError,
  decodeTokenIds,
  encodeTokenIds,
  type ErrorCode,
  type InferenceEvent,
  type InferenceRequest,
  type OfferedModel,
} from "@ark/node/protocol";
import { type PeerView, type RouteOptions, Router, type RouterOptions, type RouteStep } from "@ark/node/routing";

/** The weights of the chain. */
export const CHAIN = "c4".repeat(32);
/** Tokens of each prompt: what is written begins with the next one. */
export const PROMPT = [1, 2, 3, 4, 5];
/** What the chain is called. */
export const MODEL = "chain:1b";

/** What happens to one request. */
export interface Fate {
  /** How many events it passes on before: 0 is before the start, 1 after it. */
  after: number;
  /** It throws this code, falls silent, stops without an end, or takes some milliseconds and goes on. */
  how: ErrorCode | "silent" | "cut" | { lateMs: number };
}

/** How one writes the tokens from `from` to `to`, both included: what a token means depends on the token alone. */
export type Grammar = (from: number, to: number) => AnswerPart[];

/** Each token is a text of its own, with its number. */
export function plainText(from: number, to: number): AnswerPart[] {
  const parts: AnswerPart[] = [];
  for (let id = from; id <= to; id++) parts.push({ type: "text", text: `${id} `, tokens: 1, ids: [id] });
  return parts;
}

/** Two or three tokens make one part. */
export function inGroups(from: number, to: number): AnswerPart[] {
  const parts: AnswerPart[] = [];
  for (let id = from; id <= to;) {
    const last = Math.min(to, id + (id % 2));
    const ids = Array.from({ length: last - id + 1 }, (_, index) => id + index);
    parts.push({ type: "text", text: ids.map((one) => `${one} `).join(""), tokens: ids.length, ids });
    id = last + 1;
  }
  return parts;
}

/** Each token ends a thought and begins a text: only the last of both tells it, as engines do. */
export function inTwo(from: number, to: number): AnswerPart[] {
  return plainText(from, to).flatMap((part): AnswerPart[] =>
    part.type === "text" ? [{ type: "reasoning", text: part.text, tokens: 0 }, { ...part, text: "" }] : []
  );
}

/** After three thoughts each token that 5 divides begins a call, and the others are its arguments. */
export function withCalls(from: number, to: number): AnswerPart[] {
  const first = 10;
  const parts: AnswerPart[] = [];
  for (let id = from; id <= to; id++) {
    const index = Math.floor((id - first) / 5);
    const told = { tokens: 1, ids: [id] };
    if (id < first) parts.push({ type: "reasoning", text: `${id} `, ...told });
    else if (id % 5 === 0) {
      parts.push({ type: "tool_call", index, id: `call_${crypto.randomUUID()}`, name: "f", ...told });
    } else parts.push({ type: "tool_arguments", index, text: `${id} `, ...told });
  }
  return parts;
}

/** Options of {@linkcode ChainBackend}. */
export interface ChainOptions {
  /** What happens to its requests, one after the other; later ones go well. */
  fates?: (Fate | undefined)[];
  /** Its weights. */
  digest?: string | null;
  /** Whether it refuses what it does not know, like a node of an earlier version. */
  old?: boolean;
  /** Whether it never tells its tokens. */
  mute?: boolean;
  /** How tokens are told. */
  grammar?: Grammar;
  /** Time between two parts, in milliseconds. */
  everyMs?: number;
  /** Time until its start, in milliseconds. */
  startMs?: number;
  /** The same where it goes on with an answer. */
  resumeMs?: number;
}

/** A backend that has the chain. */
export class ChainBackend implements Backend {
  readonly name: string;
  readonly options: ChainOptions;
  /** All requests, as they came. */
  readonly requests: InferenceRequest[] = [];
  /** Options of all requests. */
  readonly asked: InferOptions[] = [];
  /** How many are running. */
  running = 0;
  /** Monotonic times at which a request was let go. */
  readonly left: number[] = [];

  constructor(name: string, options: ChainOptions = {}) {
    this.name = name;
    this.options = options;
  }

  handles(model: string): boolean {
    return model === MODEL;
  }

  loaded(): { id: string }[] {
    return [{ id: MODEL }];
  }

  async *infer(request: InferenceRequest, options: InferOptions): AsyncGenerator<InferenceEvent> {
    const number = this.requests.push(request) - 1;
    this.asked.push(options);
    this.running++;
    try {
      for await (
        const event of this.#fated(request, { fate: this.options.fates?.[number], signal: options.signal })
      ) {
        // By the short way where there is one, as a peer's answer comes.
        if (event.type === "start" || event.type === "end" || options.direct?.open !== true) yield event;
        else await options.direct.take([event]);
      }
    } finally {
      this.running--;
      this.left.push(performance.now());
    }
  }

  async *#fated(
    request: InferenceRequest,
    { fate, signal }: { fate: Fate | undefined; signal: AbortSignal },
  ): AsyncGenerator<InferenceEvent> {
    const { everyMs } = this.options;
    const startMs = request.resume === undefined ? this.options.startMs : this.options.resumeMs ?? this.options.startMs;
    let count = 0;
    if (startMs !== undefined) await within(startMs, signal);
    for (const event of this.#events(request)) {
      if (signal.aborted) throw cancelled();
      if (fate !== undefined && count === fate.after) {
        if (fate.how === "cut") return;
        if (fate.how === "silent") await within(Infinity, signal);
        else if (typeof fate.how === "object") await within(fate.how.lateMs, signal);
        else {throw new ArkError(
            fate.how,
            `${this.name} met its fate`,
            fate.how === "busy" ? { retryAfterSeconds: 1 } : {},
          );}
      }
      if (everyMs !== undefined && count > 0) await within(everyMs, signal);
      else await Promise.resolve();
      count++;
      yield event;
    }
  }

  #events(request: InferenceRequest): InferenceEvent[] {
    const { digest = CHAIN, old = false, mute = false, grammar = plainText } = this.options;
    if (old && (request.ids === true || request.resume !== undefined)) {
      const field = request.ids === true ? "ids" : "resume";
      throw new ArkError("bad_request", `${this.name} answered: The request has an unknown field: ${field}`);
    }
    const tells = request.ids === true && !mute;
    const { resume, parameters: { max_tokens: most = 1_000 } } = request;
    if (most < 1) throw new RangeError("It was to write nothing");
    if (resume !== undefined) assertChain([...decodeTokenIds(resume.prompt), ...decodeTokenIds(resume.written)]);
    const from = resume === undefined ? PROMPT.length + 1 : (decodeTokenIds(resume.written).at(-1) ?? 0) + 1;
    const parts = grammar(from, from + most - 1).map((part): AnswerPart => {
      if (tells || !("ids" in part)) return part;
      const { ids: _, ...rest } = part;
      return rest as AnswerPart;
    });
    return [
      {
        type: "start",
        model: request.model,
        digest,
        prompt_tokens: PROMPT.length,
        ...tells ? { prompt_ids: encodeTokenIds(PROMPT) } : {},
      },
      ...parts,
      {
        type: "end",
        finish_reason: grammar === withCalls && from + most > 10 ? "tool_calls" : "length",
        usage: { prompt_tokens: PROMPT.length, completion_tokens: most },
        timings: { queue_ms: 0, load_ms: 0, prompt_ms: 1, generation_ms: 2 },
      },
    ];
  }
}

function assertChain(ids: readonly number[]): void {
  const wrong = ids.findIndex((id, index) => id !== index + 1);
  if (wrong >= 0) throw new TypeError(`It was to go on from a broken chain: ${ids}`);
}

/** Waits for so long, or until the signal fires: then it throws. */
async function within(ms: number, signal: AbortSignal): Promise<void> {
  if (signal.aborted) throw cancelled();
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  const timer = ms === Infinity ? undefined : setTimeout(resolve, ms);
  const abort = () => reject(cancelled());
  signal.addEventListener("abort", abort, { once: true });
  try {
    await promise;
  } finally {
    clearTimeout(timer);
    signal.removeEventListener("abort", abort);
  }
}

function cancelled(): ArkError {
  return new ArkError("cancelled", "The request was cancelled");
}

const PEERS: ApprovedPeer[] = Array.from({ length: 8 }, (_, index) => {
  const { publicKey } = generateIdentity();
  return decodeApproval({ name: `peer${index}`, public_key: formatPublicKey(publicKey) }, "2026-01-01T00:00:00.000Z");
});

/** A router over peers that have the chain. */
export interface ChainScene {
  router: Router;
  /** The peers, in their order. */
  peers: ChainBackend[];
  /** Peers that are not there any more. */
  gone: Set<ChainBackend>;
  steps: RouteStep[];
  log: string[];
  infer(request?: Partial<InferenceRequest>, options?: Partial<RouteOptions>): AsyncGenerator<InferenceEvent>;
}

/** Makes a router over peers; `local` is this node's own engine, and those in `away` cannot be reached now. */
export function chainScene(
  { peers, local, offers = () => ({}), away, ...options }:
    & { peers: ChainBackend[]; local?: ChainBackend; offers?: (index: number) => Partial<OfferedModel> }
    & { away?: { has(peer: ChainBackend): boolean } }
    & Partial<Pick<RouterOptions, "hedge" | "stall" | "move" | "observations">>,
): ChainScene {
  const gone = new Set<ChainBackend>();
  const views = peers.map((backend, index): PeerView => {
    const peer = PEERS[index];
    if (peer === undefined) throw new RangeError("There are not so many peers");
    const digest = backend.options.digest === undefined ? CHAIN : backend.options.digest;
    const models = [{
      id: MODEL,
      digest,
      size: 1,
      context_length: 4_096,
      parameters: null,
      quantization: null,
      loaded: true,
    }];
    return {
      peer,
      state: "ready",
      reason: null,
      since: null,
      address: null,
      // Far enough from each other that the first one is asked first.
      roundTripMs: 1 + 400 * index,
      offer: { name: peer.name, ready: true, max_concurrent_requests: 4, models },
      inFlight: 0,
      live: true,
      slots: 2,
      freeSlots: 2,
      queued: 0,
    };
  });
  const there = () =>
    views.filter((_, index) => !gone.has(peers[index] ?? raise())).map((view): PeerView => {
      const backend = peers[views.indexOf(view)];
      return backend !== undefined && away?.has(backend) ? { ...view, state: "unreachable" } : view;
    });
  const ready = () => there().filter(({ state }) => state === "ready");
  const steps: RouteStep[] = [];
  const log: string[] = [];
  const router = new Router({
    name: "here",
    local: local === undefined ? null : ownEngine(local),
    table: {
      list: there,
      offering: (model) =>
        ready().flatMap((view) =>
          (view.offer?.models ?? []).filter(({ id }) => id === model)
            .map((one) => ({ view, model: { ...one, ...offers(views.findIndex(({ peer }) => peer === view.peer)) } }))
        ),
      ask: () => Promise.resolve(),
    },
    remote: (id) => peers[PEERS.findIndex(({ node_id }) => node_id === id)] ?? null,
    logger: { warn: (message, fields) => void log.push(`${message} ${JSON.stringify(fields)}`) },
    ...options,
  });
  return {
    router,
    peers,
    gone,
    steps,
    log,
    infer: (request = {}, options = {}) =>
      router.infer({
        model: MODEL,
        input: { kind: "completion", prompt: "one two three" },
        parameters: { max_tokens: 12 },
        ...request,
      }, {
        priority: "owner",
        principal: "owner",
        signal: new AbortController().signal,
        step: (step) => steps.push(step),
        ...options,
      }),
  };
}

function ownEngine(backend: ChainBackend): NonNullable<RouterOptions["local"]> {
  const digest = backend.options.digest === undefined ? CHAIN : backend.options.digest;
  const model = {
    id: MODEL,
    name: "chain",
    path: "/models/chain.gguf",
    size: 1,
    mtimeMs: 0,
    modifiedAt: 0,
    files: [],
    source: "folder" as const,
    family: "llama",
    capabilities: [],
    template: null,
    system: null,
    defaults: {},
    aliases: [],
    architecture: "llama",
    contextLength: 4_096,
    blockCount: 1,
    parameterCount: 1,
    parameters: null,
    quantization: null,
    digest,
  };
  return { backend, catalogue: { list: () => [model], find: (ref) => ref === MODEL ? model : undefined } };
}

function raise(): never {
  throw new RangeError("There is no such peer");
}

/** The answer of one who takes parts by the short way, in the order in which they came. */
export async function* readShort(
  infer: ChainScene["infer"],
  request?: Partial<InferenceRequest>,
): AsyncGenerator<InferenceEvent> {
  let [came, open]: [InferenceEvent[], boolean] = [[], false];
  const direct = {
    get open() {
      return open;
    },
    take(parts: readonly AnswerPart[]) {
      came.push(...parts);
      return came.length % 3 === 0 ? Promise.resolve() : null;
    },
  };
  try {
    for await (const event of infer(request, { direct })) {
      yield* came.splice(0);
      yield event;
      open = event.type !== "start";
    }
  } catch (error) {
    yield* came;
    came = [];
    throw error;
  }
}

/** What a reader saw. */
export interface Seen {
  events: InferenceEvent[];
  /** Numbers of the tokens in texts, thoughts and arguments, and of calls. */
  ids: number[];
  error: ArkError | null;
}

/** Reads an answer to its end or error, and checks what holds of each: one start, one end, no ids, an order of calls. */
export async function readChain(events: AsyncIterable<InferenceEvent>): Promise<Seen> {
  const seen: Seen = { events: [], ids: [], error: null };
  let calls = 0;
  try {
    for await (const event of events) {
      seen.events.push(event);
      if ("ids" in event || "prompt_ids" in event) throw new TypeError("Ids were shown");
      if ((event.type === "start") !== (seen.events.length === 1)) throw new TypeError("A start is out of order");
      if (event.type === "tool_call") {
        if (event.index !== calls++) throw new TypeError("A call is out of order");
        seen.ids.push(10 + 5 * event.index);
      } else if (event.type === "tool_arguments" && event.index !== calls - 1) {
        throw new TypeError("Arguments are out of order");
      }
      if ("text" in event) seen.ids.push(...event.text.split(" ").filter(Boolean).map(Number));
    }
    if (seen.events.at(-1)?.type !== "end") throw new TypeError("The answer stopped silently");
  } catch (error) {
    if (!(error instanceof ArkError)) throw error;
    seen.error = error;
  }
  return seen;
}

/** Numbers of so many tokens from the first one that is written. */
export function chain(length: number): number[] {
  return Array.from({ length }, (_, index) => PROMPT.length + 1 + index);
}
