import { formatPublicKey, generateIdentity, type NodeId } from "@ark/node/identity";
import { type ApprovedPeer, PeerBook, type PeerBookOptions } from "@ark/node/peers";
import { openStore, type Store } from "@ark/node/store";
import { Logger } from "@ark/node/telemetry";

/** A peer book on a disk, with what a test needs to edit its file and to restart it. */
export interface BookFixture {
  directory: string;
  /** Path of `approved_peers.json`. */
  file: string;
  store: Store;
  /** What the book told, in order: `changed`, or `removed` and the ids. */
  told: string[];
  /** Lines of the log. */
  log: string[];
  /** Opens the book as a node does that starts. */
  open(options?: Partial<PeerBookOptions>): Promise<PeerBook>;
  /** Entries of the file as they stand there. */
  entries(): Promise<ApprovedPeer[]>;
  /** Writes the file by hand; each time with another time of change, also on a coarse clock. */
  edit(content: string | object): Promise<void>;
}

/** Runs a test with a peer book; `dir` is the folder in which its directory is made. */
export async function withBook(
  test: (fixture: BookFixture) => Promise<void>,
  { dir }: { dir?: string } = {},
): Promise<void> {
  const directory = await Deno.makeTempDir({ prefix: "ark-peers-", ...(dir === undefined ? {} : { dir }) });
  const file = `${directory}/approved_peers.json`;
  const told: string[] = [];
  const log: string[] = [];
  const logger = new Logger({ level: "debug", write: (line) => log.push(line) });
  let edits = 0;
  try {
    await using store = await openStore(`${directory}/node.db`);
    const removed = (ids: NodeId[]) => told.push(`removed ${ids.join(" ")}`);
    const changed = () => told.push("changed");
    await test({
      directory,
      file,
      store,
      told,
      log,
      open: (options = {}) => PeerBook.open({ path: file, store, logger, removed, changed, ...options }),
      entries: async () => JSON.parse(await Deno.readTextFile(file)).peers,
      async edit(content) {
        await Deno.writeTextFile(file, typeof content === "string" ? content : JSON.stringify(content));
        const time = Date.now() / 1_000 + ++edits;
        await Deno.utime(file, time, time);
      },
    });
  } finally {
    await Deno.remove(directory, { recursive: true });
  }
}

/** Somebody to approve: an id, a key, and an approval that lets it ask `tiny:*`. */
export function somebody(): { id: NodeId; approval: { public_key: string; permissions: object } } {
  const { id, publicKey } = generateIdentity();
  const permissions = { can_request_inference: true, models_shared: ["tiny:*"] };
  return { id, approval: { public_key: formatPublicKey(publicKey), permissions } };
}
