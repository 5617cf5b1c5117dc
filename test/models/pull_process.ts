/** Pulls one model in a process of its own, which a test may kill: ROOT REF. */
import { ModelCatalogue, ModelStore, OwnRecords } from "@ark/node/models";

const [root = "", ref = ""] = Deno.args;
const records = new OwnRecords(root);
const catalogue = new ModelCatalogue({ directories: [root], own: records });
const store = new ModelStore({ catalogue, records, limits: { pauseMs: 1, reserveBytes: 0 } });
await Array.fromAsync(store.pull(ref, { signal: new AbortController().signal }));
