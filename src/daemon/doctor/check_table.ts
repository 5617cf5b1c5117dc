import type { FindingGroup } from "@ark/node/http";

/**
 * Everything that the doctor looks at, what of it can be wrong, and what it says to do. A row's level is that of the fault:
 * `danger` (shown as FAIL) ends the command with status 1, `warning` (warn) does not.
 *
 * | check | fault | level | what to do |
 * |---|---|---|---|
 * | `node` | no node runs; or one has the data directory and does not answer | warning; danger | start it; stop it by its process id and start it again |
 * | `config` | a file, flag or variable that cannot be used, also in a file that was changed since the start | danger | correct it; `ark-node config check` |
 * | `environment` | a variable that weakens the connections | danger | unset it |
 * | `autostart` | the service is installed and not enabled, or ends with the user's session | warning | `systemctl enable --now ark-node`; `loginctl enable-linger` |
 * | `api-port`, `mesh-port`, `ollama-port` | the port is taken, below 1024, or of an address that the machine does not have | danger | stop what has it; `--listen`, `--mesh-listen`, `--ollama-port` |
 * | `multicast` | what is sent to UDP port 5353 does not come back; no interface takes multicast; the port is held | warning | open the port in the firewall that is there; `ip link set … multicast on`; `--peer` |
 * | `named-peers` | nobody answers where `--peer` says, or no name server knows it | warning | start the node there, open its port, correct `--peer` |
 * | `inbound` | a peer that answers has never reached this node: a firewall or router blocks the mesh port; or even this machine cannot reach it | warning | open the port in the firewall that is there |
 * | `wireguard` | a tunnel is down; its peers may not be listed | warning | `wg-quick up`; `--peer`, `--wireguard off` |
 * | `upstream` | a server does not answer, is unknown, or refuses the key | warning | start it, correct `--upstream`; `--upstream-key-file` |
 * | `registry` | it does not answer, or is unknown | warning | correct `--registry` |
 * | `local-listener`, `api-keys` | the API is open to the network in clear; without keys | warning | `--listen 127.0.0.1`, a tunnel, a proxy; `keys create` |
 * | `open-proxy` | a proxy passes requests on without a key | danger | `--require-keys` |
 * | `web-pages` | a page that comes in clear may use the API | warning | serve it by https |
 * | `mesh-listener` | (who may connect) | ok | |
 * | `private-files` | others can open key, token, database or audit log | danger | `chmod` |
 * | `admin-token` | it is older than a year | warning | delete it and start again |
 * | `approved-peers` | the file cannot be read | danger | correct it |
 * | `open-approval`, `unverified-peer`, `expired-approval`, `paused-peer` | an approval that is too wide, not compared, over; (one that rests) | warning | approve anew, compare the words, revoke |
 * | `peer-reach` | a peer was never seen, or cannot be reached | warning | start it, open its port, `--peer` |
 * | `peer-approval` | a peer's owner has not approved this node, or took it back | warning | the very command for him |
 * | `peer-key` | another key answers where a peer was, or it goes on under a new one | warning | pair again and revoke the old; `accept-rotation` |
 * | `shared-models` | a peer may use models that are not here | warning | approve it again with names that are |
 * | `peer-links` | (all peers that are there answer) | ok | |
 * | `identity` | another node has this node's key: its data directory was copied | danger; warning beyond the local network | remove `node.key` there |
 * | `models` | a folder is missing or closed; a file is damaged or is no model | warning | make it, mount it, `chmod`; fetch it again |
 * | `model-memory` | a model is larger than the memory | warning | a smaller one, or a neighbour |
 * | `engine` | a model could not be loaded | warning | ask again; `--engine addon`, `--gpu off` |
 * | `wanted-models` | `--pin` or `--preload` name what is not here | warning | fetch it, correct the name |
 * | `gpu` | no driver, no device, no rights, no library, hidden by a variable; one was asked for that is not there | warning; danger | install, `nvidia-modprobe`, `usermod`, `--gpus all`, unset it, `--gpu auto` |
 * | `models-disk` | less than 2 GiB for models | warning | remove one, move the folder |
 * | `memory` | too little of it is free | warning | fewer or smaller models |
 * | `open-files` | fewer than 1024 files at once | warning | `ulimit -n 65536` |
 * | `clock` | peers, or the audit log, have another time | warning | `timedatectl set-ntp true` |
 * | `disk` | less than 1 GiB, less than 64 MiB for the data | warning, danger | make room |
 * | `data-place` | the data are read-only, of another user, on a network drive, in memory, in a container, or no more files can be made | danger, warning | mount it again, `chown`, move it, a volume |
 * | `audit-log` | it cannot be written, or was changed | danger | make room; `ark-node audit verify` |
 *
 * `ark-node doctor --json` and `GET /doctor` give `{ "findings": [{ check, group, level, sentence, why?, fix? }] }`, the
 * worst first, the former with `"running"` before it; `level` is `ok`, `warning` or `danger`, `group` one of those below.
 * New checks may come; those that are there keep their names.
 */
export const CHECKS = {
  node: "node",
  config: "node",
  environment: "node",
  autostart: "node",
  "api-port": "ports",
  "mesh-port": "ports",
  "ollama-port": "ports",
  multicast: "network",
  "named-peers": "network",
  inbound: "network",
  wireguard: "network",
  upstream: "network",
  registry: "network",
  "local-listener": "exposure",
  "api-keys": "exposure",
  "open-proxy": "exposure",
  "web-pages": "exposure",
  "mesh-listener": "exposure",
  "private-files": "exposure",
  "admin-token": "exposure",
  "approved-peers": "peers",
  "open-approval": "peers",
  "unverified-peer": "peers",
  "expired-approval": "peers",
  "paused-peer": "peers",
  "peer-reach": "peers",
  "peer-approval": "peers",
  "peer-key": "peers",
  "shared-models": "peers",
  "peer-links": "peers",
  identity: "peers",
  models: "models",
  "model-memory": "models",
  engine: "models",
  "wanted-models": "models",
  gpu: "machine",
  memory: "machine",
  "open-files": "machine",
  clock: "machine",
  disk: "data",
  "models-disk": "data",
  "data-place": "data",
  "audit-log": "data",
} as const satisfies Record<string, FindingGroup>;

/** What a finding is about, by the name of its check. */
export function groupOf(check: string): FindingGroup {
  return Object.hasOwn(CHECKS, check) ? CHECKS[check as keyof typeof CHECKS] : "node";
}
