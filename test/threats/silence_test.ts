import assert from "node:assert/strict";
import { setTimeout as pause } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { FIXTURES } from "../mesh/test_node.ts";
import { cleanEnvironment, finished, NodeProcess } from "../support/node_process.ts";
import { withDirectory } from "../support/temporary.ts";

const CONFIG = fileURLToPath(new URL("../../deno.json", import.meta.url));
const IDLE_MS = Deno.env.get("ARK_LONG") === "1" ? 120_000 : 3_000;

/** System calls that go to another machine: an address of IP that is not the loopback's. */
function outgoing(trace: string): string[] {
  return trace.split("\n").filter((line) =>
    /\b(connect|sendto|sendmsg|sendmmsg)\(/.test(line) && /sa_family=AF_INET6?/.test(line) &&
    !/inet_addr\("127\.|inet_pton\(AF_INET6, "(::1|::ffff:127\.[\d.]+)"/.test(line)
  );
}

/** Why no process can be traced here, or null. */
async function untraceable(): Promise<string | null> {
  if (Deno.build.os !== "linux") return "strace is there only on Linux";
  try {
    const { code } = await finished("strace", { args: ["-f", "-o", "/dev/null", "true"] });
    return code === 0 ? null : "strace may not trace here";
  } catch {
    return "strace is not installed";
  }
}

const reason = await untraceable();

Deno.test({
  name: `T66: An idle node with --no-mdns sends nothing to anybody${reason === null ? "" : ` (skipped: ${reason})`}`,
  ignore: reason !== null,
  fn: () =>
    withDirectory(async (directory) => {
      const file = `${directory}/trace`;
      const trace = ["strace", "-f", "--seccomp-bpf", "-qq", "-e", "trace=%network", "-o", file];
      // As the README starts one: Deno itself would ask its maker for a newer version.
      const command = [...trace, Deno.execPath(), "task", "--config", CONFIG, "ark-node"];
      const { DENO_NO_UPDATE_CHECK: _, ...env } = cleanEnvironment();
      const args = ["--no-mdns", "--models", FIXTURES];
      await using node = await NodeProcess.start({ name: "Idle", args, command, env });
      // What counts is that nothing happens, and that takes time.
      await pause(IDLE_MS);
      await (await fetch(`${node.ready.api}/healthz`)).text();
      Deno.kill(node.ready.pid, "SIGTERM");
      await node.ended();
      const calls = await Deno.readTextFile(file);
      assert.match(calls, /\bbind\(.*inet_addr\("127\.0\.0\.1"\)/, "The trace has nothing of the node's listeners");
      assert.deepEqual(outgoing(calls), []);
    }),
});

Deno.test("The search for outgoing calls finds them, and leaves the loopback out", () => {
  const lines = [
    '12 connect(7, {sa_family=AF_INET, sin_port=htons(53), sin_addr=inet_addr("192.0.2.1")}, 16) = 0',
    '12 sendto(7, "x", 1, 0, {sa_family=AF_INET6, inet_pton(AF_INET6, "2001:db8::1", &sin6_addr)}, 28) = 1',
    '12 connect(7, {sa_family=AF_INET, sin_port=htons(53), sin_addr=inet_addr("127.0.0.1")}, 16) = 0',
    '12 connect(7, {sa_family=AF_UNIX, sun_path="/run/x"}, 16) = 0',
    '12 bind(7, {sa_family=AF_INET, sin_port=htons(0), sin_addr=inet_addr("0.0.0.0")}, 16) = 0',
  ];
  assert.deepEqual(outgoing(lines.join("\n")), lines.slice(0, 2));
});
