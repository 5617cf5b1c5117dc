import { restoreBackup } from "@ark/node/daemon";
import { type Command, EXIT, UsageError } from "../command.ts";
import { pathsOf } from "../node_client.ts";

/** Puts a backup back. */
export const RESTORE: Command = {
  name: "restore",
  summary: "Put a backup in the place of this node's database; the node must not run",
  usage: "FILE|NAME | --latest",
  flags: { latest: { help: "the newest of 'ark-node backup list' that no restore replaced" } },
  details: `
To go back to an older version: stop the node, run this with the version that you have, install the older one, start it.
What is replaced stays as another backup, so that a restore can be taken back. Only the database goes back: key,
approvals and audit log stay as they are, who was revoked stays out, and what was used once stays used. Approvals lose
what the older version cannot read. In a data directory without a key the whole node comes back out of the backup.`,
  async run(context) {
    const { out, json, flags, words: [file, ...more] } = context;
    const latest = flags.latest === true;
    if (more.length > 0 || (file === undefined) !== latest) {
      throw new UsageError("Name a backup, or the newest: ark-node restore FILE, or ark-node restore --latest");
    }
    const { backup, step, older, madeAt, replaced, files, notes } = await restoreBackup(
      await pathsOf(context),
      file ?? null,
    );
    if (json) {
      out.json({ backup, step, older, made_at: madeAt, replaced, files, notes });
      return EXIT.ok;
    }
    out.line(
      `The database is that of ${backup}${
        madeAt === null ? "" : `, made on ${madeAt.slice(0, 10)} at ${madeAt.slice(11, 19)} UTC`
      }.`,
    );
    if (files.length > 0) out.line(`These came with it: ${files.join(", ")}.`);
    if (replaced !== null) out.line(`What it replaced is kept: ${replaced}`);
    for (const note of notes) out.line(note);
    if (older) out.line("This version would upgrade it again at its next start: install the older one before.");
    return EXIT.ok;
  },
};
