/** Pausing in the dashboard, in a real browser. */
import assert from "node:assert/strict";
import type { SharingDetails } from "@ark/node/http";
import { noBrowser, OwnerBrowser, seriousFindings } from "../support/owner_browser.ts";
import { TestNode } from "./test_node.ts";

const reason = await noBrowser();
// deno-lint-ignore no-console
if (reason !== null) console.log(`sharing_dashboard_test: skipped, ${reason}`);

Deno.test({
  name: "An owner pauses sharing on Home, sees it live in a second window, and resumes; axe-core finds nothing serious",
  ignore: reason !== null,
  // The browser's own pipes and timers belong to its driver.
  sanitizeOps: false,
  sanitizeResources: false,
  async fn() {
    await using node = await TestNode.start({ name: "Alpha" });
    await using browser = await OwnerBrowser.start();
    const [page, other] = [await browser.dashboard(node), await browser.dashboard(node, { scheme: "dark" })];
    const stands = async () => (await node.admin<SharingDetails>("/sharing")).body;
    await page.getByText("Neighbours may use this node, as you approved them.").waitFor();

    await page.getByRole("button", { name: "Pause for 1 hour" }).click();
    await page.getByText(/Sharing is paused until/).waitFor();
    // The other window hears of it by itself.
    await other.getByText(/Sharing is paused until/).waitFor();
    const { state, until } = await stands();
    assert.equal(state, "paused");
    assert.ok(Date.parse(until ?? "") - Date.now() <= 3_600_000);

    for (const one of [page, other]) assert.deepEqual(await seriousFindings(one), []);

    await other.getByRole("button", { name: "Resume sharing" }).click();
    await page.getByRole("button", { name: "Pause until I resume" }).click();
    await other.getByText("Sharing is paused until you resume it.").waitFor();
    await page.getByRole("button", { name: "Resume sharing" }).click();
    await page.getByRole("button", { name: /Pause until tomorrow/ }).click();
    await other.getByText(/Sharing is paused until .*07:00/).waitFor();
    assert.equal(new Date((await stands()).until ?? "").getHours(), 7);
    // What came from the command line is seen as well.
    await node.admin("/sharing/resume", {});
    await page.getByText("Neighbours may use this node, as you approved them.").waitFor();
    assert.deepEqual(browser.complaints, []);
  },
});
