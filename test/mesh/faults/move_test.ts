/** A long answer on a slow node, and a fast one that comes back meanwhile. */
import assert from "node:assert/strict";
import { until } from "../../inference/local_fixture.ts";
import { askChain, assertWhole } from "./chain_client.ts";
import { FaultLab } from "./fault_lab.ts";

/** More than the slow one writes in a minute. */
const TOKENS = 1_000;

interface Ledger {
  requests: { steps: { type: string; name: string; moved?: boolean }[]; continued: number }[];
}

Deno.test("A long answer of a slow node goes on at a fast one that came back, and no token is lost", async () => {
  await using lab = await FaultLab.start({ environment: (index) => ({ CHAIN_SLOW: index === 0 ? "75" : "2" }) });
  const [slow, fast] = lab.peers;
  assert.ok(slow !== undefined && fast !== undefined);
  // How fast both are is learnt from what they did.
  for (const [asked, other] of [[slow, fast], [fast, slow]] as const) {
    other.link.fail("refuse");
    await until(async () => {
      const answer = await askChain(lab.api, { tokens: 20 });
      return answer.error === null && answer.node === asked.name;
    });
    other.link.heal();
    await lab.settled();
  }
  fast.link.fail("refuse");
  let back = false;
  const answer = await askChain(lab.api, {
    tokens: TOKENS,
    seen(_, node) {
      if (back) return;
      back = true;
      assert.equal(node, slow.name);
      fast.link.heal();
    },
  });
  assertWhole(answer);
  assert.equal(lab.failovers, 0);
  const { body: { requests: [last] } } = await lab.gateway.admin<Ledger>("/api/v1/requests?count=1");
  assert.equal(last?.continued, 1);
  const moved = last?.steps.find(({ type }) => type === "continued");
  assert.deepEqual([moved?.name, moved?.moved], [fast.name, true]);
});
