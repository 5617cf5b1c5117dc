import { runProbe, runWorker } from "@ark/node/inference";
import { type Command, EXIT } from "../command.ts";

/** The child process that holds a model; the node starts it. */
export const WORKER: Command = {
  name: "worker",
  summary: "Run a model for the node that started this process",
  usage: "",
  flags: {},
  hidden: true,
  async run({ words: [what, options] }) {
    if (what === "probe") await runProbe(JSON.parse(options ?? "{}"));
    else await runWorker();
    return EXIT.ok;
  },
};
