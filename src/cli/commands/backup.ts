import { resolve } from "node:path";
import { backUp } from "@ark/node/daemon";
import { backupFolder, listBackups } from "@ark/node/store";
import { byteCount } from "../byte_count.ts";
import { type Command, EXIT, UsageError } from "../command.ts";
import { pathsOf } from "../node_client.ts";

/** Backs the node up. */
export const BACKUP: Command = {
  name: "backup",
  summary: "Back this node up, while it runs or not",
  usage: "[FILE]",
  flags: {},
  details: `
The backup is one file: database and audit log, approvals, settings, and the node's key, so keep it where
nobody else can read it. Models are not in it. Without FILE it lies in backups/ of the data directory, where
the five newest are kept. Before a newer version changes the form of the database it makes a backup there by
itself, without the key. 'ark-node restore FILE' puts one back; in an empty data directory it brings the whole
node back.`,
  async run(context) {
    const { out, json, words: [file, ...more] } = context;
    if (more.length > 0) throw new UsageError("Name one file at most: ark-node backup [FILE]");
    const { path, step, bytes } = await backUp(
      await pathsOf(context),
      file === undefined ? {} : { file: resolve(file) },
    );
    if (json) out.json({ path, step, bytes });
    else {
      out.line(path);
      out.line(`${byteCount(bytes)}; this node's key is in it: keep it where nobody else can read it.`);
    }
    return EXIT.ok;
  },
};

const REASONS = { upgrade: "before an upgrade", owner: "by you", replaced: "replaced by a restore" };

/** Shows the backups. */
export const BACKUP_LIST: Command = {
  name: "backup list",
  summary: "Show the backups in the data directory",
  usage: "",
  flags: {},
  async run(context) {
    const { out, json, words } = context;
    if (words.length > 0) throw new UsageError("This command takes no words: ark-node backup list");
    const folder = backupFolder((await pathsOf(context)).database);
    const backups = await listBackups(folder);
    if (json) {
      out.json({
        folder,
        backups: backups.map(({ name, path, step, madeAt, reason, bytes }) => ({
          name,
          path,
          step,
          made_at: madeAt,
          reason,
          bytes,
        })),
      });
    } else if (backups.length === 0) out.line(`There is no backup in ${folder} yet: ark-node backup makes one.`);
    else {
      const rows = backups.map(({ name, step, madeAt, reason, bytes }) => [
        name,
        `${madeAt.slice(0, 19).replace("T", " ")} UTC`,
        String(step),
        byteCount(bytes),
        REASONS[reason],
      ]);
      out.table(["NAME", "MADE", "FORM", "SIZE", "WHY"], rows);
    }
    return EXIT.ok;
  },
};
