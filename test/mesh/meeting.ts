/** What tests of pairing and of invitations share. */
import assert from "node:assert/strict";
import type { PairingJson } from "@ark/node/http";
import { until } from "../inference/local_fixture.ts";
import type { TestNode } from "./test_node.ts";

/** All pairings that a node's owner sees. */
export async function pairingsAt(node: TestNode): Promise<PairingJson[]> {
  const { status, body } = await node.admin<{ pairings: PairingJson[] }>("/peers/pair");
  assert.equal(status, 200);
  return body.pairings;
}

/** The pairing with another node that a node's owner sees last, once it is as expected. */
export async function pairingAt(
  node: TestNode,
  expected: (pairing: PairingJson) => boolean = () => true,
): Promise<PairingJson> {
  let found: PairingJson | undefined;
  await until(async () => {
    found = (await pairingsAt(node))[0];
    return found !== undefined && expected(found);
  });
  assert.ok(found !== undefined);
  return found;
}

/** Begins a pairing at the owner's side of a node. */
export async function begin(node: TestNode, target: Record<string, string>): Promise<PairingJson> {
  const { status, body } = await node.admin<PairingJson>("/peers/pair", target);
  assert.equal(status, 200, JSON.stringify(body));
  return body;
}

/** Does something with a pairing, which must succeed. */
export async function act(
  node: TestNode,
  session: string,
  { what, body = {} }: { what: string; body?: unknown },
): Promise<Record<string, unknown>> {
  const answer = await node.admin(`/peers/pair/${session}/${what}`, body);
  assert.equal(answer.status, 200, JSON.stringify(answer.body));
  return answer.body;
}
