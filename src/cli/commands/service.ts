import { homedir } from "node:os";
import { basename, dirname, join, resolve } from "node:path";
import { fileURLToPath } from "node:url";
import { loadConfig } from "@ark/node/config";
import { NODE_FLAGS } from "@ark/node/daemon";
import { reasonOf } from "@ark/node/protocol";
import { type Command, type CommandContext, CommandError, EXIT, textFlag, UsageError } from "../command.ts";
import { LAUNCHD_LABEL, launchdPlist, type ServicePlan, systemdUnit } from "../service_file.ts";

/** What a command is about: the file, and the programs that are told of it. */
interface Place {
  scope: "system" | "user";
  file: string;
  start: string[][];
  stop: string[][];
}

/** Has the system start the node by itself. */
export const SERVICE_INSTALL: Command = {
  name: "service install",
  summary: "Have the system start the node by itself, now and after each boot",
  usage: "",
  flags: {
    print: { help: "print the file, and change nothing" },
    directory: { value: "DIR", help: "put the file there, and start nothing" },
    user: { value: "NAME", help: "user that a service of the whole machine runs as (default: the one of sudo)" },
    config: { value: "FILE", help: "file with settings (default: ark.toml in the data directory)" },
  },
  details: `
As root it is a service of the machine with systemd's sandbox, else one of your own. Settings belong into
ark.toml in the data directory: see 'ark-node config check --help'. On Windows, use Task Scheduler: a task
'At log on' that starts ark-node.exe.`,
  async run(context) {
    const { out, flags, words } = context;
    if (words.length > 0) throw new UsageError("ark-node service install takes flags only");
    const place = placeOf(textFlag(flags, "directory"));
    const plan = await planOf(context, place.scope);
    const text = fileText(plan);
    if (flags.print === true) {
      out.line(text.trimEnd());
      return EXIT.ok;
    }
    try {
      await Deno.mkdir(dirname(place.file), { recursive: true });
      await Deno.writeTextFile(place.file, text, { mode: 0o644 });
    } catch (error) {
      throw new CommandError(`Cannot write ${place.file}: ${reasonOf(error)}`);
    }
    for (const words of place.start) await tell(words);
    const started = place.start.length > 0;
    if (context.json) out.json({ file: place.file, scope: place.scope, data: plan.data, started });
    else {
      out.line(place.file);
      if (started) out.line(`The node runs, and does so after each ${whenItStarts(place.scope)}.`);
      if (plan.data === OWN_DATA) out.line(`Its data are in ${OWN_DATA}: other commands need --data ${OWN_DATA}.`);
    }
    return EXIT.ok;
  },
};

/** Undoes {@linkcode SERVICE_INSTALL}. */
export const SERVICE_UNINSTALL: Command = {
  name: "service uninstall",
  summary: "Stop that; the node's data stay",
  usage: "",
  flags: { directory: { value: "DIR", help: "the file lies there, and nothing is stopped" } },
  async run({ out, flags, json }) {
    const place = placeOf(textFlag(flags, "directory"));
    if (!await Deno.stat(place.file).then(() => true, () => false)) {
      throw new CommandError(`There is no ${place.file}: the system does not start a node by itself`);
    }
    for (const words of place.stop) await tell(words);
    await Deno.remove(place.file);
    if (json) out.json({ removed: place.file });
    else out.line(`Removed ${place.file}`);
    return EXIT.ok;
  },
};

function placeOf(directory: string | undefined): Place {
  const root = Deno.build.os !== "windows" && Deno.uid() === 0;
  const scope = root ? "system" : "user";
  switch (Deno.build.os) {
    case "linux": {
      const where = directory ?? (root ? "/etc/systemd/system" : join(homedir(), ".config/systemd/user"));
      const systemctl = ["systemctl", ...root ? [] : ["--user"]];
      const [start, stop] = directory === undefined
        ? [
          [[...systemctl, "daemon-reload"], [...systemctl, "enable", "--now", "ark-node"]],
          [[...systemctl, "disable", "--now", "ark-node"]],
        ]
        : [[], []];
      return { scope, file: resolve(where, "ark-node.service"), start, stop };
    }
    case "darwin": {
      const where = directory ?? (root ? "/Library/LaunchDaemons" : join(homedir(), "Library/LaunchAgents"));
      const file = resolve(where, `${LAUNCHD_LABEL}.plist`);
      const domain = root ? "system" : `gui/${Deno.uid()}`;
      const [start, stop] = directory === undefined
        ? [[["launchctl", "bootstrap", domain, file]], [["launchctl", "bootout", `${domain}/${LAUNCHD_LABEL}`]]]
        : [[], []];
      return { scope, file, start, stop };
    }
    default:
      throw new CommandError(
        `This is for Linux with systemd and for macOS; here, have the system start '${ownCommand().join(" ")}' itself`,
      );
  }
}

