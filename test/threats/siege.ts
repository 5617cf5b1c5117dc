/** Three machines: Bob's node, Alice, whom he approved and who goes on asking, and Mallory. Linux, root. */
import assert from "node:assert/strict";
import { formatNodeId, loadIdentity } from "@ark/node/identity";
import { FIXTURES, MODEL } from "../mesh/test_node.ts";
import { type NetworkHost, NetworkLab } from "../support/netns.ts";
import { FROM_SOURCE, NodeProcess } from "../support/node_process.ts";
import { type Beat, SteadyPeer } from "../support/steady_peer.ts";

/** Why a program cannot be run here, or null. */
export async function missing(program: string, ...args: string[]): Promise<string | null> {
  try {
    await new Deno.Command(program, { args, stdout: "null", stderr: "null" }).output();
    return null;
  } catch {
    return `there is no ${program}`;
  }
}

/** The scene. Disposing of it ends everything. */
export class Siege implements AsyncDisposable {
  readonly bob: NodeProcess;
  readonly alice: SteadyPeer;
  readonly mallory: NetworkHost;
  /** Where Bob's node listens for peers. */
  readonly address: { hostname: string; port: number };
  readonly #stack: AsyncDisposableStack;

  private constructor(parts: {
    bob: NodeProcess;
    alice: SteadyPeer;
    mallory: NetworkHost;
    address: { hostname: string; port: number };
    stack: AsyncDisposableStack;
  }) {
    this.bob = parts.bob;
    this.alice = parts.alice;
    this.mallory = parts.mallory;
    this.address = parts.address;
    this.#stack = parts.stack;
  }

  /** Starts the node, and Alice, who asks every so many milliseconds. */
  static async begin({ everyMs }: { everyMs: number }): Promise<Siege> {
    await using stack = new AsyncDisposableStack();
    const lab = stack.use(await NetworkLab.create(["alice", "bob", "mallory"]));
    const directory = await Deno.makeTempDir({ prefix: "ark-siege-" });
    stack.defer(() => Deno.remove(directory, { recursive: true }));
    const key = `${directory}/node.key`;
    const { id } = await loadIdentity(key);
    const exec = (name: string) => ["ip", "netns", "exec", lab.host(name).namespace];
    const bob = stack.use(
      await NodeProcess.start({
        name: "bob",
        args: ["--no-mdns", "--wireguard", "off", "--models", FIXTURES],
        command: [...exec("bob"), ...FROM_SOURCE],
        meshListen: "0.0.0.0:8911",
      }),
    );
    await bob.json("peers", "approve", formatNodeId(id), "--name", "alice", "--max", "4");
    const address = { hostname: lab.host("bob").address, port: 8911 };
    const alice = stack.use(
      new SteadyPeer({ key, id: bob.id, address, everyMs, model: MODEL, command: exec("alice") }),
    );
    // Until she is known on a kept connection, and the model is in memory.
    await alice.next(6);
    return new Siege({ bob, alice, mallory: lab.host("mallory"), address, stack: stack.move() });
  }

  /** Sockets that Bob's node has open. */
  async sockets(): Promise<number> {
    let count = 0;
    const folder = `/proc/${this.bob.ready.pid}/fd`;
    for await (const { name } of Deno.readDir(folder)) {
      const target = await Deno.readLink(`${folder}/${name}`).catch(() => "");
      if (target.startsWith("socket:")) count++;
    }
    return count;
  }

  /** Processor time that Bob's node has used, in seconds. */
  async processorSeconds(): Promise<number> {
    const stat = await Deno.readTextFile(`/proc/${this.bob.ready.pid}/stat`);
    const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
    return (Number(fields[11]) + Number(fields[12])) / 100;
  }

  /** Memory that Bob's node has, in MiB. */
  async memoryMiB(): Promise<number> {
    const status = await Deno.readTextFile(`/proc/${this.bob.ready.pid}/status`);
    return Number(/^VmRSS:\s+(\d+) kB/m.exec(status)?.[1]) / 1_024;
  }

  /** Waits until no more sockets are open than before, for at most 30 s. */
  async settled(most: number): Promise<void> {
    const deadline = performance.now() + 30_000;
    while (await this.sockets() > most) {
      assert.ok(performance.now() < deadline, `${await this.sockets()} sockets are open, and there were ${most}`);
      await new Promise((resolve) => setTimeout(resolve, 100));
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#stack.disposeAsync();
  }
}

/** What did not succeed. */
export function failures(beats: readonly Beat[]): Beat[] {
  return beats.filter(({ status, error }) => status !== 200 || error !== null);
}
