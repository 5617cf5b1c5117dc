import assert from "node:assert/strict";
import { AuditLog } from "@ark/node/audit";
import { generateIdentity } from "@ark/node/identity";
import { openStore, type Store } from "@ark/node/store";
import type { EntriesTable } from "../../src/audit/entries_table.ts";
import { Follower } from "../../src/audit/follower.ts";
import { InsertThread, ThreadEnded } from "../../src/audit/insert_thread.ts";
import { TreeEdge } from "../../src/audit/tree_edge.ts";
import { fullRecord, soundEntries, withFixture } from "./log_fixture.ts";

const MANY = 3_000;

/** Appends so many at once that the database falls behind. */
async function appendMany(log: AuditLog, count = MANY): Promise<void> {
  await Promise.all(Array.from({ length: count }, (_, number) => log.append(fullRecord(number))));
}

async function rowsOf(store: Store): Promise<number> {
  const { count } = await store.selectFrom("audit_entries").select(({ fn }) => fn.countAll<number>().as("count"))
    .executeTakeFirstOrThrow();
  return Number(count);
}

/** A thread of the database, and when it is to end. */
interface Seen {
  /** Messages to it. */
  sent: number;
  /** Whether one came from it. */
  answered: boolean;
  ends: "never" | "before" | "after" | "ended";
}

/** Appends while nobody gets to the database, so that it falls behind and a thread is there when it may go on. */
async function fallBehind({ log, store, threads }: { log: AuditLog; store: Store; threads: Seen[] }): Promise<void> {
  const { promise, resolve } = Promise.withResolvers<void>();
  const held = store.alone(() => promise);
  await appendMany(log);
  await until(() => threads[0]?.answered === true);
  resolve();
  await held;
}

