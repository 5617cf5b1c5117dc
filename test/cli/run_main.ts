/** Runs command lines inside the test's process. */
import { main } from "@ark/node/cli";
import type { Finished } from "../support/node_process.ts";

/** Runs a command line to its end, with no variable set but those given. Nothing is piped in, and nobody types. */
export function runMain(args: string[], env: Record<string, string> = {}): Promise<Finished> {
  return runPiped(args, { env });
}

/** As {@linkcode runMain}, with a text that is piped in. */
export async function runPiped(
  args: string[],
  { env = {}, piped }: { env?: Record<string, string>; piped?: string | Uint8Array<ArrayBuffer> },
): Promise<Finished> {
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
  const input = {
    readable: new Blob([piped ?? ""]).stream(),
    isTerminal: () => piped === undefined,
  };
  const code = await main(args, { version: "1.2.3", env: (name) => env[name], streams, input });
  return { code, ...written };
}

/** A person at a terminal: reads what a command prints, and types. */
export interface Person {
  /** Waits until something new stands on the screen, and types a line. */
  answer(prompt: RegExp, line: string): Promise<void>;
  /** What stands on the screen. */
  readonly screen: string;
  /** How the command ended. */
  readonly finished: Promise<number>;
}

/** Runs a command line for a person. */
export function runForPerson(args: string[]): Person {
  let screen = "";
  let read = 0;
  let type: (line: string) => void = () => {};
  let hangUp: () => void = () => {};
  const readable = new ReadableStream<Uint8Array>({
    start(controller) {
      type = (line) => controller.enqueue(new TextEncoder().encode(line + "\n"));
      hangUp = () => controller.close();
    },
  });
  const decoder = new TextDecoder();
  const stream = {
    isTerminal: () => true,
    writeSync(bytes: Uint8Array): number {
      screen += decoder.decode(bytes);
      return bytes.length;
    },
  };
  const finished = main(args, {
    version: "1.2.3",
    env: () => undefined,
    streams: { stdout: stream, stderr: stream },
    input: { readable, isTerminal: () => true },
  }).finally(hangUp);
  return {
    finished,
    get screen() {
      return screen;
    },
    async answer(prompt, line) {
      const deadline = performance.now() + 60_000;
      while (!prompt.test(screen.slice(read))) {
        if (performance.now() > deadline) throw new Error(`Nobody asked ${prompt}: ${screen}`);
        await new Promise((resolve) => setTimeout(resolve, 5));
      }
      read = screen.length;
      type(line);
    },
  };
}
