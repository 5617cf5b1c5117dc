import { AuditLog, type AuditLogOptions, WitnessBook, Witnesses, type WitnessPeer } from "@ark/node/audit";
import { generateIdentity, type Identity } from "@ark/node/identity";
import { openStore, type Store } from "@ark/node/store";
import { Events, Logger } from "@ark/node/telemetry";
import { fullRecord } from "./log_fixture.ts";

const SILENT = new Logger({ write: () => {} });
const NEVER = new AbortController().signal;

/** A node as a witness, without the network in between. */
export class WitnessNode implements AsyncDisposable {
  readonly identity = generateIdentity();
  readonly records: { kind: string; peer: string | null }[] = [];
  readonly book: WitnessBook;
  readonly #store: Store;

  private constructor(store: Store, approvedAt: () => string | undefined) {
    this.#store = store;
    this.book = undefined as unknown as WitnessBook;
    this.#approvedAt = approvedAt;
  }

  readonly #approvedAt: () => string | undefined;

  static async open(approvedAt: () => string | undefined = () => "2026-01-01T00:00:00.000Z"): Promise<WitnessNode> {
    const node = new WitnessNode(await openStore(":memory:"), approvedAt);
    await node.reopen();
    return node;
  }

  /** Forgets what is not in the database. */
  async reopen(): Promise<void> {
    const book = await WitnessBook.open({
      store: this.#store,
      identity: this.identity,
      audit: {
        append: (record) => {
          this.records.push({ kind: record.kind, peer: record.peer });
          return Promise.resolve({} as never);
        },
      },
      approvedAt: this.#approvedAt,
      logger: SILENT,
      events: new Events(),
    });
    Object.assign(this, { book });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#store[Symbol.asyncDispose]();
  }
}

/** The witnesses of a log. */
export function witnessesOf(log: AuditLog, self: Identity, nodes: readonly WitnessNode[]): Witnesses {
  return new Witnesses({
    self: self.id,
    audit: log,
    peers: () => nodes.map(({ identity }): WitnessPeer => ({ id: identity.id, addresses: [] })),
    client: {
      async request({ id }, { method, body }) {
        const node = nodes.find(({ identity }) => identity.id === id);
        const note = await node?.book.remembered(self.id) ?? null;
        const answer = method === "GET"
          ? { status: note === null ? 404 : 200, body: note ?? "" }
          : await node?.book.add(self.id, String(body)) ?? { status: 404, body: "" };
        return {
          status: answer.status,
          headers: new Headers(),
          body: new Blob([answer.body]).stream(),
          signature: "",
          address: { hostname: "127.0.0.1", port: 1 },
        };
      },
    },
    logger: SILENT,
    events: new Events(),
  });
}

/** Makes a checkpoint and shows it to all witnesses. */
export async function witnessed(log: AuditLog, witnesses: Witnesses): Promise<void> {
  await log.checkpoint();
  await witnesses.round(NEVER);
}

/**
 * What somebody with the node's key and disk can do: a directory with another, whole log, signed anew. `records` says
 * which numbers its entries have been made of.
 */
export async function forge(directory: string, identity: Identity, records: readonly number[]): Promise<void> {
  for (const name of ["ark.db", "ark.db-wal", "ark.db-shm", "audit.log"]) {
    await Deno.remove(`${directory}/${name}`).catch(() => {});
  }
  await using store = await openStore(`${directory}/ark.db`);
  await using log = await AuditLog.open({ store, mirror: `${directory}/audit.log`, identity });
  for (const number of records) await log.append(fullRecord(number));
  await log.checkpoint();
}

/** Numbers from 1. */
export function upTo(count: number): number[] {
  return Array.from({ length: count }, (_, index) => index + 1);
}

/** Options of a log that signs. */
export function signing(identity: Identity): Partial<AuditLogOptions> {
  return { identity };
}
