/**
 * The command line: `ark-node` starts a node, and the other commands ask the running one.
 *
 * | exit status | meaning |
 * |---|---|
 * | 0 | it worked |
 * | 1 | it failed; one sentence on standard error says why |
 * | 2 | the command line cannot be understood |
 * | 3 | there is no running node to ask |
 * | 78 | the node refuses its key file or its environment |
 * | 130 | Ctrl-C ended it |
 *
 * Results go to standard output, as text or with `--json` as JSON; everything else goes to standard error.
 *
 * @example
 * ```ts
 * import { main } from "@ark/node/cli";
 *
 * console.log(await main(["--version"], { version: "0.1.0" })); // 0
 * ```
 *
 * @module
 */
export * from "./main.ts";
export type { OutputStreams } from "./output.ts";
export type { CommandInput } from "./command.ts";
