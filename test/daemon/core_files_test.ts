import assert from "node:assert/strict";
import { NodeProcess } from "../support/node_process.ts";

const LINUX = Deno.build.os === "linux";

Deno.test({
  name: `T33: A node leaves no core file${LINUX ? "" : " (skipped: /proc tells of limits only on Linux)"}`,
  ignore: !LINUX,
  async fn() {
    await using node = await NodeProcess.start({ name: "Core", args: ["--no-mdns"] });
    const limits = await Deno.readTextFile(`/proc/${node.ready.pid}/limits`);
    assert.match(limits, /^Max core file size\s+0\s+0\s/m);
  },
});
