/**
 * Child process of the crash tests: `appender.ts DIRECTORY COUNT [SLOW_MS [CALLERS [JOURNAL_BYTES]]]`. Appends COUNT entries (for ever, where it is 0),
 * CALLERS at a time, and says each on standard output as soon as it is acknowledged: `SEQ HASH`, or `refused CODE`, after which
 * it tries again. Before all that it says `opening`.
 */
import { AuditLog } from "@ark/node/audit";
import { ArkError } from "@ark/node/protocol";
import { openStore } from "@ark/node/store";
import { fullRecord } from "./log_fixture.ts";

const encoder = new TextEncoder();

function say(line: string): void {
  Deno.stdout.writeSync(encoder.encode(line + "\n"));
}

async function main(
  [directory = ".", count = "0", slowMs = "1", callers = "4", journal = "0"]: string[],
): Promise<void> {
  say("opening");
  await using store = await openStore(`${directory}/ark.db`);
  const journalBytes = Number(journal);
  const mirror = `${directory}/audit.log`;
  await using log = await AuditLog.open({ store, mirror, slowMs: Number(slowMs), journalBytes });
  const most = Number(count) || Infinity;
  let started = 0;
  await Promise.all(Array.from({ length: Number(callers) }, async () => {
    while (started < most) {
      started += 1;
      for (let acknowledged = false; !acknowledged;) {
        try {
          const { seq, hash } = await log.append(fullRecord(started));
          say(`${seq} ${hash}`);
          acknowledged = true;
        } catch (error) {
          if (!(error instanceof ArkError)) throw error;
          say(`refused ${error.code}`);
        }
      }
    }
  }));
}

if (import.meta.main) await main(Deno.args);