async function planOf({ flags, env }: CommandContext, scope: ServicePlan["scope"]): Promise<ServicePlan> {
  const { print: _, directory: __, user: ___, ...rest } = flags;
  // A service that could not start is not installed.
  const config = await loadConfig({ flags: rest, env });
  const file = textFlag(flags, "config");
  const user = textFlag(flags, "user") ?? env("SUDO_USER") ?? "root";
  const data = await dataOf({
    scope,
    user,
    root: config.paths.root,
    asked: textFlag(flags, "data") ?? env("ARK_DATA"),
  });
  return {
    scope,
    data,
    command: [
      ...ownCommand(),
      "--data",
      data,
      ...file === undefined ? [] : ["--config", resolve(file)],
    ],
    reads: config.modelDirectories.filter((path) => path !== config.paths.models).map((path) => resolve(path)),
    user,
  };
}

/** Where systemd makes a service of the machine a folder. */
const OWN_DATA = "/var/lib/ark-node";

/**
 * Where a service keeps its data. One of the machine that runs as another user than root cannot use root's home folder,
 * which is what is usual under sudo: systemd makes it a folder of its own.
 */
async function dataOf(
  { scope, user, root, asked }: { scope: ServicePlan["scope"]; user: string; root: string; asked: string | undefined },
): Promise<string> {
  const ours = root === homedir() || root.startsWith(`${homedir()}/`);
  if (scope !== "system" || user === "root" || Deno.build.os !== "linux" || asked !== undefined || !ours) return root;
  const there = await Deno.stat(join(root, "node.key")).then(() => true, () => false);
  if (!there) return OWN_DATA;
  throw new CommandError(
    `The data in ${root} are root's, and the service would run as ${user}: name a folder of ${user} with --data, or use ` +
      "--user root",
  );
}

/** A user's services begin with the user. */
function whenItStarts(scope: Place["scope"]): string {
  if (scope === "system") return "boot";
  return Deno.build.os === "linux" ? "log-in ('loginctl enable-linger' has it start at boot)" : "log-in";
}

/** The command that runs this very program, however it was started. */
function ownCommand(): string[] {
  const { execPath, mainModule } = { execPath: Deno.execPath(), mainModule: Deno.mainModule };
  if (Deno.build.standalone) return [execPath];
  const main = fileURLToPath(mainModule);
  // Unpacked by a portable executable, or installed: the launcher beside the runtime knows what the node may do.
  const launcher = join(dirname(execPath), "ark-node");
  try {
    if (Deno.statSync(join(dirname(execPath), "ark-node-worker")).isFile) return [stablePath(launcher)];
  } catch {
    // From source.
  }
  return [execPath, "run", ...NODE_FLAGS, "-A", "--config", join(dirname(main), "deno.json"), main];
}

/** What install.sh put there is named by the link that an upgrade moves, so that the service starts what is current. */
function stablePath(launcher: string): string {
  const version = dirname(launcher);
  const current = join(version, "../../current");
  try {
    if (basename(dirname(version)) === "versions" && Deno.realPathSync(current) === Deno.realPathSync(version)) {
      return join(current, "ark-node");
    }
  } catch {
    // Nothing was installed there.
  }
  return launcher;
}

function fileText(plan: ServicePlan): string {
  return Deno.build.os === "darwin" ? launchdPlist(plan) : systemdUnit(plan);
}

async function tell([program = "", ...args]: string[]): Promise<void> {
  const words = [program, ...args].join(" ");
  try {
    const { success, stderr } = await new Deno.Command(program, { args, stdout: "null", stderr: "piped" }).output();
    if (success) return;
    const [first = ""] = new TextDecoder().decode(stderr).trim().split("\n");
    throw new CommandError(`'${words}' failed: ${first || "it did not say why"}`);
  } catch (error) {
    if (error instanceof CommandError) throw error;
    throw new CommandError(`Cannot run '${words}': ${reasonOf(error)}`);
  }
}
