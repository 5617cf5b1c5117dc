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

// With `--v8-flags=--expose-gc`, so that tests can tell what a node keeps from what it has not collected yet.
const { gc } = globalThis as { gc?: () => void };
if (gc !== undefined && Deno.args[0] === "serve") Deno.addSignalListener("SIGUSR2", () => gc());

if (Deno.args[0] !== "worker") Deno.exit(await main(Deno.args, { version: "0.0.0" }));
else if (Deno.args[1] === "probe") await Deno.stdout.write(new TextEncoder().encode(JSON.stringify(FAKE) + "\n"));
else await import("./fake_worker.ts");
