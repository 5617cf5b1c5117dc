import assert from "node:assert/strict";
import { fileURLToPath } from "node:url";
import { finished } from "../support/node_process.ts";

const VALUES = fileURLToPath(new URL("../support/json_values.ts", import.meta.url));
const COUNT = Deno.env.get("ARK_LONG") === "1" ? 1_000_000 : 5_000;

Deno.test(`T40: ${COUNT} JSON values change no prototype and cause nothing but a 400`, async () => {
  // A process of its own: prototypes stay frozen.
  const seed = crypto.getRandomValues(new Uint32Array(1))[0] ?? 0;
  const args = ["run", "-A", "--no-lock", "--node-modules-dir=manual", VALUES, String(COUNT), String(seed)];
  const { code, stdout, stderr } = await finished(Deno.execPath(), { args });
  assert.equal(code, 0, `Seed ${seed}: ${stderr}`);
  const { taken, refused, unchanged, wrong } = JSON.parse(stdout);
  assert.deepEqual(wrong, [], `Seed ${seed}`);
  assert.ok(unchanged, "A prototype has other members than before");
  assert.ok(taken > COUNT / 50 && refused > COUNT, `${taken} were taken and ${refused} refused: that says little`);
});
