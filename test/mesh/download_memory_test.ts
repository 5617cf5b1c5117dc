/** What a node's memory does while peers download. */
import assert from "node:assert/strict";
import { fileURLToPath } from "node:url";
import { writeRandomModel } from "../bench/random_model.ts";
import { approvedPeer, fetchBy } from "../bench/transfer_bench.ts";
import { until } from "../inference/local_fixture.ts";
import { nodeCommand, NodeProcess } from "../support/node_process.ts";
import { withDirectory } from "../support/temporary.ts";

const FAKE_NODE = fileURLToPath(new URL("../support/fake_node.ts", import.meta.url));
/** Each of the three downloads so much; a gibibyte in the long form. */
const BYTES = Deno.env.get("ARK_LONG") === "1" ? 1 << 30 : 48 << 20;
const MOST_GROWTH = 100 << 20;

function memoryOf(pid: number, name: "VmRSS" | "VmHWM"): number {
  const [, kib = ""] = new RegExp(`${name}:\\s+(\\d+)`).exec(Deno.readTextFileSync(`/proc/${pid}/status`)) ?? [];
  return Number(kib) * 1_024;
}

Deno.test("A node's memory grows by at most 100 MiB while three peers download all they can", () =>
  withDirectory(async (directory) => {
    if (Deno.build.os !== "linux") {
      // deno-lint-ignore no-console
      return console.log("Skipped: how much memory a process has is read from Linux's /proc");
    }
    const sha256 = await writeRandomModel(`${directory}/random.gguf`, BYTES);
    const command = nodeCommand(FAKE_NODE);
    const args = ["--no-mdns", "--wireguard", "off", "--models", directory];
    await using node = await NodeProcess.start({ name: "B", command, args });
    const { pid, mesh } = node.ready;
    const order = { id: node.id, port: Number(mesh.split(":").at(-1)), sha256, lanes: 8, into: null };
    const keys = await Promise.all([1, 2, 3].map(async () => (await approvedPeer(node)).privateKeyPem()));
    const [pem = ""] = keys;
    // It has computed the digest before anything is measured.
    await until(async () => (await fetchBy({ ...order, pem, lanes: 1, forMs: 1 }).catch(() => null)) !== null);
    const before = memoryOf(pid, "VmRSS");
    await Deno.writeTextFile(`/proc/${pid}/clear_refs`, "5");
    const all = await Promise.all(keys.map((each) => fetchBy({ ...order, pem: each })));
    for (const { bytes } of all) assert.equal(bytes, BYTES);
    const grew = memoryOf(pid, "VmHWM") - before;
    assert.ok(grew <= MOST_GROWTH, `It grew by ${grew >> 20} MiB`);
  }));
