/** Pulls one model from one peer in a process of its own, which a test may kill: ROOT REF ID PORT. */
import { LightStore } from "./light_store.ts";

const [root = "", ref = "", id = "", port = ""] = Deno.args;
const address = { hostname: "127.0.0.1", port: Number(port) };
await using light = new LightStore(root, [{ id, name: "B", address }]);
await Array.fromAsync(light.store.pull(ref, { signal: new AbortController().signal }));