/** The threads of the database that are started while `work` runs. */
async function withThreads(work: (threads: Seen[]) => Promise<void>): Promise<void> {
  const threads: Seen[] = [];
  const Real = globalThis.Worker;
  globalThis.Worker = class extends Real {
    readonly #seen: Seen = { sent: 0, answered: false, ends: "never" };

    constructor(url: URL, options: WorkerOptions) {
      super(url, options);
      if (url.href.endsWith("insert_worker.ts")) threads.push(this.#seen);
      this.addEventListener("message", () => this.#seen.answered = true);
    }

    override postMessage(message: unknown): void {
      const seen = this.#seen;
      seen.sent++;
      if (seen.ends === "never") return super.postMessage(message);
      const end = () => {
        seen.ends = "ended";
        this.onerror?.(new ErrorEvent("error", { cancelable: true }));
      };
      this.onmessage = end;
      if (seen.ends === "before") queueMicrotask(end);
      else super.postMessage(message);
    }
  } as typeof Worker;
  try {
    await work(threads);
  } finally {
    globalThis.Worker = Real;
  }
}

async function until(holds: () => boolean): Promise<void> {
  const deadline = performance.now() + 30_000;
  while (!holds()) {
    assert.ok(performance.now() < deadline, "It did not come to that");
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
}

Deno.test("InsertThread puts lines into the database, and gives the tree that has grown", () =>
  withFixture(async ({ directory, opened, lines }) => {
    const wanted = await opened(async (log, store) => {
      await appendMany(log, 700);
      await log.tail(1);
      return {
        rows: await store.selectFrom("audit_entries").selectAll().orderBy("seq").execute(),
        tiles: await store.selectFrom("audit_tiles").selectAll().orderBy("number").execute(),
        root: (await log.checkpoints.rootAt(700)).toHex(),
      };
    });
    const path = `${directory}/other.db`;
    await using store = await openStore(path);
    await using thread = new InsertThread(path);
    await until(() => thread.ready);
    const bytes = new TextEncoder().encode((await lines()).map((line) => line + "\n").join(""));
    const edge = await thread.insert(bytes.slice(), new TreeEdge());
    assert.equal(edge?.root().toHex(), wanted.root);
    assert.deepEqual(await store.selectFrom("audit_entries").selectAll().orderBy("seq").execute(), wanted.rows);
    assert.deepEqual(await store.selectFrom("audit_tiles").selectAll().orderBy("number").execute(), wanted.tiles);
    // The same once more is refused as a whole, and the thread goes on.
    await assert.rejects(thread.insert(bytes, new TreeEdge()), /UNIQUE/);
    assert.equal(await rowsOf(store), 700);
    assert.equal(await thread.insert(new Uint8Array(), null), null);
  }));

Deno.test("InsertThread for a database that cannot be opened ends, and says so", async () => {
  const thread = new InsertThread("/nowhere/at/all.db");
  await assert.rejects(async () => {
    await until(() => !thread.starting);
    await thread.insert(new Uint8Array(), null);
  }, ThreadEnded);
  await thread[Symbol.asyncDispose]();
});

Deno.test("AuditLog.append() of very many entries fills the database in a thread, and tail() sees the newest", () =>
  withThreads((threads) =>
    withFixture((fixture) =>
      fixture.opened(async (log, store) => {
        await fallBehind({ log, store, threads });
        assert.equal((await log.tail(1))[0]?.seq, MANY);
        const own = await log.append(fullRecord(MANY));
        assert.deepEqual(await log.tail(1), [own]);
        assert.ok((threads[0]?.sent ?? 0) > 2);
        assert.equal(threads.length, 1);
        assert.equal(await rowsOf(store), MANY + 1);
        assert.equal(await soundEntries(log), MANY + 1);
      }, { identity: generateIdentity() })
    )
  ));

Deno.test("AuditLog that is closed while the database is behind brings it up to date first", () =>
  withThreads((threads) =>
    withFixture(async (fixture) => {
      await using store = await openStore(`${fixture.directory}/ark.db`);
      await using log = await AuditLog.open({ store, mirror: fixture.file });
      await fallBehind({ log, store, threads });
      await log[Symbol.asyncDispose]();
      assert.equal(await rowsOf(store), MANY);
    })
  ));

for (const ends of ["before", "after"] as const) {
  Deno.test(`AuditLog goes on without its thread where that ends ${ends} it inserted what it was given`, () =>
    withThreads((threads) =>
      withFixture((fixture) =>
        fixture.opened(async (log, store) => {
          await fallBehind({ log, store, threads });
          await log.tail(1);
          const thread: Seen = threads[0] ?? assert.fail("There is a thread");
          thread.ends = ends;
          await fallBehind({ log, store, threads });
          await log.tail(1);
          assert.equal(thread.ends, "ended");
          await appendMany(log, 1_000);
          const total = 2 * MANY + 1_000;
          await log.tail(1);
          assert.equal(await rowsOf(store), total);
          assert.equal(await soundEntries(log), total);
        }, { identity: generateIdentity() })
      )
    ));
}

Deno.test("AuditLog goes on where the database refuses what the thread inserts, and when it does so no more", () =>
  withThreads((threads) =>
    withFixture((fixture) =>
      fixture.opened(async (log, store) => {
        await fallBehind({ log, store, threads });
        const before = (await log.tail(1))[0]?.seq ?? 0;
        await store.batch((statements) =>
          statements.run("CREATE TRIGGER no BEFORE INSERT ON audit_entries BEGIN SELECT RAISE(ABORT, 'no room'); END")
        );
        await appendMany(log, 500);
        await assert.rejects(log.tail(1), /no room/);
        assert.equal(log.fault, null);
        await store.batch((statements) => statements.run("DROP TRIGGER no"));
        assert.equal((await log.tail(1))[0]?.seq, before + 500);
        assert.equal(await soundEntries(log), before + 500);
      })
    )
  ));

Deno.test("Follower.room waits for a slow database, and not for one that fails", async () => {
  let result = Promise.withResolvers<void>();
  const table = { insert: () => result.promise, startThread: () => {} } as unknown as EntriesTable;
  const follower = new Follower(table, { logger: undefined, inserted: () => {} });
  assert.equal(follower.room, undefined);
  follower.push({ first: 1, count: 49_999, bytes: new Uint8Array() });
  assert.equal(follower.room, undefined);
  follower.push({ first: 50_000, count: 200, bytes: new Uint8Array() });
  const { room } = follower;
  assert.ok(room !== undefined);
  result.resolve();
  await room;
  await follower.flush();
  result = Promise.withResolvers();
  follower.push({ first: 50_200, count: 60_000, bytes: new Uint8Array() });
  const other = follower.room;
  assert.equal(follower.fault, null);
  result.promise.catch(() => {});
  result.reject(new Error("no room"));
  await other;
  assert.equal(follower.room, undefined);
  assert.match(follower.fault ?? "", /no room/);
  await follower[Symbol.asyncDispose]();
});
