import { type AuditEntry, AuditLog, type AuditVerdict } from "@ark/node/audit";
import { openStore } from "@ark/node/store";
import { type Command, type CommandContext, CommandError, EXIT, textFlag, UsageError } from "../command.ts";
import { NodeClient, pathsOf } from "../node_client.ts";

/** Shows the last entries. */
export const AUDIT_TAIL: Command = {
  name: "audit tail",
  summary: "Show the last entries of the audit log",
  usage: "",
  flags: { count: { value: "N", short: "n", help: "how many (default: 20)" } },
  async run(context) {
    const { out, flags } = context;
    const count = Number(textFlag(flags, "count") ?? "20");
    if (!Number.isInteger(count) || count < 1) throw new UsageError("Flag --count is a whole number from 1");
    const entries = await withLog(context, {
      running: async (node) => (await node.call<{ entries: AuditEntry[] }>(`/audit?count=${count}`)).entries,
      stopped: (log) => log.tail(count),
    });
    if (context.json) out.json({ entries });
    else if (entries.length === 0) out.line("The audit log is empty: nobody has asked anything yet.");
    else {
      out.table(
        ["SEQ", "TIME", "WHAT", "WHO", "MODEL", "TOKENS", "MS", "OUTCOME"],
        entries.map((entry) => [
          String(entry.seq),
          entry.at.slice(0, 19).replace("T", " "),
          what(entry),
          entry.peer?.slice(0, 8) ?? "-",
          entry.model ?? "-",
          entry.completion_tokens === null ? "-" : `${entry.prompt_tokens ?? 0}+${entry.completion_tokens}`,
          entry.ms === null ? "-" : entry.ms.toFixed(0),
          entry.outcome ?? "-",
        ]),
      );
    }
    return EXIT.ok;
  },
};

/** Writes all entries. */
export const AUDIT_EXPORT: Command = {
  name: "audit export",
  summary: "Write the whole audit log as JSON lines",
  usage: "",
  flags: {},
  async run(context) {
    const { out } = context;
    await withLog(context, {
      running: async (node) => {
        const { body } = await node.open("/audit/export");
        for await (const text of body?.pipeThrough(new TextDecoderStream()) ?? []) out.text(text);
      },
      stopped: async (log) => {
        for await (const line of log.export()) out.line(line);
      },
    });
    return EXIT.ok;
  },
};

/** Checks the chain. */
export const AUDIT_VERIFY: Command = {
  name: "audit verify",
  summary: "Find a changed, missing or added entry of the audit log",
  usage: "",
  flags: {},
  details: "Exit status 1 when the log is not as it was written.",
  async run(context) {
    const { out } = context;
    const verdict = await withLog<AuditVerdict>(context, {
      running: (node) => node.call<AuditVerdict>("/audit/verify"),
      stopped: (log) => log.verify(),
    });
    if (context.json) out.json(verdict);
    else if (verdict.ok) out.line(`The audit log is whole: ${verdict.entries} entries, each following the one before.`);
    else out.line(`The audit log was changed: ${verdict.reason}`);
    return verdict.ok ? EXIT.ok : EXIT.failed;
  },
};

const ACTS: Record<string, string> = {
  approve: "approved",
  revoke: "revoked",
  deny: "turned away",
  pair: "paired",
  rotate: "new key",
  config: "access changed",
};

function what({ kind, direction }: AuditEntry): string {
  if (kind === "start" || kind === "end") return `${direction === "in" ? "they asked" : "we asked"}, ${kind}`;
  return ACTS[kind] ?? kind;
}

interface Ways<T> {
  running(node: NodeClient): Promise<T>;
  stopped(log: AuditLog): Promise<T>;
}

/** Asks the running node, which has the log open; where none runs, opens the log itself. */
async function withLog<T>(context: CommandContext, { running, stopped }: Ways<T>): Promise<T> {
  const paths = await pathsOf(context);
  if (await NodeClient.runs(context)) return running(await NodeClient.find(context));
  try {
    await Deno.stat(paths.database);
  } catch {
    throw new CommandError(`There is no audit log in ${paths.root}: name the node's directory with --data`);
  }
  await using store = await openStore(paths.database);
  await using log = await AuditLog.open({ store, mirror: paths.audit });
  return await stopped(log);
}
