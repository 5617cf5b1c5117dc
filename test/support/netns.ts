/**
 * Network namespaces for tests: machines of their own, as far as the network can tell, joined by a switch. Linux, root.
 *
 * Nothing touches the network of the machine itself: even the switch is a namespace. Names are random, so that tests can
 * run side by side; they also say which process owns them, and what a killed one left behind is removed by the next.
 *
 * ```ts
 * const reason = await canUseNamespaces();
 * if (reason !== null) console.log(`Skipped: ${reason}`);
 * else {
 *   await using lab = await NetworkLab.create(["alice", "bob"]);
 *   const { stdout } = await lab.host("alice").run(["ip", "route", "get", lab.host("bob").address]);
 *   console.log(stdout); // 10.77.0.2 dev eth0 src 10.77.0.1 …
 * }
 * ```
 *
 * @module
 */

/** Why namespaces cannot be used here, or null when they can. */
export async function canUseNamespaces(): Promise<string | null> {
  if (Deno.build.os !== "linux") return `network namespaces need Linux, this is ${Deno.build.os}`;
  if (Deno.uid() !== 0) return "network namespaces need root";
  try {
    await using _probe = await NetworkLab.create(["probe"]);
    return null;
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return "there is no ip command (package iproute2)";
    return error instanceof Error ? error.message : String(error);
  }
}

/** What a command printed. */
export interface Output {
  /** Exit status. */
  code: number;
  /** Standard output. */
  stdout: string;
  /** Standard error. */
  stderr: string;
}

/** How to run a command in a namespace. */
export interface RunOptions {
  /** Variables to set, on top of ours. */
  env?: Record<string, string>;
  /** Working directory. */
  cwd?: string;
  /** Ends the command. */
  signal?: AbortSignal;
}

/** A machine of the lab. */
export class NetworkHost {
  /** Name of the namespace, for `ip netns`. */
  readonly namespace: string;
  /** Its IPv4 address on the switch, or 127.0.0.1 when it is on none. */
  readonly address: string;
  readonly #children: Deno.ChildProcess[] = [];

  /** @ignore made by {@linkcode NetworkLab} */
  constructor({ namespace, address }: { namespace: string; address: string }) {
    this.namespace = namespace;
    this.address = address;
  }

  /** Runs a command to its end and returns what it printed, whatever its exit status. */
  async output(command: readonly string[], options: RunOptions = {}): Promise<Output> {
    const { code, stdout, stderr } = await this.#command(command, { ...options, stdin: "null" }).output();
    return { code, stdout: new TextDecoder().decode(stdout), stderr: new TextDecoder().decode(stderr) };
  }

  /** Runs a command to its end; rejects with what it printed when it fails. */
  async run(command: readonly string[], options: RunOptions = {}): Promise<Output> {
    const output = await this.output(command, options);
    if (output.code !== 0) {
      throw new Error(`${command.join(" ")} failed (${output.code}): ${output.stderr}${output.stdout}`);
    }
    return output;
  }

  /** Starts a command; it is killed with the lab. The streams are the caller's to read or to cancel. */
  spawn(
    command: readonly string[],
    options: RunOptions & Pick<Deno.CommandOptions, "stdin" | "stdout" | "stderr"> = {},
  ): Deno.ChildProcess {
    const child = this.#command(command, { stdin: "null", ...options }).spawn();
    this.#children.push(child);
    return child;
  }

  /** Ends everything that runs here. */
  async killAll(): Promise<void> {
    for (const child of this.#children) tryKill(child.pid);
    // Grandchildren too: whoever lives in this namespace was started by this test.
    await killWithin(this.namespace);
    await Promise.all(this.#children.splice(0).map((child) => child.status));
  }

  #command(command: readonly string[], options: Deno.CommandOptions): Deno.Command {
    return new Deno.Command("ip", { ...options, args: ["netns", "exec", this.namespace, ...command] });
  }
}

/** Options of {@linkcode NetworkLab.create}. */
export interface NetworkLabOptions {
  /** First three numbers of the addresses on the switch. @default {"10.77.0"} */
  prefix?: string;
  /** Without a switch every host is alone with its `lo`. @default {true} */
  switched?: boolean;
}

/** Hosts on one switch. Disposing of it ends what runs there and removes them. */
export class NetworkLab implements AsyncDisposable {
  readonly #hosts = new Map<string, NetworkHost>();
  readonly #namespaces: string[] = [];
  readonly #id: string;

  private constructor(id: string) {
    this.#id = id;
  }

