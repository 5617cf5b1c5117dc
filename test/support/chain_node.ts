/** A node whose workers have the chain engine: `ark-node` in every other respect. */
import { main } from "@ark/node/cli";
import type { EngineBinding } from "@ark/node/inference";

/** What the search for an engine finds: this one needs no library. */
const NONE: EngineBinding = {
  path: "/chain",
  extensions: null,
  build: false,
  gpu: false,
  release: { repo: "chain", release: "1" },
};

if (Deno.args[0] !== "worker") Deno.exit(await main(Deno.args, { version: "0.0.0" }));
else if (Deno.args[1] === "probe") await Deno.stdout.write(new TextEncoder().encode(JSON.stringify(NONE) + "\n"));
else await import("./chain_worker.ts");
