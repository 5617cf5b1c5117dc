import { type Config, loadConfig, OwnSettings, SERVE_FLAGS } from "@ark/node/config";
import { type Daemon, forbidCoreFiles, startDaemon } from "@ark/node/daemon";
import { formatNodeId, formatPublicKey, publicKeyOf } from "@ark/node/identity";
import { ROLES } from "@ark/node/roles";
import { formatAddress } from "@ark/node/transport";
import { type Command, EXIT, UsageError } from "../command.ts";
import type { Output } from "../output.ts";
import { hostPairings } from "../pairing_host.ts";

const SIGNALS: readonly Deno.Signal[] = Deno.build.os === "windows" ? ["SIGINT", "SIGBREAK"] : ["SIGINT", "SIGTERM"];

/** Starts a node, and runs until it is told to stop. */
export const SERVE: Command = {
  name: "serve",
  summary: "Start a node (what ark-node does without a command)",
  usage: "",
  flags: Object.fromEntries(Object.entries(SERVE_FLAGS).filter(([name]) => name !== "data")),
  details: `
SIGINT and SIGTERM let running answers end (see --drain) and exit with 0; a second one exits at once.
At a terminal it asks there when another node wants to pair. With --json, one line of JSON on standard output tells
when the node is ready. Logs go to standard error.`,
  async run(context) {
    const { flags, words, env, json, out, version } = context;
    if (words.length > 0) throw new UsageError(`There is no command ${words[0]}: see ark-node --help`);
    const config = await loadConfig({ flags, env });
    // From here on a signal stops the node in an orderly way, also while it starts.
    const told = stopSignal(out);
    const limited = forbidCoreFiles();
    await using daemon = await startDaemon(config, {
      version,
      roles: ROLES.filter(({ name }) => config.roles.includes(name)),
      env,
      reload: () => loadConfig({ flags, env }),
      settings: await OwnSettings.begin({ flags, env }),
    });
    await limited;
    if (json) out.line(JSON.stringify(ready(daemon, config)));
    else banner(daemon, { config, out, version });
    warn(daemon, out);
    const stopping = new AbortController();
    const pairing = hostPairings(context, { data: config.paths.root, signal: stopping.signal });
    await told;
    stopping.abort();
    await pairing;
    out.note("Stopping: running answers may end. Once more stops at once.");
    await daemon.drain(config.drainMs);
    return EXIT.ok;
  },
};

function stopSignal(out: Output): Promise<void> {
  const { promise, resolve } = Promise.withResolvers<void>();
  let signals = 0;
  for (const signal of SIGNALS) {
    Deno.addSignalListener(signal, () => {
      if (++signals > 1) {
        out.note("Stopped at once.");
        Deno.exit(130);
      }
      resolve();
    });
  }
  return promise;
}

function ready({ id, api, ollama, mesh, registry }: Daemon, { name, paths }: Config) {
  return {
    node_id: formatNodeId(id),
    public_key: formatPublicKey(publicKeyOf(id)),
    name,
    api: `http://${formatAddress(api)}`,
    ...ollama === null ? {} : { ollama: `http://${formatAddress(ollama)}` },
    mesh: formatAddress(mesh),
    ...registry === null ? {} : { registry: formatAddress(registry) },
    data: paths.root,
    pid: Deno.pid,
    ready_ms: Math.round(performance.now()),
  };
}

function banner(
  { id, api, ollama, mesh, registry, engine, book }: Daemon,
  show: { config: Config; out: Output; version: string },
): void {
  const { config, out, version } = show;
  const approved = book.list().length;
  const peers = approved > 0 ? `${approved} approved` : "none approved yet: 'ark-node peers pair' finds who is near";
  const found = config.mdns ? "neighbours find it by mDNS" : "neighbours need --peer, since mDNS is off";
  const lines: [string, string][] = [
    ["id", formatNodeId(id)],
    ["api", `http://${formatAddress(api)}/v1  (${apiHint(config)})`],
    ...(ollama === null
      ? []
      : [["ollama", `http://${formatAddress(ollama)}  (clients of Ollama find it here)`] as [string, string]]),
    ["mesh", `${formatAddress(mesh)}  (${found})`],
    ...(registry === null ? [] : [[
      "list",
      `${config.registry.tls === null ? "http" : "https"}://${
        formatAddress(registry)
      }  (a registry: --registry of other nodes)`,
    ] as [string, string]]),
    ...(engine === null ? [] : [["models", config.modelDirectories.join(", ")] as [string, string]]),
    ["peers", peers],
    ["data", config.paths.root],
    ...(config.file === null ? [] : [["config", config.file] as [string, string]]),
    ["ui", "'ark-node ui' prints the link that opens the dashboard"],
  ];
  out.line(`ark-node ${version}  ${config.name}  ${config.roles.join(", ")}`);
  for (const [label, text] of lines) out.line(`  ${label.padEnd(7)} ${text}`);
  out.line(`Ready after ${Math.round(performance.now())} ms. Ctrl-C stops it.`);
}

function apiHint({ roles, requireKeys }: Config): string {
  if (!roles.includes("gateway")) return "for 'ark-node' itself; apps get nothing without the role gateway";
  return `point your apps here; ${requireKeys ? "each with a key: 'ark-node keys create NAME'" : "any API key"}`;
}

/** What others can reach is said aloud at every start, so that nobody is exposed without noticing. */
function warn(daemon: Daemon, out: Output): void {
  const found = daemon.exposure().filter(({ level }) => level !== "ok");
  if (found.length === 0) return;
  const line = "=".repeat(100);
  out.note(line);
  for (const { sentence, fix } of found) {
    out.note(`WARNING  ${sentence}.${fix === undefined ? "" : `\n         ${fix}.`}`);
  }
  out.note(`         'ark-node doctor' says more.\n${line}`);
}