  /** Makes hosts with addresses .1, .2 and so on, on `eth0`; multicast has a route there. */
  static async create(names: readonly string[], options: NetworkLabOptions = {}): Promise<NetworkLab> {
    const { prefix = "10.77.0", switched = true } = options;
    await removeLeftovers();
    // Random, since the files of one test run share a process.
    const lab = new NetworkLab(`ark-${Deno.pid}.${await startOf(Deno.pid)}-${crypto.randomUUID().slice(0, 8)}`);
    try {
      if (switched) {
        const hub = await lab.#namespace("hub");
        await must(["-n", hub, "link", "add", "br0", "type", "bridge"]);
        // Multicast is to reach everybody: without a querier on the network a snooping bridge forgets who listens.
        await must(["-n", hub, "link", "set", "br0", "up", "type", "bridge", "mcast_snooping", "0"]);
      }
      for (const [index, name] of names.entries()) {
        const namespace = await lab.#namespace(name);
        const address = switched ? `${prefix}.${index + 1}` : "127.0.0.1";
        lab.#hosts.set(name, new NetworkHost({ namespace, address }));
        if (switched) await lab.plug(name);
      }
      return lab;
    } catch (error) {
      await lab[Symbol.asyncDispose]();
      throw error;
    }
  }

  /** A host by its name. */
  host(name: string): NetworkHost {
    const host = this.#hosts.get(name);
    if (host === undefined) throw new RangeError(`There is no host ${name} in this lab`);
    return host;
  }

  /** Plugs a host into the switch again after {@linkcode unplug}: a new interface with the old address. */
  async plug(name: string): Promise<void> {
    const { namespace, address } = this.host(name);
    const hub = `${this.#id}-hub`;
    await must(["-n", hub, "link", "add", portOf(address), "type", "veth", "peer", "name", "eth0", "netns", namespace]);
    await must(["-n", hub, "link", "set", portOf(address), "master", "br0", "up"]);
    await must(["-n", namespace, "address", "add", `${address}/24`, "dev", "eth0"]);
    await must(["-n", namespace, "link", "set", "eth0", "up"]);
    await must(["-n", namespace, "route", "add", "224.0.0.0/4", "dev", "eth0"]);
  }

  /** Pulls the cable and the card of a host. */
  async unplug(name: string): Promise<void> {
    await must(["-n", this.host(name).namespace, "link", "delete", "eth0"]);
  }

  /** Ends what runs on the hosts and removes them. */
  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.all([...this.#hosts.values()].map((host) => host.killAll()));
    for (const namespace of this.#namespaces.splice(0)) await ip(["netns", "delete", namespace]);
  }

  async #namespace(name: string): Promise<string> {
    const namespace = `${this.#id}-${name}`;
    // The first of all `ip netns add` on a machine may fail when two run at once, hence the second try.
    if ((await ip(["netns", "add", namespace])).code !== 0) await must(["netns", "add", namespace]);
    this.#namespaces.push(namespace);
    await must(["-n", namespace, "link", "set", "lo", "up"]);
    return namespace;
  }
}

/** Name of a host's port on the switch; interface names hold 15 characters. */
function portOf(address: string): string {
  return `port${address.split(".").at(-1)}`;
}

/** Removes the namespaces of processes that are gone, with what still runs in them. */
async function removeLeftovers(): Promise<void> {
  const { stdout } = await ip(["netns", "list"]);
  for (const [namespace, pid, start] of stdout.matchAll(/^ark-(\d+)(?:\.(\d+))?-\S+/gm)) {
    const now = await startOf(Number(pid));
    // A process that got the id of a dead one started later. Names of older versions do not say when theirs started.
    if (now !== null && (start === undefined || start === now)) continue;
    await killWithin(namespace);
    await ip(["netns", "delete", namespace]);
  }
}

/** When a process started, in ticks since the machine did, or null when there is no such process. */
async function startOf(pid: number): Promise<string | null> {
  const stat = await Deno.readTextFile(`/proc/${pid}/stat`).catch(() => null);
  // The name of the program, in parentheses, may hold anything.
  return stat?.slice(stat.lastIndexOf(")") + 2).split(" ")[19] ?? null;
}

async function killWithin(namespace: string): Promise<void> {
  const { stdout } = await ip(["netns", "pids", namespace]);
  for (const pid of stdout.split(/\s+/).filter(Boolean)) tryKill(Number(pid));
}

async function ip(args: readonly string[]): Promise<Output> {
  const { code, stdout, stderr } = await new Deno.Command("ip", { args: [...args] }).output();
  return { code, stdout: new TextDecoder().decode(stdout), stderr: new TextDecoder().decode(stderr) };
}

async function must(args: readonly string[]): Promise<void> {
  const { code, stderr } = await ip(args);
  if (code !== 0) throw new Error(`ip ${args.join(" ")} failed (${code}): ${stderr.trim()}`);
}

function tryKill(pid: number): void {
  try {
    Deno.kill(pid, "SIGKILL");
  } catch {
    // It ended by itself.
  }
}
