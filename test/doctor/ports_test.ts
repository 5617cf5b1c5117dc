/** Planted: ports that another program has, and addresses that this machine does not have. */
import assert from "node:assert/strict";
import { runMain } from "../cli/run_main.ts";
import { TestNode } from "../mesh/test_node.ts";
import { withDirectory } from "../support/temporary.ts";
import { fault, fine, lookStopped } from "./looking.ts";

/** A listener of another program, that says something to who asks by HTTP. */
function program(says: string): { address: string; port: number } & AsyncDisposable {
  const server = Deno.serve({ hostname: "127.0.0.1", port: 0, onListen() {} }, () => new Response(says));
  const { port } = server.addr;
  return { address: `127.0.0.1:${port}`, port, [Symbol.asyncDispose]: () => server.shutdown() };
}

Deno.test("Fault 1: another program has the mesh port, and the doctor says how to find it, and which flag helps", () =>
  withDirectory(async (data) => {
    await using other = program("Hello");
    const found = await lookStopped(data, { "mesh-listen": other.address });
    const { level, sentence, why, fix } = fault(found, "mesh-port");
    assert.equal(level, "danger");
    assert.equal(sentence, `The mesh cannot listen on ${other.address}: another program has that port`);
    if (Deno.build.os === "linux") assert.match(why ?? "", new RegExp(`: sudo ss -ltnp 'sport = :${other.port}'$`));
    assert.match(fix, /choose another with --mesh-listen$/);
    fine(found, "api-port");
    fine(await lookStopped(data), "mesh-port");
    // The command says the same, and fails.
    const words = ["--data", data, "--listen", "127.0.0.1:0", "--no-mdns", "--wireguard", "off"];
    const printed = await runMain(["doctor", ...words, "--mesh-listen", other.address]);
    assert.equal(printed.code, 1);
    assert.match(printed.stdout, /^Ports\n {2}FAIL {2}The mesh cannot listen on .*\n +why {2}.*\n +do {3}Stop it, or/m);
  }));

Deno.test("Fault 2: another ark-node has the API's port, and the doctor tells it from any program", () =>
  withDirectory(async (data) => {
    await using other = await TestNode.start({ name: "other" });
    const { hostname, port } = other.daemon.api;
    const found = await lookStopped(data, { listen: `${hostname}:${port}`, "mesh-listen": other.mesh });
    for (const [check, flag] of [["api-port", "--listen"], ["mesh-port", "--mesh-listen"]] as const) {
      const { level, sentence, fix } = fault(found, check);
      assert.equal(level, "danger");
      assert.match(sentence, /^Another ark-node already listens on 127\.0\.0\.1:\d+$/);
      assert.match(fix, new RegExp(`ark-node doctor --data DIR.*${flag}$`));
    }
  }));

Deno.test("Fault 3: Ollama itself runs where --ollama-port wants to listen", () =>
  withDirectory(async (data) => {
    await using ollama = program("Ollama is running");
    const { level, sentence, fix } = fault(await lookStopped(data, { "ollama-port": `${ollama.port}` }), "ollama-port");
    assert.equal(level, "danger");
    assert.match(sentence, /Ollama itself has that port$/);
    assert.match(fix, /leave out --ollama-port$/);
    fine(await lookStopped(data, { "ollama-port": "0" }), "ollama-port");
  }));

Deno.test("Fault 4: the node is to listen on an address that this machine does not have any more", () =>
  withDirectory(async (data) => {
    // A network for documentation: nobody has it.
    const { level, sentence, fix } = fault(await lookStopped(data, { "mesh-listen": "192.0.2.7:8911" }), "mesh-port");
    assert.equal(level, "danger");
    assert.equal(sentence, "The mesh cannot listen on 192.0.2.7:8911: this machine does not have that address");
    assert.match(fix, /Correct --mesh-listen.*0\.0\.0\.0/);
  }));
