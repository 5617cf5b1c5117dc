import { reasonOf } from "@ark/node/protocol";
import { dataDirectoryOf, type DataPaths, dataPaths } from "@ark/node/config";
import { runningNode } from "@ark/node/daemon";
import { readAdminToken } from "@ark/node/http";
import { CommandError, EXIT, textFlag } from "./command.ts";
import type { CommandContext } from "./command.ts";

/** The data directory that a command is about. */
export async function pathsOf({ flags, env }: Pick<CommandContext, "flags" | "env">): Promise<DataPaths> {
  return dataPaths(await dataDirectoryOf(textFlag(flags, "data"), env));
}

/** The running node of a data directory, asked by its owner. */
export class NodeClient {
  /** Where its API listens. */
  readonly api: string;
  readonly #token: string;

  private constructor(api: string, token: string) {
    this.api = api;
    this.#token = token;
  }

  /**
   * Finds the node of a data directory.
   *
   * @throws {CommandError} with the exit status `notRunning` when there is none.
   */
  static async find(context: Pick<CommandContext, "flags" | "env">): Promise<NodeClient> {
    const paths = await pathsOf(context);
    const node = await runningNode(paths);
    if (node === null) throw notRunning(paths);
    try {
      return new NodeClient(node.api, await readAdminToken(paths.adminToken));
    } catch (error) {
      throw new CommandError(reasonOf(error));
    }
  }

  /** Whether a node runs in the data directory. */
  static async runs(context: Pick<CommandContext, "flags" | "env">): Promise<boolean> {
    const node = await runningNode(await pathsOf(context));
    if (node === null) return false;
    try {
      const response = await fetch(`${node.api}/healthz`, { signal: AbortSignal.timeout(2_000) });
      await response.body?.cancel();
      return response.ok;
    } catch {
      return false;
    }
  }

  /**
   * Makes an admin call, and returns what it answers.
   *
   * @throws {CommandError} with the node's own sentence.
   */
  async call<T>(path: string, body?: unknown): Promise<T> {
    const response = await this.open(path, body);
    let text: string;
    try {
      text = await response.text();
    } catch {
      throw this.#gone();
    }
    try {
      return JSON.parse(text);
    } catch {
      throw new CommandError(`What answers at ${this.api} is no node: it sent no JSON`);
    }
  }

  /** Makes a call whose answer is a stream, which ends when the signal fires. `fields` are further header fields. */
  async open(
    path: string,
    body?: unknown,
    { signal, fields = {} }: { signal?: AbortSignal; fields?: Record<string, string> } = {},
  ): Promise<Response> {
    let response: Response;
    try {
      response = await fetch(this.api + path, {
        headers: { authorization: `Bearer ${this.#token}`, "content-type": "application/json", ...fields },
        ...(body === undefined ? {} : { method: "POST", body: JSON.stringify(body) }),
        ...(signal === undefined ? {} : { signal }),
      });
    } catch (error) {
      if (signal?.aborted) throw error;
      throw this.#gone();
    }
    if (response.ok) return response;
    const said = await response.json().catch(() => null) as { error?: { message?: unknown } } | null;
    const message = typeof said?.error?.message === "string" ? said.error.message : `it answered ${response.status}`;
    throw new CommandError(message);
  }

  #gone(): CommandError {
    return new CommandError(
      `The node at ${this.api} does not answer: it was stopped or is stopping; start it with ark-node`,
      EXIT.notRunning,
    );
  }
}

function notRunning(paths: DataPaths): CommandError {
  return new CommandError(
    `No node runs with the data directory ${paths.root}: start one with ark-node, or name another directory with --data`,
    EXIT.notRunning,
  );
}
