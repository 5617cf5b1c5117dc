/** Runs command lines inside the test's process. */
import { main } from "@ark/node/cli";
import type { Finished } from "../support/node_process.ts";

/** Runs a command line to its end, with no variable set but those given. */
export async function runMain(args: string[], env: Record<string, string> = {}): Promise<Finished> {
  const written = { stdout: "", stderr: "" };
  const decoder = new TextDecoder();
  const stream = (name: keyof typeof written) => ({
    isTerminal: () => false,
    writeSync(bytes: Uint8Array): number {
      written[name] += decoder.decode(bytes);
      return bytes.length;
    },
  });
  const streams = { stdout: stream("stdout"), stderr: stream("stderr") };
  const code = await main(args, { version: "1.2.3", env: (name) => env[name], streams });
  return { code, ...written };
}
