import type { NodeId } from "@ark/node/identity";
import { reasonOf } from "@ark/node/protocol";
import { type Events, type Logger, nextBeat } from "@ark/node/telemetry";
import type { MeshClient, PeerAddress } from "@ark/node/transport";
import type { AuditLog } from "./audit_log.ts";
import { NOTE_LIMIT } from "./checkpoint.ts";
import { type KeptCheckpoint, readCheckpoint } from "./checkpoints.ts";
import { sameHash } from "./merkle_tree.ts";
import type { AuditVerdict } from "./verify.ts";
import { witnessRequest } from "./witness_request.ts";

/** A peer that can be asked now. */
export interface WitnessPeer {
  /** Its id. */
  id: NodeId;
  /** Where it may be dialled. */
  addresses: PeerAddress[];
}

/** What {@linkcode Witnesses} needs. */
export interface WitnessesOptions {
  /** This node's id, which is the name of its log. */
  self: NodeId;
  /** This node's log. */
  audit: Pick<AuditLog, "append" | "checkpoints">;
  /** Approved peers that are online. */
  peers(): readonly WitnessPeer[];
  /** Carries signed requests. */
  client: Pick<MeshClient, "request">;
  /** Says when a witness contradicts this log. */
  logger: Pick<Logger, "error" | "debug" | "info">;
  /** Told of contradictions. */
  events: Pick<Events, "emit">;
  /** Time between two looks whether a peer lacks the newest checkpoint, in milliseconds. @default {3000} */
  everyMs?: number;
  /** How long a witness may take, in milliseconds. @default {5000} */
  answerMs?: number;
}

/** What a witness holds of this node's log. */
export interface WitnessFinding {
  /** Which peer. */
  peer: NodeId;
  /** `silent` where it did not answer, or has seen nothing yet. */
  state: "agrees" | "disagrees" | "silent";
  /** Entries that the checkpoint it holds is about; 0 where it is silent. */
  size: number;
}

const PATH = "/ark/v1/witness";
const TEXT_LIMIT = NOTE_LIMIT;

/** The approved peers as witnesses of this node's audit log: they get every checkpoint, and can be asked what they hold. */
export class Witnesses {
  readonly #options: Required<WitnessesOptions>;
  /** Size that each has seen, as far as is known. */
  readonly #sizes = new Map<NodeId, number>();
  /** Those whose checkpoint contradicts the log, with its size. */
  readonly #contradictions = new Map<NodeId, number>();

  /** Makes one that has asked nobody yet. */
  constructor(options: WitnessesOptions) {
    this.#options = { everyMs: 3_000, answerMs: 5_000, ...options };
  }

  /** Contradictions, each in a sentence for the owner. */
  faults(): string[] {
    return [...this.#contradictions].map(([id, size]) =>
      `Witness ${
        id.slice(0, 8)
      } holds a checkpoint of ${size} entries with this node's signature, which the audit log ` +
      "contradicts: it was rewritten or cut; ark-node audit verify tells where"
    );
  }

  /** Sends each checkpoint to every peer that is online, one after the other, until the signal fires. */
  async run(signal: AbortSignal): Promise<void> {
    const { audit, everyMs } = this.#options;
    while (!signal.aborted) {
      await this.round(signal);
      const woken = new AbortController();
      audit.checkpoints.next.then(() => woken.abort());
      await nextBeat(everyMs, { signal: AbortSignal.any([signal, woken.signal]) });
    }
  }

  /** Sends the newest checkpoint to the peers that lack it. Never rejects. */
  async round(signal: AbortSignal): Promise<void> {
    const { audit, logger, peers } = this.#options;
    const newest = audit.checkpoints.newest;
    if (newest === null) return;
    for (const peer of peers()) {
      if (signal.aborted) return;
      if (this.#sizes.get(peer.id) === newest.size) continue;
      try {
        await this.#send(peer, { checkpoint: newest, signal });
      } catch (error) {
        logger.debug("A witness did not take the checkpoint", { peer: peer.id, reason: reasonOf(error) });
      }
    }
  }

  /** Asks every peer that is online what it holds, all at once, and compares. Never rejects. */
  async compare(signal: AbortSignal): Promise<WitnessFinding[]> {
    return await Promise.all(
      this.#options.peers().map((peer) =>
        this.#examine(peer, signal).catch((): WitnessFinding => ({ peer: peer.id, state: "silent", size: 0 }))
      ),
    );
  }

