/** A node whose workers have a fake engine: `ark-node` in every other respect. */
import { main } from "@ark/node/cli";
import type { EngineBinding } from "@ark/node/inference";

/** What the search for an engine finds: the fake one needs no library. */
const FAKE: EngineBinding = {
  path: "/fake",
  extensions: null,
  build: false,
  gpu: false,
  release: { repo: "fake", release: "1" },
};

if (Deno.args[0] !== "worker") Deno.exit(await main(Deno.args, { version: "0.0.0" }));
else if (Deno.args[1] === "probe") await Deno.stdout.write(new TextEncoder().encode(JSON.stringify(FAKE) + "\n"));
else await import("./fake_worker.ts");
