import { type DataPaths, SERVE_FLAGS } from "@ark/node/config";
import { examineMachine, examineStopped } from "@ark/node/daemon";
import type { Finding } from "@ark/node/http";
import { type Command, type CommandContext, EXIT } from "../command.ts";
import { findingLines } from "../finding_lines.ts";
import { NodeClient, pathsOf } from "../node_client.ts";

/** How long a node may take to look at itself, in milliseconds: its slowest look takes 20 seconds. */
const NODE_MS = 30_000;

/** Says what is exposed and what is wrong. */
export const DOCTOR: Command = {
  name: "doctor",
  summary: "Say what is exposed or wrong, and what to do about it",
  usage: "",
  flags: Object.fromEntries(Object.entries(SERVE_FLAGS).filter(([name]) => name !== "data")),
  details: `
Looks at ports, multicast, firewall, exposure, peers, models, GPU, memory, disk, clock and the audit log. Where
no node runs, it looks whether one could start: with the flags of serve that are given here, and the
configuration file. Exit status 1 when something fails (FAIL), 0 when there are warnings only.`,
  async run(context) {
    const { out, json } = context;
    const paths = await pathsOf(context);
    const told = await askNode(context);
    const findings = told ?? await stopped(context, paths);
    if (told !== null) findings.push(...await unseen(told, { context, paths }));
    const running = told !== null;
    if (json) out.json({ running, findings });
    else {
      for (const { text, strong } of findingLines(findings)) {
        if (strong) out.strong(text);
        else out.line(text);
      }
    }
    return findings.some(({ level }) => level === "danger") ? EXIT.failed : EXIT.ok;
  },
};

/** What the running node says of itself, or null where none answers. */
async function askNode(context: CommandContext): Promise<Finding[] | null> {
  if (!await NodeClient.runs(context)) return null;
  const client = await NodeClient.find(context);
  const response = await client.open("/doctor", undefined, { signal: AbortSignal.timeout(NODE_MS) });
  return (await response.json() as { findings: Finding[] }).findings;
}

function stopped({ flags, env }: CommandContext, paths: DataPaths): Promise<Finding[]> {
  return examineStopped({ paths, flags: serveFlags(flags), env });
}

/** What the node may not see of its machine, and this command may. */
async function unseen(
  told: readonly Finding[],
  { context: { flags, env }, paths }: { context: CommandContext; paths: DataPaths },
): Promise<Finding[]> {
  const known = new Set(told.map(({ check }) => check));
  if (known.has("gpu")) return [];
  const found = await examineMachine({ paths, flags: serveFlags(flags), env });
  return found.filter(({ check }) => !known.has(check));
}

function serveFlags(flags: CommandContext["flags"]): CommandContext["flags"] {
  return Object.fromEntries(Object.entries(flags).filter(([name]) => Object.hasOwn(SERVE_FLAGS, name)));
}
