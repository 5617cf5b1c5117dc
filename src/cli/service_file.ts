/** Files that have a system start the node by itself. */

/** What is to be started, and for whom. */
export interface ServicePlan {
  /** Words of the command, the program first. */
  readonly command: readonly string[];
  /** Data directory. */
  readonly data: string;
  /** Whether it is for the whole machine, or for the user alone. */
  readonly scope: "system" | "user";
  /** Folders that it reads beside its data; the rest of the users' files is hidden from a service of the machine. */
  readonly reads: readonly string[];
  /** User that it runs as, for a service of the machine. */
  readonly user: string;
}

/**
 * A unit of systemd. The node may write its data and nothing else; what the barrier of its workers needs (namespaces, a
 * shell) is left to it. `MemoryDenyWriteExecute` is not there, since V8 makes code at run time.
 */
export function systemdUnit({ command, data, scope, reads, user }: ServicePlan): string {
  const system = scope === "system";
  const state = /^\/var\/lib\/([\w-]+)$/.exec(data)?.[1];
  const home = [command[0] ?? "", data, ...reads].some((path) => /^\/(home|root|run\/user)(\/|$)/.test(path));
  return `# Made by 'ark-node service install'. Settings: ${data}/ark.toml, or flags in ExecStart.
[Unit]
Description=ark-node: your machines answer each other's questions
Documentation=man:systemd.service(5)
After=network-online.target
Wants=network-online.target

[Service]
Type=exec
ExecStart=${command.map(systemdWord).join(" ")}
Restart=on-failure
RestartSec=5
# 78: it refuses its key file or its environment, which no restart mends.
RestartPreventExitStatus=2 78
KillSignal=SIGTERM
TimeoutStopSec=60
UMask=0077
LimitCORE=0
LimitNOFILE=65536
NoNewPrivileges=yes
${
    system
      ? `User=${user}
Group=${user}
ProtectSystem=strict
ProtectHome=${home ? "read-only" : "yes"}
${state === undefined ? "" : `StateDirectory=${state}\nStateDirectoryMode=0700\n`}ReadWritePaths=${systemdWord(data)}
${reads.length === 0 ? "" : `ReadOnlyPaths=${reads.map(systemdWord).join(" ")}\n`}PrivateTmp=yes
ProtectClock=yes
ProtectControlGroups=yes
ProtectHostname=yes
ProtectKernelLogs=yes
ProtectKernelModules=yes
ProtectKernelTunables=yes
RestrictAddressFamilies=AF_INET AF_INET6 AF_UNIX AF_NETLINK
RestrictRealtime=yes
RestrictSUIDSGID=yes
LockPersonality=yes
CapabilityBoundingSet=
SystemCallArchitectures=native
`
      : ""
  }
[Install]
WantedBy=${system ? "multi-user.target" : "default.target"}
`;
}

/** A word of a command line as systemd reads it. */
function systemdWord(word: string): string {
  const safe = word.replaceAll("%", "%%").replaceAll("$", "$$$$");
  return /^[\w./:=@,+%$-]+$/.test(safe) ? safe : `"${safe.replaceAll("\\", "\\\\").replaceAll('"', '\\"')}"`;
}

/** A property list of launchd. */
export function launchdPlist({ command, data }: Pick<ServicePlan, "command" | "data">): string {
  const text = (value: string) =>
    `<string>${value.replaceAll("&", "&amp;").replaceAll("<", "&lt;").replaceAll(">", "&gt;")}</string>`;
  return `<?xml version="1.0" encoding="UTF-8"?>
<!DOCTYPE plist PUBLIC "-//Apple//DTD PLIST 1.0//EN" "http://www.apple.com/DTDs/PropertyList-1.0.dtd">
<plist version="1.0">
<dict>
  <key>Label</key>
  <string>${LAUNCHD_LABEL}</string>
  <key>ProgramArguments</key>
  <array>
${command.map((word) => `    ${text(word)}`).join("\n")}
  </array>
  <key>RunAtLoad</key>
  <true/>
  <key>KeepAlive</key>
  <dict>
    <key>SuccessfulExit</key>
    <false/>
  </dict>
  <key>ExitTimeOut</key>
  <integer>60</integer>
  <key>Umask</key>
  <integer>63</integer>
  <key>StandardErrorPath</key>
  ${text(`${data}/ark-node.log`)}
</dict>
</plist>
`;
}

/** How launchd calls the node. */
export const LAUNCHD_LABEL = "org.arknet.ark-node";
