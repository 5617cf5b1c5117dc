/** A worker process whose model is a chain: see `chain_engine.ts`. */
import { runWorker } from "@ark/node/inference";
import { ChainEngine } from "./chain_engine.ts";

await runWorker({ engine: new ChainEngine() });
