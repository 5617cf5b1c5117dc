/** What this node's machine takes, in the dashboard of its owner. */
import assert from "node:assert/strict";
import { noBrowser, OwnerBrowser, visit } from "../support/owner_browser.ts";
import { TestNode } from "./test_node.ts";

const reason = await noBrowser();
// deno-lint-ignore no-console
if (reason !== null) console.log(`energy_test: skipped, ${reason}`);

Deno.test({
  name: "The Grid page plots the power of this node and joules for each token where they are known, and nothing else",
  ignore: reason !== null,
  sanitizeOps: false,
  sanitizeResources: false,
  async fn() {
    await using node = await TestNode.start({ name: "A" });
    await using browser = await OwnerBrowser.start();
    const page = await browser.dashboard(node);
    const plots = page.locator("figure.plot");
    const shown = async (energy: unknown) => {
      await page.unrouteAll();
      const now = Date.now();
      const history = { step_ms: 10_000, steps: 10, now, samples: [], ...energy === null ? {} : { energy } };
      await page.route("**/api/v1/history", (route) => route.fulfill({ json: history }));
      await visit(page, "home");
      await visit(page, "grid");
      await page.getByText("No request has ended yet.").waitFor();
    };
    const minute = Math.floor(Date.now() / 60_000) * 60_000;
    const samples = Array.from({ length: 9 }, (_, i) => ({
      at: minute - (9 - i) * 60_000,
      watts: 40 + 10 * i,
      joules_per_token: i < 3 ? null : 2 + i / 10,
    }));
    await shown({ step_ms: 60_000, of: "processor_and_gpu", samples });
    await page.getByText("Power in watts (processor, memory and GPU)").waitFor();
    await page.getByText(/Joules for each token/).waitFor();
    await plots.locator("canvas").nth(1).waitFor();
    await page.getByRole("img", { name: /Power in watts .*: at most 120/ }).waitFor();
    const picture = Deno.env.get("ARK_PICTURE");
    if (picture !== undefined) await page.screenshot({ path: picture });
    await shown({ step_ms: 60_000, of: "machine", samples: samples.slice(0, 2) });
    await page.getByText("Power in watts (the whole machine, by its battery)").waitFor();
    assert.equal(await plots.count(), 1);
    for (const nothing of [null, { step_ms: 60_000, of: "gpu", samples: [] }]) {
      await shown(nothing);
      assert.equal(await page.getByText("Energy of this node").count(), 0);
    }
    assert.deepEqual(browser.complaints, []);
  },
});
