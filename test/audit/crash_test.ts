import assert from "node:assert/strict";
import { makeRing, readRing } from "../../src/audit/journal_ring.ts";
import { JOURNAL_BYTES } from "./crashed_fixture.ts";
import { skipped, soundEntries, withFixture } from "./log_fixture.ts";

const APPENDER = new URL("appender.ts", import.meta.url).pathname;
const LONG = Deno.env.get("ARK_LONG") === "1";

function appender(directory: string, count: number, { slowMs = 1, callers = 4, journal = 0 } = {}): string[] {
  const args = [directory, count, slowMs, callers, journal].map(String);
  return [Deno.execPath(), "run", "--no-check", "-A", APPENDER, ...args];
}

/** Reads a child's lines until it ends, and hands each over. */
async function readLines(stream: ReadableStream<Uint8Array>, take: (line: string) => void): Promise<void> {
  let rest = "";
  for await (const text of stream.pipeThrough(new TextDecoderStream())) {
    const lines = (rest + text).split("\n");
    rest = lines.pop() ?? "";
    lines.forEach(take);
  }
}

const KILLS = LONG ? 1_000 : 20;

Deno.test(`T31 R09: AuditLog has every acknowledged entry after ${KILLS} kills at random points`, () =>
  withFixture(async ({ directory, opened }) => {
    const acknowledged = new Map<number, string>();
    await makeRing(`${directory}/audit.log.journal`, JOURNAL_BYTES);
    for (let kill = 1; kill <= KILLS; kill++) {
      // In turn a few and very many at a time, synced at once and in a thread.
      const [command = "", ...args] = appender(directory, 0, {
        callers: kill % 2 === 0 ? 4 : 400,
        slowMs: kill % 4 < 2 ? 1 : 0,
        // Two runs of three go through the journal; the third finds what they left, and the next one what it did without.
        journal: kill % 3 === 0 ? 0 : JOURNAL_BYTES,
      });
      const child = new Deno.Command(command, { args, stdin: "null", stdout: "piped", stderr: "inherit" }).spawn();
      // Every fifth kill hits the start, when the log is being healed from the kill before.
      const most = kill % 5 === 0 ? 0 : Math.floor(Math.random() * 300);
      let lines = 0;
      await readLines(child.stdout, (line) => {
        const [seq = "", hash] = line.split(" ");
        if (hash !== undefined) acknowledged.set(Number(seq), hash);
        if (lines++ === most) child.kill("SIGKILL");
      });
      assert.equal((await child.status).signal, "SIGKILL");
      if (kill % 20 !== 0) continue;
      await opened(async (log) => {
        await soundEntries(log);
        const hashes = new Map((await log.tail(10_000_000)).map(({ seq, hash }) => [seq, hash]));
        for (const [seq, hash] of acknowledged) assert.equal(hashes.get(seq), hash, `entry ${seq}`);
        assert.equal(log.fault, null);
      });
    }
    assert.ok(acknowledged.size >= KILLS);
    const { number = 0 } = await readRing(`${directory}/audit.log.journal`) ?? {};
    assert.ok(number > KILLS, `Only ${number} groups went through the journal`);
  }));

for (const [how, journal] of [["", 0], [", with a journal", JOURNAL_BYTES]] as const) {
  Deno.test(`T30: AuditLog fails closed where fdatasync fails, goes on when it works again, and stays whole${how}`, () =>
    withFixture(async ({ directory, opened }) => {
      if (journal > 0) await makeRing(`${directory}/audit.log.journal`, journal);
      const inject = [
        "-f",
        "-qqq",
        "-o",
        "/dev/null",
        "-e",
        "trace=fdatasync",
        "-e",
        "inject=fdatasync:error=EIO:when=20..60",
      ];
      let output: Deno.CommandOutput;
      // strace counts the calls of each thread by itself: all are made in the first one.
      try {
        output = await new Deno.Command("strace", {
          args: [...inject, ...appender(directory, 300, { slowMs: 60_000, journal })],
          stderr: "piped",
        })
          .output();
      } catch (error) {
        if (!(error instanceof Deno.errors.NotFound)) throw error;
        skipped("strace, which makes the system call fail, is not installed");
        return;
      }
      if (!output.success && /ptrace|Operation not permitted/.test(new TextDecoder().decode(output.stderr))) {
        skipped("strace may not trace here");
        return;
      }
      assert.ok(output.success, new TextDecoder().decode(output.stderr));
      const lines = new TextDecoder().decode(output.stdout).trim().split("\n");
      const entries = lines.filter((line) => /^\d/.test(line));
      assert.ok(lines.filter((line) => line === "refused audit_unavailable").length > 0, "no call was made to fail");
      assert.equal(entries.length, 300);
      await opened(async (log) => {
        assert.equal(await soundEntries(log), 300);
        const hashes = new Map((await log.tail(300)).map(({ seq, hash }) => [String(seq), hash]));
        for (const line of entries) assert.equal(hashes.get(line.split(" ")[0] ?? ""), line.split(" ")[1]);
      });
    }));
}
