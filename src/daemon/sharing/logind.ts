import type { RunTool } from "./run_tool.ts";

/** A session at this machine's own screen, as logind tells of it. */
export interface DesktopSession {
  /** Whether its desktop says that nobody has touched anything for a while; null where it never says. */
  readonly idle: boolean | null;
}

const MOST_SESSIONS = 16;

/**
 * Reads what `loginctl show-session` prints for one session. Total: null where that is no session of a person at this
 * machine's own screen. A login by SSH, a text console and the login screen itself are none: a server without a
 * screen has nobody who sits before it.
 */
export function parseSession(text: string): DesktopSession | null {
  const values = new Map<string, string>();
  for (const line of text.split("\n").slice(0, 64)) {
    const [, name, value] = /^([A-Za-z]{1,40})=(.{0,200})$/.exec(line.trim()) ?? [];
    if (name !== undefined && value !== undefined) values.set(name, value);
  }
  const graphical = ["x11", "wayland", "mir"].includes(values.get("Type") ?? "");
  const here = values.get("Remote") === "no" && values.get("Class") === "user" && values.get("State") === "active";
  if (!graphical || !here) return null;
  const hint = values.get("IdleHint");
  // A desktop that has never said anything never will: the hint stands as it stood at the login.
  const since = values.get("IdleSinceHint");
  const told = since !== undefined && since !== "0" && since !== "";
  return { idle: !told ? null : hint === "yes" ? true : hint === "no" ? false : null };
}

/** Ids of sessions in what `loginctl list-sessions --no-legend` prints. Total. */
export function parseSessions(text: string): string[] {
  const ids = text.split("\n").map((line) => line.trim().split(/\s+/)[0] ?? "").filter((id) =>
    /^[A-Za-z0-9]{1,20}$/.test(id)
  );
  return [...new Set(ids)].slice(0, MOST_SESSIONS);
}

/** Sessions at this machine's own screen, or null where logind is not there or does not say. */
export async function desktopSessions(run: RunTool, signal: AbortSignal): Promise<DesktopSession[] | null> {
  const listed = await run("loginctl", ["list-sessions", "--no-legend"], signal);
  if (listed.kind !== "printed") return null;
  const found: DesktopSession[] = [];
  for (const id of parseSessions(listed.text)) {
    const fields = ["Type", "Class", "Remote", "State", "IdleHint", "IdleSinceHint"];
    const shown = await run("loginctl", ["show-session", id, ...fields.flatMap((name) => ["-p", name])], signal);
    const session = shown.kind === "printed" ? parseSession(shown.text) : null;
    if (session !== null) found.push(session);
  }
  return found;
}
