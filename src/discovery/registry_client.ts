import { type Identity, type NodeId, parseNodeId } from "@ark/node/identity";
import { ArkError, decodeSignedRegistration, type SignedRegistration, signRegistration } from "@ark/node/protocol";
import { boundedText } from "@ark/node/transport";

/** What a node says of itself in a registry. */
export interface RegistryListing {
  /** Where it can be dialled, as `host:port`; none takes it out. */
  endpoints: readonly string[];
  /** Models that it wants to be found by. */
  models: readonly string[];
}

/** A page of nodes, each with a signature that was verified. */
export interface RegistryNodes {
  /** By rising id. */
  nodes: SignedRegistration[];
  /** Where the next page begins, or null. */
  next: string | null;
}

const TIMEOUT_MS = 10_000;
const MOST_BYTES = 16 << 20;
/** How long one registration counts: a node that is gone is forgotten within the day. */
const LIFE_MS = 20 * 3_600_000;

/** Speaks with a registry. What it says is a hint: it grants nothing, and each entry counts by its node's signature alone. */
export class RegistryClient {
  readonly #base: string;

  /** Takes the registry's URL. */
  constructor(url: URL) {
    this.#base = url.href.replace(/\/$/, "");
  }

  /**
   * Registers a node, or takes it out.
   *
   * @throws {ArkError} `unavailable` where the registry does not answer, else what it refuses with.
   */
  async register(identity: Pick<Identity, "id" | "sign">, listing: RegistryListing): Promise<SignedRegistration> {
    let seq = Date.now();
    for (let attempt = 0;; attempt++) {
      const registration = signRegistration(identity, { ...listing, seq, lifeMs: LIFE_MS });
      const { status, body } = await this.#ask("/registry/v1/nodes", registration);
      if (status === 200) return registration;
      const { seq: known, error } = Object(body);
      // The clock was set back since the last time.
      if (attempt === 0 && error?.code === "ark_replay" && Number.isSafeInteger(known) && known >= seq) {
        seq = known + 1;
        continue;
      }
      throw refusal(status, body);
    }
  }

  /** What a node says of itself, or null where the registry knows of none. */
  async find(id: NodeId): Promise<SignedRegistration | null> {
    const { status, body } = await this.#ask(`/registry/v1/nodes/${id}`);
    if (status === 404) return null;
    if (status !== 200) throw refusal(status, body);
    const found = decodeSignedRegistration(body);
    if (found.node_id !== id || Date.parse(found.not_after) < Date.now()) return null;
    return found;
  }

  /** Nodes that have a model, by its name or, with `*` behind it, by the beginning of one; without it, all. */
  async list({ model, after }: { model?: string; after?: string } = {}): Promise<RegistryNodes> {
    const query = new URLSearchParams({
      limit: "100",
      ...model === undefined ? {} : { model },
      ...after === undefined ? {} : { after },
    });
    const { status, body } = await this.#ask(`/registry/v1/nodes?${query}`);
    if (status !== 200) throw refusal(status, body);
    const { nodes, next } = Object(body) as { nodes?: unknown; next?: unknown };
    if (!Array.isArray(nodes)) throw new ArkError("unavailable", "What answers there is no registry");
    const sound = nodes.flatMap((node) => {
      try {
        const found = decodeSignedRegistration(node);
        return Date.parse(found.not_after) < Date.now() ? [] : [found];
      } catch {
        // Made up or spoilt by the registry: as if it were not there.
        return [];
      }
    });
    return { nodes: sound, next: typeof next === "string" ? parseNodeId(next) : null };
  }

  async #ask(path: string, body?: unknown): Promise<{ status: number; body: unknown }> {
    try {
      const response = await fetch(this.#base + path, {
        ...(body === undefined ? {} : { method: "POST", body: JSON.stringify(body) }),
        headers: { "content-type": "application/json" },
        signal: AbortSignal.timeout(TIMEOUT_MS),
        // It would lead somewhere that the owner did not name.
        redirect: "error",
      });
      const text = await boundedText(response.body, { most: MOST_BYTES, tooLong: () => new RangeError("Too long") });
      return { status: response.status, body: JSON.parse(text) };
    } catch (error) {
      throw new ArkError("unavailable", `The registry ${new URL(this.#base).host} does not answer`, { cause: error });
    }
  }
}

function refusal(status: number, body: unknown): ArkError {
  const { error } = Object(body) as { error?: { message?: unknown } };
  const message = typeof error?.message === "string" ? error.message.slice(0, 200) : `it answered ${status}`;
  return new ArkError(status === 429 ? "busy" : "unavailable", `The registry refused: ${message}`);
}
