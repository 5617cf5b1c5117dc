/** A worker process as tests start it: `deno run -A test/support/worker_main.ts`. */
import { runWorker } from "@ark/node/inference";

await runWorker();
