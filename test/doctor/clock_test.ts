/** Planted with faketime: a clock that is wrong. */
import assert from "node:assert/strict";
import type { Finding } from "@ark/node/http";
import { until } from "../inference/local_fixture.ts";
import { FIXTURES, MODEL, TestNode } from "../mesh/test_node.ts";
import { cleanEnvironment, NodeProcess } from "../support/node_process.ts";
import { withDirectory } from "../support/temporary.ts";
import { fault, fine, look, untilFault } from "./looking.ts";

const LIBRARIES = [
  "/usr/lib/x86_64-linux-gnu/faketime/libfaketimeMT.so.1",
  "/usr/lib/aarch64-linux-gnu/faketime/libfaketimeMT.so.1",
  "/usr/lib/faketime/libfaketimeMT.so.1",
];

/** The environment of a process that believes in another time, or null where there is no library for that. */
function timeOf(shift: string): Record<string, string> | null {
  const library = LIBRARIES.find((path) => {
    try {
      return Deno.statSync(path).isFile;
    } catch {
      return false;
    }
  });
  if (library === undefined) {
    // deno-lint-ignore no-console
    console.log("Skipped: there is no libfaketime (apt install faketime) with which a node's clock could be wrong");
    return null;
  }
  const how = { FAKETIME: shift, FAKETIME_DONT_FAKE_MONOTONIC: "1", NO_FAKE_STAT: "1" };
  return { ...cleanEnvironment(), LD_PRELOAD: library, ...how };
}

Deno.test("Fault 31: a clock is three hours behind its peers'", async () => {
  const env = timeOf("-3h");
  if (env === null) return;
  await using b = await TestNode.start({ name: "B", models: [FIXTURES] });
  await using c = await TestNode.start({ name: "C", models: [FIXTURES] });
  const args = ["--no-mdns", "--gpu", "off", "--wireguard", "off", "--peer", b.mesh, "--peer", c.mesh];
  await using a = await NodeProcess.start({ name: "A", args, env });
  // By the node's own calls, from a process with the right time.
  const asked = async () => {
    const token = (await Deno.readTextFile(`${a.ready.data}/admin.token`)).trim();
    const response = await fetch(`${a.ready.api}/doctor`, { headers: { authorization: `Bearer ${token}` } });
    return (await response.json()).findings as Finding[];
  };
  const publicKey = a.ready.public_key;
  await b.approve({ publicKey, name: "A" });
  await a.json("peers", "approve", b.publicKey, "--name", "B");
  const one = await untilFault(asked, "clock");
  assert.deepEqual([one.level, one.sentence], ["warning", "The clock of B is 3 h ahead of this machine's"]);
  assert.match(one.fix, /timedatectl set-ntp true/);
  // Where two agree, it is this machine that is wrong.
  await c.approve({ publicKey, name: "A" });
  await a.json("peers", "approve", c.publicKey, "--name", "C");
  await until(async () => (await asked()).some(({ sentence }) => sentence.endsWith("those of 2 peers")));
  const two = await untilFault(asked, "clock");
  assert.equal(two.sentence, "The clock of this machine is 3 h behind those of 2 peers");
  assert.match(two.fix, /^Set the clock: sudo timedatectl set-ntp true/);
  assert.ok((await a.json<{ models: { id: string }[] }>("models")).models.some(({ id }) => id === MODEL));
});

Deno.test("Fault 32: a clock was set back, so the audit log has entries of the future", () =>
  withDirectory(async (parent) => {
    const env = timeOf("+3h");
    if (env === null) return;
    const data = `${parent}/data`;
    await using other = await TestNode.start({ name: "B" });
    {
      await using before = await NodeProcess.start({ name: "A", data, args: ["--no-mdns", "--gpu", "off"], env });
      await before.json("peers", "approve", other.publicKey, "--name", "B");
    }
    await using node = await TestNode.start({ name: "A", data });
    const { level, sentence, fix } = fault(await look(node), "clock");
    assert.equal(level, "warning");
    assert.match(
      sentence,
      /^The clock of this machine is behind: the audit log has an entry that is 3 h later than now$/,
    );
    assert.match(fix, /timedatectl set-ntp true/);
    fine(await look(other), "clock");
  }));
