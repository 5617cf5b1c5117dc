import { lookAtWireGuard } from "@ark/node/discovery";
import type { Config } from "@ark/node/config";
import type { Finding } from "@ark/node/http";

const CHECK = "wireguard";
const UP = 1;

/** Whether the tunnels of this machine are up, and their peers may be asked for. */
export async function wireguard(
  { wireguard: wanted, peers }: Pick<Config, "wireguard" | "peers">,
  signal: AbortSignal,
): Promise<Finding[]> {
  if (wanted === "off") return [];
  const tunnels = await tunnelsHere();
  const down = tunnels.filter(({ up }) => !up).map(({ name }) => name);
  const found: Finding[] = down.map((name) => ({
    check: CHECK,
    level: "warning",
    sentence: `The WireGuard interface ${name} is down, so nodes at its other ends cannot be reached`,
    fix: `Bring it up: sudo wg-quick up ${name}, or sudo ip link set ${name} up`,
  }));
  const look = await lookAtWireGuard(signal);
  if (look !== null && "fault" in look && tunnels.length > 0 && peers.length === 0) {
    found.push({
      check: CHECK,
      level: "warning",
      sentence: "The peers of WireGuard cannot be listed, so nodes at the other ends of tunnels are not found",
      why: look.fault.replace(/^[^:]*: /, "").replace(/;.*$/, ""),
      fix: "Name each one (--peer 10.0.0.2:8911), or switch the look off: --wireguard off",
    });
  }
  if (found.length > 0 || tunnels.length === 0) return found;
  const names = tunnels.map(({ name }) => name).join(", ");
  const count = look !== null && "peers" in look
    ? `, with ${look.peers.length} ${look.peers.length === 1 ? "peer" : "peers"}`
    : "";
  return [{ check: CHECK, level: "ok", sentence: `The WireGuard tunnel ${names} is up${count}` }];
}

/** Interfaces of WireGuard, the kernel's and those of other programs by the names that they usually have. */
async function tunnelsHere(): Promise<{ name: string; up: boolean }[]> {
  const root = "/sys/class/net";
  const names: string[] = [];
  try {
    for await (const { name } of Deno.readDir(root)) names.push(name);
  } catch {
    return [];
  }
  const read = (path: string) => Deno.readTextFile(path).catch(() => "");
  const found = await Promise.all(
    names.slice(0, 256).map(async (name) => {
      const kind = await read(`${root}/${name}/uevent`);
      if (!/^DEVTYPE=wireguard$/m.test(kind) && !/^wg/.test(name)) return [];
      const flags = Number(await read(`${root}/${name}/flags`));
      return [{ name, up: (flags & UP) !== 0 }];
    }),
  );
  return found.flat();
}
