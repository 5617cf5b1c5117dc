/** WireGuard tunnels between hosts of a lab, by `wireguard-go`: the kernel of a test machine may have none. Linux, root. */
import type { NetworkHost } from "./netns.ts";

/** Why tunnels cannot be made here, or null when they can. */
export async function canUseWireGuard(): Promise<string | null> {
  for (const [program, flag] of [["wireguard-go", "--version"], ["wg", "--version"]] as const) {
    try {
      await new Deno.Command(program, { args: [flag], stdout: "null", stderr: "null" }).output();
    } catch {
      return `there is no ${program} (packages wireguard-go and wireguard-tools)`;
    }
  }
  try {
    (await Deno.open("/dev/net/tun", { read: true, write: true })).close();
    return null;
  } catch {
    return "/dev/net/tun cannot be opened";
  }
}

/** One end of a tunnel. */
export interface TunnelEnd {
  /** Where. */
  host: NetworkHost;
  /** Its address in the tunnel. */
  address: string;
  /** Its tunnel key, base64. */
  publicKey: string;
  /** Begins a command that runs on the host and can see its tunnels with `wg`. */
  command: readonly string[];
}

/** A tunnel `wg0` between two hosts, over the addresses that they have on the switch. */
export class Tunnel implements AsyncDisposable {
  /** Its ends, in the order of the hosts. */
  readonly ends: readonly [TunnelEnd, TunnelEnd];
  readonly #directory: string;

  private constructor(ends: readonly [TunnelEnd, TunnelEnd], directory: string) {
    this.ends = ends;
    this.#directory = directory;
  }

  /** Makes it; the first host gets 10.99.0.1, the second 10.99.0.2. */
  static async create(first: NetworkHost, second: NetworkHost): Promise<Tunnel> {
    const directory = await Deno.makeTempDir({ prefix: "ark-wg-" });
    const keys = await Promise.all([keyPair(first), keyPair(second)]);
    const [one, other] = await Promise.all([first, second].map(async (host, index) => {
      const sockets = `${directory}/${index}`;
      await Deno.mkdir(sockets);
      return {
        host,
        command: withSockets(sockets),
        address: `10.99.0.${index + 1}`,
        publicKey: keys[index]?.publicKey,
      };
    })) as unknown as [TunnelEnd, TunnelEnd];
    for (const [index, [end, far]] of ([[one, other], [other, one]] as const).entries()) {
      const key = `${directory}/${index}.key`;
      await Deno.writeTextFile(key, `${keys[index]?.privateKey}\n`, { mode: 0o600 });
      const { host } = end;
      // In the foreground, so that it ends with the lab.
      host.spawn([...end.command, "wireguard-go", "--foreground", "wg0"], { stdout: "null", stderr: "null" });
      await until(async () => (await host.output([...end.command, "wg", "show", "wg0"])).code === 0);
      const peer = ["peer", far.publicKey, "allowed-ips", `${far.address}/32`, "endpoint", `${far.host.address}:51820`];
      await host.run([...end.command, "wg", "set", "wg0", "listen-port", "51820", "private-key", key, ...peer]);
      await host.run(["ip", "address", "add", `${end.address}/24`, "dev", "wg0"]);
      await host.run(["ip", "link", "set", "wg0", "up"]);
    }
    return new Tunnel([one, other], directory);
  }

  /** Round trip through the tunnel in milliseconds, the median of twenty: how long a closed port takes to refuse. */
  async roundTripMs(): Promise<number> {
    const [{ host }, { address }] = this.ends;
    const script = `
      const times = [];
      for (let i = 0; i < 20; i++) {
        const began = performance.now();
        await Deno.connect({ hostname: "${address}", port: 9 }).catch(() => {});
        times.push(performance.now() - began);
      }
      console.log(times.sort((a, b) => a - b)[10]);`;
    return Number((await host.run([Deno.execPath(), "eval", script])).stdout);
  }

  /** Removes what it wrote; what runs on the hosts ends with the lab. */
  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.all(this.ends.map(({ host }) => host.killAll()));
    await Deno.remove(this.#directory, { recursive: true });
  }
}

/** Programs find tunnels by sockets in one folder of the file system, which the namespaces of a lab would share. */
function withSockets(directory: string): string[] {
  const script = 'mkdir -p /run/wireguard && mount --bind "$0" /run/wireguard && exec "$@"';
  return ["sh", "-c", script, directory];
}

async function keyPair(host: NetworkHost): Promise<{ privateKey: string; publicKey: string }> {
  const privateKey = (await host.run(["wg", "genkey"])).stdout.trim();
  const { stdout } = await host.run(["sh", "-c", 'echo "$0" | wg pubkey', privateKey]);
  return { privateKey, publicKey: stdout.trim() };
}

async function until(holds: () => Promise<boolean>): Promise<void> {
  const deadline = performance.now() + 10_000;
  while (!await holds()) {
    if (performance.now() > deadline) throw new Error(`Waited in vain for ${holds}`);
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}
