/** `deno task newuser`: the way of a new user from a release to the first answer of the neighbour, with its seconds. */
// deno-lint-ignore-file no-console
import { noMachines } from "./machine.ts";
import { newUserPath } from "./new_user.ts";
import { realRelease } from "./release_folder.ts";
import { report } from "./report.ts";

const reason = await noMachines();
if (reason !== null) {
  console.error(`No new user: ${reason}`);
  Deno.exit(1);
}
const root = await Deno.makeTempDir({ prefix: "ark-new-user-" });
try {
  await Deno.chmod(root, 0o755);
  console.log("Making the release …");
  await realRelease(`${root}/stick`, { work: root });
  console.log(report(await newUserPath(`${root}/stick`, { root })));
} finally {
  await Deno.remove(root, { recursive: true });
}
