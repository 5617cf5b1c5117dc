import { main } from "@ark/node/cli";
import project from "./deno.json" with { type: "json" };

Deno.exit(await main(Deno.args, { version: project.version }));
