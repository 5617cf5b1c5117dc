/** Another implementation of mDNS, for a second opinion. */
import { join } from "node:path";
import type { NetworkHost } from "./netns.ts";

/** An `avahi-daemon` on a host, with a message bus of its own. */
export class Avahi implements AsyncDisposable {
  readonly #host: NetworkHost;
  readonly #directory: string;

  private constructor(host: NetworkHost, directory: string) {
    this.#host = host;
    this.#directory = directory;
  }

  /** Starts both. */
  static async start(host: NetworkHost): Promise<Avahi> {
    const directory = await Deno.makeTempDir({ prefix: "ark-avahi-" });
    await Deno.writeTextFile(
      join(directory, "dbus.conf"),
      `<busconfig><type>system</type><listen>unix:path=${directory}/bus</listen><auth>EXTERNAL</auth>
      <policy context="default"><allow user="*"/><allow own="*"/><allow send_type="method_call"/>
      <allow send_requested_reply="true" send_type="method_return"/><allow send_type="signal"/>
      <allow receive_type="method_call"/><allow receive_type="method_return"/><allow receive_type="signal"/>
      <allow receive_type="error"/></policy></busconfig>`,
    );
    await Deno.writeTextFile(
      join(directory, "avahi.conf"),
      "[server]\nhost-name=ark-test\nuse-ipv4=yes\nuse-ipv6=no\n[wide-area]\nenable-wide-area=no\n",
    );
    const avahi = new Avahi(host, directory);
    avahi.#spawn(["dbus-daemon", `--config-file=${directory}/dbus.conf`, "--nofork", "--nopidfile"]);
    await avahi.#until(() => Deno.stat(`${directory}/bus`).then(() => true, () => false));
    // `ip netns exec` gives every command a mount namespace of its own, so this /run is avahi's alone.
    const daemon = `mount -t tmpfs tmpfs /run && exec avahi-daemon --no-drop-root --no-chroot --no-rlimits ` +
      `--no-proc-title -f ${directory}/avahi.conf`;
    avahi.#spawn(["sh", "-c", daemon]);
    await avahi.#until(async () => (await avahi.#run(["avahi-browse", "-apt"])).code === 0);
    return avahi;
  }

  /** Name, host, address, port and texts of each of our services; asks until they are as expected. */
  async browse(expected: (lines: string[][]) => boolean): Promise<string[][]> {
    let lines: string[][] = [];
    await this.#until(async () => {
      const { stdout } = await this.#run(["avahi-browse", "-rtp", "_arknet._tcp"]);
      const resolved = stdout.split("\n").map((line) => line.split(";")).filter(([event]) => event === "=");
      // The daemon lists the same service for eth0 and lo.
      lines = resolved.filter((fields) => fields[1] === "eth0").map((fields) => [fields[3] ?? "", ...fields.slice(6)]);
      return expected(lines);
    });
    return lines;
  }

  /** What kinds of services there are. */
  async services(): Promise<string> {
    return (await this.#run(["avahi-browse", "-apt"])).stdout;
  }

  /** Ends everything on the host. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.#host.killAll();
    await Deno.remove(this.#directory, { recursive: true });
  }

  get #env(): Record<string, string> {
    return { DBUS_SYSTEM_BUS_ADDRESS: `unix:path=${this.#directory}/bus` };
  }

  #run(command: readonly string[]) {
    return this.#host.output(command, { env: this.#env });
  }

  #spawn(command: readonly string[]): void {
    this.#host.spawn(command, { env: this.#env, stdout: "null", stderr: "null" });
  }

  async #until(condition: () => Promise<boolean>): Promise<void> {
    const late = AbortSignal.timeout(30_000);
    while (!await condition()) {
      late.throwIfAborted();
      await new Promise((resolve) => setTimeout(resolve, 100));
    }
  }
}

/** Which program of avahi is missing, or null. */
export async function missingAvahi(): Promise<string | null> {
  for (const tool of ["avahi-daemon", "avahi-browse", "dbus-daemon"]) {
    try {
      await new Deno.Command(tool, { args: ["--version"], stdout: "null", stderr: "null" }).output();
    } catch {
      return `there is no ${tool} (packages avahi-daemon, avahi-utils and dbus)`;
    }
  }
  return null;
}
