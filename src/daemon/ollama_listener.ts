import type { LocalApp } from "@ark/node/http";
import { reasonOf } from "@ark/node/protocol";
import { LocalServer } from "./local_server.ts";
import { StartError } from "./start_error.ts";

/** Port of an Ollama that nobody told to take another one. */
const OLLAMA_PORT = 11_434;

/**
 * Listens on a port of the loopback where clients of Ollama look; port 0 takes a free one.
 *
 * @throws {StartError} that says what most likely has the port.
 */
export async function listenAsOllama(port: number, app: () => LocalApp): Promise<LocalServer> {
  try {
    return await LocalServer.listen({ hostname: "127.0.0.1", port }, app);
  } catch (error) {
    if (!(error instanceof Deno.errors.AddrInUse)) {
      throw new StartError(`Cannot listen on 127.0.0.1:${port} (--ollama-port): ${reasonOf(error)}`, { cause: error });
    }
    const who = port === OLLAMA_PORT ? "Ollama itself most likely runs there" : "another program listens there";
    throw new StartError(
      `Cannot take 127.0.0.1:${port} for clients of Ollama: ${who}; stop it, or leave out --ollama-port`,
      { cause: error },
    );
  }
}
