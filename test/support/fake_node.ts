/** A node whose workers have a fake engine: `ark-node` in every other respect. */
import { main } from "@ark/node/cli";

if (Deno.args[0] === "worker") await import("./fake_worker.ts");
else Deno.exit(await main(Deno.args, { version: "0.0.0" }));
