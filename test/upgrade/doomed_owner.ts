/**
 * An owner whose machine is killed in tests: `doomed_owner.ts DATA FILE`. Upgrades, backs up and goes back, again and again, and
 * brings a node back from FILE into DATA-new. Says `go` before the first.
 */
import { dataPaths } from "@ark/node/config";
import { backUp, restoreBackup } from "@ark/node/daemon";
import { backupFolder, listBackups, openStore } from "@ark/node/store";

const [data = "", file = ""] = Deno.args;
const paths = dataPaths(data);
Deno.stdout.writeSync(new TextEncoder().encode("go\n"));
for (;;) {
  await (await openStore(paths.database))[Symbol.asyncDispose]();
  await backUp(paths);
  const upgrade = (await listBackups(backupFolder(paths.database))).find(({ reason }) => reason === "upgrade");
  await restoreBackup(paths, upgrade?.path ?? null);
  await Deno.remove(`${data}-new`, { recursive: true }).catch(() => {});
  await restoreBackup(dataPaths(`${data}-new`), file);
}
