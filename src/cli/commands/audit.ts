import { type AuditEntry, AuditLog, type AuditProof, type AuditVerdict, type SoundAudit } from "@ark/node/audit";
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
          (entry.outcome ?? "-") + (entry.count === null ? "" : ` x${entry.count}`),
        ]),
      );
    }
    return EXIT.ok;
  },
};

/** Writes all entries. */
export const AUDIT_EXPORT: Command = {
  name: "audit export",
  summary: "Write the whole audit log as JSON lines, or a proof that others can check",
  usage: "",
  flags: {
    checkpoint: { help: "the newest signed checkpoint with its cosignatures instead (C2SP tlog-checkpoint)" },
    proof: { value: "SEQ", help: "one entry instead, with the proof that it is in that checkpoint (RFC 6962)" },
  },
  async run(context) {
    const { out, flags } = context;
    const seq = textFlag(flags, "proof");
    if (flags.checkpoint !== undefined && seq !== undefined) throw new UsageError("Give --checkpoint or --proof");
    if (flags.checkpoint !== undefined) return await exportCheckpoint(context);
    if (seq !== undefined) return await exportProof(context, Number(seq));
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

async function exportCheckpoint(context: CommandContext): Promise<number> {
  const { checkpoint } = await withLog<{ checkpoint: string | null }>(context, {
    running: (node) => node.call("/audit/checkpoint"),
    stopped: async (log) => ({ checkpoint: await log.checkpoint() }),
  });
  if (checkpoint === null) {
    throw new CommandError("There is no checkpoint yet: a node makes one of its entries while it runs");
  }
  if (context.json) context.out.json({ checkpoint });
  else context.out.text(checkpoint);
  return EXIT.ok;
}

async function exportProof(context: CommandContext, seq: number): Promise<number> {
  if (!Number.isSafeInteger(seq) || seq < 1) throw new UsageError("Flag --proof is the number of an entry, from 1");
  const proof = await withLog<AuditProof>(context, {
    running: (node) => node.call(`/audit/proof?seq=${seq}`),
    stopped: (log) => log.proof(seq),
  });
  context.out.json(proof);
  return EXIT.ok;
}

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
    else if (verdict.ok) sayWhole(context, verdict);
    else out.line(`The audit log was changed: ${verdict.reason}`);
    return verdict.ok ? EXIT.ok : EXIT.failed;
  },
};

function sayWhole({ out }: CommandContext, verdict: SoundAudit): void {
  const { entries, pruned, checkpoints, witnesses = [] } = verdict;
  out.line(`The audit log is whole: ${entries} entries, each following the one before.`);
  if (pruned > 0) out.line(`${pruned} of them were pruned; their hashes prove what they were.`);
  if (checkpoints > 0) {
    out.line(`It agrees with ${checkpoints} signed checkpoint${checkpoints === 1 ? "" : "s"} of this node.`);
  }
  const agree = witnesses.filter(({ state }) => state === "agrees");
  const most = Math.max(...agree.map(({ size }) => size));
  if (agree.length > 0) {
    out.line(`It agrees with what ${agree.length} of ${witnesses.length} peers saw of it, up to entry ${most}.`);
  } else if (witnesses.length > 0) {
    out.line("No peer that was asked has a checkpoint of it yet: one is made for every 256 entries, and every minute.");
  } else out.line("No witness was asked: that needs this node to run and an approved peer to be online.");
}

const ACTS: Record<string, string> = {
  approve: "approved",
  revoke: "revoked",
  deny: "turned away",
  pair: "paired",
  rotate: "new key",
  config: "access changed",
  prune: "pruned",
  alarm: "contradiction",
};

function what({ kind, direction, count }: AuditEntry): string {
  if (kind === "start" || kind === "end") {
    const act = count === null || count === undefined ? "asked" : "downloaded";
    return `${direction === "in" ? "they" : "we"} ${act}, ${kind}`;
  }
  return ACTS[kind] ?? kind;
}

/** How to ask for something, depending on whether the node runs. */
export interface Ways<T> {
  /** Asks the node. */
  running(node: NodeClient): Promise<T>;
  /** Asks the log. */
  stopped(log: AuditLog): Promise<T>;
}

/** Asks the running node, which has the log open; where none runs, opens the log itself. */
export async function withLog<T>(context: CommandContext, { running, stopped }: Ways<T>): Promise<T> {
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
