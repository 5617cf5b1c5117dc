/**
 * A node that does nothing but discover: prints each sighting, and each sentence about what does not work, as a line of
 * JSON. SIGTERM ends it with a goodbye.
 *
 * @module
 */
import { MdnsDiscovery } from "@ark/node/discovery";

const [id = "", port = "", hostname = "0.0.0.0"] = Deno.args;
const stop = new AbortController();
Deno.addSignalListener("SIGTERM", () => stop.abort());

function print(line: unknown): void {
  Deno.stdout.writeSync(new TextEncoder().encode(JSON.stringify(line) + "\n"));
}

const discovery = new MdnsDiscovery({
  id,
  port: Number(port),
  hostname,
  unavailable: (sentence) => print({ sentence }),
});
print({ started: Deno.pid });
for await (const sighting of discovery.discover(stop.signal)) print(sighting);
Deno.exit(0);
