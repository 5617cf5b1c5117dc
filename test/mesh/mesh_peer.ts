/** A peer that is only a key and a client: it asks a node as another node does, and can ask for anything. */
import { formatPublicKey, generateIdentity, type Identity, type NodeId } from "@ark/node/identity";
import { MeshClient, type MeshPeer as Target, type MeshResponse } from "@ark/node/transport";

/** A refusal or an answer, read to its end. */
export interface Reply {
  status: number;
  /** Code of a refusal such as `ark_busy`, or of an answer that ended with one; null for a whole answer. */
  code: string | null;
  message: string | null;
  retryAfter: number | null;
  text: string;
}

/** A key that asks. */
export class MeshPeer implements AsyncDisposable {
  readonly identity: Identity;
  readonly client: MeshClient;
  readonly #to: Target;

  constructor(id: NodeId, mesh: { hostname: string; port: number }, identity: Identity = generateIdentity()) {
    this.identity = identity;
    this.client = new MeshClient({ identity });
    this.#to = { id, addresses: [mesh] };
  }

  /** As an approval names it. */
  get publicKey(): string {
    return formatPublicKey(this.identity.publicKey);
  }

  /** Asks for anything, and reads all that comes back. */
  async get(path: string): Promise<{ status: number; text: string }> {
    const { status, body } = await this.client.request(this.#to, { method: "GET", path, deadlineMs: 10_000 });
    return { status, text: await new Response(body).text() };
  }

  /** Sends a question as it is, and returns the head of what comes back. */
  open(question: unknown, signal?: AbortSignal): Promise<MeshResponse> {
    return this.client.request(this.#to, {
      method: "POST",
      path: "/ark/v1/infer",
      body: typeof question === "string" ? question : JSON.stringify(question),
      deadlineMs: 60_000,
      ...(signal === undefined ? {} : { signal }),
    });
  }

  /** Sends a question, and reads all that comes back. */
  async ask(question: unknown): Promise<Reply> {
    const response = await this.open(question);
    const text = await new Response(response.body as ReadableStream).text();
    const failure = response.status === 200 ? /event: ark-error\ndata: (.*)/.exec(text)?.[1] : text;
    const error = failure === undefined ? null : JSON.parse(failure).error;
    const retryAfter = response.headers.get("retry-after");
    return {
      status: response.status,
      code: error?.code ?? null,
      message: error?.message ?? null,
      retryAfter: retryAfter === null ? null : Number(retryAfter),
      text,
    };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.client[Symbol.asyncDispose]();
  }
}

/** A question of the protocol. */
export function question(
  model: string,
  prompt: string,
  parameters: Record<string, unknown> = {},
): Record<string, unknown> {
  return { model, input: { kind: "completion", prompt }, parameters };
}
