import assert from "node:assert/strict";
import { fileURLToPath } from "node:url";
import { generateIdentity } from "@ark/node/identity";
import { checkPin } from "@ark/node/transport";
import { checkPinBy } from "../../src/transport/pin_check.ts";
import { cleanEnvironment, finished, FROM_SOURCE } from "../support/node_process.ts";
import { withDirectory } from "../support/temporary.ts";

const MAIN = fileURLToPath(new URL("../../main.ts", import.meta.url));

Deno.test("checkPin() finds that connections are pinned, again and again", async () => {
  for (let i = 0; i < 3; i++) assert.equal(await checkPin(generateIdentity()), "holds");
});

Deno.test("checkPin() ends although its own connection is there, says nothing and is never closed", async () => {
  const left: Deno.Conn[] = [];
  const dial: Parameters<typeof checkPinBy>[0] = async (_, address) => {
    left.push(await Deno.connect(address));
    throw new Error("It took too long");
  };
  // A few times: the connection is taken before it is over, or just afterwards.
  for (let i = 0; i < 20; i++) assert.equal(await checkPinBy(dial, generateIdentity()), "unknown");
  for (const connection of left) connection.close();
});

Deno.test("A node does not start where the runtime believes any certificate", async () => {
  await withDirectory(async (directory) => {
    await Deno.chmod(directory, 0o700);
    const [program = ""] = FROM_SOURCE;
    const serve = [
      "serve",
      "--data",
      directory,
      "--no-mdns",
      "--listen",
      "127.0.0.1:0",
      "--mesh-listen",
      "127.0.0.1:0",
    ];
    const { code, stdout, stderr } = await finished(program, {
      args: ["run", "-A", "--unsafely-ignore-certificate-errors", MAIN, ...serve],
      env: cleanEnvironment(),
    });
    assert.deepEqual([code, stdout], [78, ""], stderr);
    assert.match(stderr, /accepts any certificate.*start ark-node without --unsafely-ignore-certificate-errors/);
  });
});
