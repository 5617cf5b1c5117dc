import { writeDurably } from "@ark/node/store";
import { type NodeId, parseNodeId } from "@ark/node/identity";
import { decodeOfferedModel, decodeWakeFacts, type OfferedModel, reasonOf, type WakeFacts } from "@ark/node/protocol";
import { isIPv4 } from "node:net";

import type { Logger } from "@ark/node/telemetry";

/** One of the owner's other nodes, as it was when it was there last. */
export interface KnownNode {
  /** How it is woken; null where it has not said so. */
  readonly wake: WakeFacts | null;
  /** Where it was, IPv4. */
  readonly addresses: readonly string[];
  /** What it offered. */
  readonly models: readonly OfferedModel[];
  /** When it was there last, to the day: milliseconds since 1970. */
  readonly seenAt: number;
}

/** Most nodes that are remembered, and models and addresses of each. */
const MOST_NODES = 32;
const MOST_MODELS = 256;
const MOST_ADDRESSES = 4;
const MOST_BYTES = 8 << 20;
const DAY_MS = 86_400_000;
/** Who was not there for so long is forgotten, in milliseconds. */
const LONGEST_MS = 90 * DAY_MS;

/** What the owner's other nodes offered last and how they are woken, kept in a file. */
export class KnownNodes {
  readonly #path: string;
  readonly #logger: Pick<Logger, "warn">;
  readonly #nodes: Map<NodeId, KnownNode>;
  #writing: Promise<unknown> = Promise.resolve();

  private constructor(
    path: string,
    { logger, nodes }: { logger: Pick<Logger, "warn">; nodes: Map<NodeId, KnownNode> },
  ) {
    this.#path = path;
    this.#logger = logger;
    this.#nodes = nodes;
  }

  /** Reads what was kept. Never fails: what cannot be read is learnt again. */
  static async open(path: string, logger: Pick<Logger, "warn">): Promise<KnownNodes> {
    let nodes = new Map<NodeId, KnownNode>();
    try {
      if ((await Deno.stat(path)).size <= MOST_BYTES) nodes = parseKnownNodes(await Deno.readTextFile(path));
    } catch (error) {
      if (!(error instanceof Deno.errors.NotFound)) {
        logger.warn("What your other nodes offered cannot be read, and is learnt again", {
          path,
          reason: reasonOf(error),
        });
      }
    }
    return new KnownNodes(path, { logger, nodes });
  }

  /** All of them, the one that was there last first. */
  list(): [NodeId, KnownNode][] {
    return [...this.#nodes].sort(([, a], [, b]) => b.seenAt - a.seenAt);
  }

  /** What is known of one. */
  get(id: NodeId): KnownNode | undefined {
    return this.#nodes.get(id);
  }

  /** A node is there and offers something. */
  note(id: NodeId, { models, addresses }: Pick<KnownNode, "models" | "addresses">): void {
    const before = this.#nodes.get(id);
    this.#set(id, {
      wake: before?.wake ?? null,
      addresses: addresses.filter((address) => isIPv4(address)).slice(0, MOST_ADDRESSES),
      models: models.slice(0, MOST_MODELS).map(lasting),
      seenAt: Math.floor(Date.now() / DAY_MS) * DAY_MS,
    });
  }

  /** A node said how it is woken, or that it does not say so any more. */
  noteWake(id: NodeId, wake: WakeFacts | null): void {
    const before = this.#nodes.get(id);
    if (before !== undefined) this.#set(id, { ...before, wake });
  }

  /** Forgets all but some. */
  keepOnly(ids: ReadonlySet<NodeId>): void {
    const gone = [...this.#nodes.keys()].filter((id) => !ids.has(id));
    for (const id of gone) this.#nodes.delete(id);
    if (gone.length > 0) this.#write();
  }

  /** Resolves when everything is on the disk. */
  async settled(): Promise<void> {
    await this.#writing;
  }

  #set(id: NodeId, node: KnownNode): void {
    const before = this.#nodes.get(id);
    if (before !== undefined && JSON.stringify(before) === JSON.stringify(node)) return;
    if (before === undefined && this.#nodes.size >= MOST_NODES) {
      const oldest = this.list().at(-1)?.[0];
      if (oldest !== undefined) this.#nodes.delete(oldest);
    }
    this.#nodes.set(id, node);
    this.#write();
  }

  #write(): void {
    this.#writing = this.#writing.then(() => writeDurably(this.#path, encoded(this.#nodes))).catch((error) => {
      this.#logger.warn("What your other nodes offer cannot be kept", { path: this.#path, reason: reasonOf(error) });
    });
  }
}

/** Of an offered model what does not change from minute to minute. */
function lasting(model: OfferedModel): OfferedModel {
  const { id, digest, size, context_length, parameters, quantization, capabilities, family } = model;
  return {
    id,
    digest,
    size,
    context_length,
    parameters,
    quantization,
    loaded: false,
    ...capabilities === undefined ? {} : { capabilities },
    ...family === undefined ? {} : { family },
  };
}

function encoded(nodes: ReadonlyMap<NodeId, KnownNode>): string {
  const list = [...nodes].map(([node_id, { wake, addresses, models, seenAt }]) => {
    return { node_id, wake, addresses, models, seen_at: seenAt };
  });
  return JSON.stringify({ nodes: list }) + "\n";
}

/** Reads the file's text. Total: what makes no sense is left out. */
export function parseKnownNodes(text: string): Map<NodeId, KnownNode> {
  const found = new Map<NodeId, KnownNode>();
  let nodes: unknown;
  try {
    ({ nodes } = Object(JSON.parse(text)));
  } catch {
    return found;
  }
  for (const value of Array.isArray(nodes) ? nodes.slice(0, MOST_NODES) : []) {
    try {
      const { node_id, wake, addresses, models, seen_at: seenAt } = Object(value);
      if (typeof node_id !== "string" || !Array.isArray(models) || !Number.isSafeInteger(seenAt)) continue;
      if (Date.now() - seenAt > LONGEST_MS) continue;
      found.set(parseNodeId(node_id), {
        wake: wake === null ? null : decodeWakeFacts(wake),
        addresses: (Array.isArray(addresses) ? addresses : []).filter(isIPv4Text).slice(0, MOST_ADDRESSES),
        models: models.slice(0, MOST_MODELS).map((model) => lasting(decodeOfferedModel(model))),
        seenAt,
      });
    } catch {
      continue;
    }
  }
  return found;
}

function isIPv4Text(value: unknown): value is string {
  return typeof value === "string" && isIPv4(value);
}
