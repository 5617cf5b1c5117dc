/** Writes the generated parts of the documentation anew: `deno run -A test/docs/write.ts`. */
import { withGenerated } from "./generated.ts";

const PAGE = new URL("../../docs/configuration.md", import.meta.url);

await Deno.writeTextFile(PAGE, withGenerated(await Deno.readTextFile(PAGE)));
await new Deno.Command(Deno.execPath(), { args: ["fmt", "--quiet", PAGE.pathname] }).output();
