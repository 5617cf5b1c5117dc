import assert from "node:assert/strict";
import type { Offer } from "@ark/node/protocol";
import { Metrics } from "@ark/node/telemetry";
import { OfferChanges } from "../../src/daemon/offer_changes.ts";

Deno.test("OfferChanges.look() counts what changed since the look before, and not what was only said again", () => {
  const metrics = new Metrics();
  const offer: Offer = { name: "B", ready: true, max_concurrent_requests: 1, models: [] };
  let offers: [string, Offer | null][] = [["b", offer]];
  // deno-lint-ignore no-explicit-any
  const list = () => offers.map(([node_id, offer]) => ({ peer: { node_id }, offer })) as any;
  const changes = new OfferChanges(metrics, { list });
  const count = () => Number(/ark_offer_changes_total (\d+)/.exec(metrics.render())?.[1]);
  const steps: [[string, Offer | null][], number][] = [
    [[["b", offer]], 0],
    [[["b", { ...offer }]], 0],
    [[["b", { ...offer, ready: false }]], 1],
    [[["b", null]], 2],
    [[["b", offer], ["c", offer]], 3],
    [[["c", offer]], 3],
    [[["b", { ...offer, ready: false }], ["c", { ...offer, name: "C" }]], 4],
  ];
  for (const [told, expected] of steps) {
    offers = told;
    changes.look();
    assert.equal(count(), expected, JSON.stringify(told));
  }
});
