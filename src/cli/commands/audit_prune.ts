import { type Command, EXIT, textFlag, UsageError } from "../command.ts";
import { withLog } from "./audit.ts";

/** Removes old entries. */
export const AUDIT_PRUNE: Command = {
  name: "audit prune",
  summary: "Remove old entries of the audit log, and keep the proofs of them",
  usage: "",
  flags: {
    keep: { value: "N", help: "all but about the last N entries" },
    before: { value: "DATE", help: "those made before a date, such as 2026-01-31 or 2026-01-31T12:00:00Z" },
  },
  details: "Entries go in steps of 256, so that a few more may stay. The act itself is recorded.",
  async run(context) {
    const { out, flags } = context;
    const keep = textFlag(flags, "keep");
    const before = textFlag(flags, "before");
    if ((keep === undefined) === (before === undefined)) throw new UsageError("Give either --keep N or --before DATE");
    const range = before === undefined ? { keep: Number(keep) } : { before };
    const { pruned } = await withLog<{ pruned: number }>(context, {
      running: (node) => node.call("/audit/prune", range),
      stopped: async (log) => ({ pruned: await log.prune(range) }),
    });
    if (context.json) out.json({ pruned });
    else if (pruned === 0) out.line("Nothing was pruned: there are no 256 entries that may go.");
    else out.line(`${pruned} entries were pruned; ark-node audit verify still proves what they were.`);
    return EXIT.ok;
  },
};
