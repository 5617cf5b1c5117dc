/** What tests of pulls between nodes share. */
import type { PullProgress } from "@ark/node/models";
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
