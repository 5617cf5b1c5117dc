/** What tests of pulls between nodes share. */
import type { PullProgress } from "@ark/node/models";
import { until } from "../../inference/local_fixture.ts";
import type { TestNode } from "../test_node.ts";

/** A line of the answer to `POST /models/pull`. */
export type Line = Partial<PullProgress> & { readonly error?: { readonly code: string; readonly message: string } };

/** Has a node pull a model, and gives all that it told. */
export async function pull(
  node: Pick<TestNode, "api" | "data">,
  model: string,
  { from, signal }: { from?: string; signal?: AbortSignal } = {},
): Promise<Line[]> {
  const token = (await Deno.readTextFile(`${node.data}/admin.token`)).trim();
  const response = await fetch(`${node.api}/models/pull`, {
    method: "POST",
    headers: { authorization: `Bearer ${token}`, "content-type": "application/json" },
    body: JSON.stringify({ model, ...from === undefined ? {} : { from } }),
    ...signal === undefined ? {} : { signal },
  });
  const text = await response.text();
  return text.split("\n").filter(Boolean).map((line) => JSON.parse(line));
}

/** Every file of a node's store that the catalogue may take for a model. */
export async function filesOf({ data }: Pick<TestNode, "data">): Promise<string[]> {
  const found: string[] = [];
  const walk = async (directory: string): Promise<void> => {
    for await (const { name, isDirectory } of Deno.readDir(directory)) {
      if (name.startsWith(".")) continue;
      if (isDirectory) await walk(`${directory}/${name}`);
      else found.push(`${directory}/${name}`);
    }
  };
  await walk(`${data}/models`);
  return found.sort();
}

/** Waits until a node knows where each of its approved peers is. */
export async function seen(node: TestNode): Promise<void> {
  await until(async () => {
    const { body } = await node.admin<{ peers: { state: string }[] }>("/peers/status");
    return body.peers.every(({ state }) => state !== "unseen");
  });
}

/** Has a node pull a model, and gives each line as it comes. */
export async function* follow(node: Pick<TestNode, "api" | "data">, model: string): AsyncGenerator<Line> {
  const token = (await Deno.readTextFile(`${node.data}/admin.token`)).trim();
  const response = await fetch(`${node.api}/models/pull`, {
    method: "POST",
    headers: { authorization: `Bearer ${token}`, "content-type": "application/json" },
    body: JSON.stringify({ model }),
  });
  let text = "";
  for await (const part of response.body?.pipeThrough(new TextDecoderStream()) ?? []) {
    const lines = (text + part).split("\n");
    text = lines.pop() ?? "";
    for (const line of lines) yield JSON.parse(line);
  }
}
