import { join } from "node:path";
import type { Finding } from "@ark/node/http";

const UNIT = "ark-node.service";

/** Whether a service of systemd that was installed would start with the machine. Nothing where there is none. */
export async function autostart(env: (name: string) => string | undefined): Promise<Finding[]> {
  if (Deno.build.os !== "linux") return [];
  const home = env("HOME") ?? "";
  const places = [
    { scope: "system", units: "/etc/systemd/system", target: "multi-user.target.wants" },
    ...home === "" ? [] : [
      { scope: "user", units: join(home, ".config/systemd/user"), target: "default.target.wants" },
    ],
  ];
  const found = await Promise.all(places.map(async ({ scope, units, target }) => {
    if (!await exists(join(units, UNIT))) return [];
    const enabled = await exists(join(units, target, UNIT));
    const user = env("USER") ?? "";
    const lingers = scope === "system" || user === "" || await exists(`/var/lib/systemd/linger/${user}`);
    return [finding({ scope, enabled, lingers, user, path: join(units, UNIT) })];
  }));
  return found.flat();
}

function finding(
  { scope, enabled, lingers, user, path }: {
    scope: string;
    enabled: boolean;
    lingers: boolean;
    user: string;
    path: string;
  },
): Finding {
  const check = "autostart";
  if (!enabled) {
    return {
      check,
      level: "warning",
      sentence: `The service ${path} is there, and is not started with the machine`,
      fix: scope === "system"
        ? "Switch it on: sudo systemctl enable --now ark-node"
        : "Switch it on: systemctl --user enable --now ark-node",
    };
  }
  if (!lingers) {
    return {
      check,
      level: "warning",
      sentence: `The service of ${user} runs only while ${user} is logged in`,
      why: "Services of a user end with his last session, unless they may linger",
      fix: `Let it run on: sudo loginctl enable-linger ${user}`,
    };
  }
  return { check, level: "ok", sentence: "The service ark-node is started with the machine" };
}

function exists(path: string): Promise<boolean> {
  return Deno.lstat(path).then(() => true, () => false);
}