  async #send(
    peer: WitnessPeer,
    { checkpoint, signal }: { checkpoint: KeptCheckpoint; signal: AbortSignal },
  ): Promise<void> {
    const { checkpoints } = this.#options.audit;
    const { size } = checkpoint;
    let old = Math.min(this.#sizes.get(peer.id) ?? 0, size);
    // A witness that knows another size says which; that is tried once.
    for (let attempt = 0; attempt < 2; attempt++) {
      const proof = await checkpoints.consistency(old, size);
      const body = witnessRequest({ old, proof, note: checkpoint.note });
      const { status, text } = await this.#ask(peer, { method: "POST", body, signal });
      if (status === 200) {
        const cosigned = await checkpoints.cosigned(size, { lines: text, witness: peer.id });
        if (cosigned === 0) throw new Error("its cosignature does not hold");
        this.#sizes.set(peer.id, size);
        this.#contradictions.delete(peer.id);
        return;
      }
      const known = status === 409 ? Number(/^(0|[1-9]\d{0,15})\n$/.exec(text)?.[1] ?? NaN) : NaN;
      if (Number.isSafeInteger(known) && known !== old && known <= size) {
        old = known;
        continue;
      }
      if (status === 409 || status === 422) await this.#examine(peer, signal);
      throw new Error(`it answered with status ${status}`);
    }
  }

  /** Only a checkpoint with this node's own signature can contradict it: a peer's word alone is none. */
  async #examine(peer: WitnessPeer, signal: AbortSignal): Promise<WitnessFinding> {
    const { audit: { checkpoints }, self } = this.#options;
    const { status, text } = await this.#ask(peer, { method: "GET", signal });
    const signed = status === 200 ? readCheckpoint(text) : null;
    if (signed === null || signed.checkpoint.log !== self) return { peer: peer.id, state: "silent", size: 0 };
    const { size, root } = signed.checkpoint;
    const agrees = size <= checkpoints.size && sameHash(await checkpoints.rootAt(size), root);
    if (agrees) {
      this.#sizes.set(peer.id, size);
      this.#contradictions.delete(peer.id);
    } else await this.#contradicted(peer.id, size);
    return { peer: peer.id, state: agrees ? "agrees" : "disagrees", size };
  }

  async #contradicted(id: NodeId, size: number): Promise<void> {
    const { audit, logger, events } = this.#options;
    const isKnown = this.#contradictions.has(id);
    this.#contradictions.set(id, size);
    if (isKnown) return;
    logger.error("A witness holds a checkpoint that contradicts the audit log", { peer: id, count: size });
    events.emit({ type: "peer", change: "contradicted", peer: id });
    await audit.append({ kind: "alarm", direction: "out", peer: id }).catch(() => {});
  }

  async #ask(
    { id, addresses }: WitnessPeer,
    { method, body, signal }: { method: string; body?: string; signal: AbortSignal },
  ): Promise<{ status: number; text: string }> {
    const { client, answerMs } = this.#options;
    const late = AbortSignal.any([signal, AbortSignal.timeout(answerMs)]);
    const call = { method, path: PATH, deadlineMs: answerMs, signal: late };
    const posted = body === undefined ? call : { ...call, body, contentType: "text/plain; charset=utf-8" };
    const response = await client.request({ id, addresses }, posted);
    return { status: response.status, text: await shortText(response.body) };
  }
}

/** A verdict about the log alone, together with what witnesses hold of it. */
export function witnessedVerdict(verdict: AuditVerdict, findings: readonly WitnessFinding[]): AuditVerdict {
  const witnesses = [...findings];
  const disagrees = findings.filter(({ state }) => state === "disagrees").sort((a, b) => a.size - b.size)[0];
  if (!verdict.ok || disagrees === undefined) return { ...verdict, witnesses };
  const { peer, size } = disagrees;
  const holds = `witness ${peer.slice(0, 8)} holds a checkpoint of ${size} entries with this node's signature`;
  const { entries } = verdict;
  if (size > entries) {
    const missing = size === entries + 1
      ? `entry ${size} is missing, or one`
      : `entries ${entries + 1} to ${size} are missing, or as many`;
    const reason = `The log ends at entry ${entries}, but ${holds}: ${missing} before`;
    return { ok: false, entries, seq: entries + 1, where: "both", reason, witnesses };
  }
  const agreed = Math.max(
    0,
    ...findings.filter(({ state, size: other }) => state === "agrees" && other < size).map(({ size }) => size),
  );
  const which = agreed + 1 === size ? `entry ${size}` : `one of the entries ${agreed + 1} to ${size}`;
  const reason = `The log was rewritten: ${which} is not what it was, since ${holds} that says so`;
  return { ok: false, entries: agreed, seq: agreed + 1, where: "both", reason, witnesses };
}

async function shortText(body: ReadableStream<Uint8Array>): Promise<string> {
  const decoder = new TextDecoder();
  let text = "";
  for await (const chunk of body) {
    text += decoder.decode(chunk, { stream: true });
    if (text.length > TEXT_LIMIT) throw new Error("its answer is too long");
  }
  return text;
}
