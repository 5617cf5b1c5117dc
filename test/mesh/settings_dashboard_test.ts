/** What the node is set to, in the dashboard, in a real browser. */
import assert from "node:assert/strict";
import type { SettingView } from "@ark/node/http";
import { noBrowser, OwnerBrowser, seriousFindings, visit } from "../support/owner_browser.ts";
import { TestNode } from "./test_node.ts";

const reason = await noBrowser();
// deno-lint-ignore no-console
if (reason !== null) console.log(`settings_dashboard_test: skipped, ${reason}`);

Deno.test({
  name:
    "An owner changes settings in the dashboard, which stand in the file; what cannot be is refused with a sentence",
  ignore: reason !== null,
  // The browser's own pipes and timers belong to its driver.
  sanitizeOps: false,
  sanitizeResources: false,
  async fn() {
    await using node = await TestNode.start({ name: "Alpha" });
    await using browser = await OwnerBrowser.start();
    const page = await browser.dashboard(node);
    await visit(page, "settings");
    const file = `${node.data}/ark.toml`;
    await page.getByText(file).waitFor();
    for (const group of ["Limits", "Sharing", "Listeners", "Registry", "Everything else"]) {
      await page.locator("summary", { hasText: group }).click();
    }
    assert.deepEqual(await seriousFindings(page), []);
    // Where it listens was said on the command line, and who may reach it is no matter of a browser.
    assert.equal(await page.getByRole("button", { name: "Change listen" }).count(), 0);
    assert.equal(await page.getByRole("button", { name: "Change allow-origin" }).count(), 0);

    const dialog = page.getByRole("dialog");
    await page.getByRole("button", { name: "Change max-queued" }).click();
    await dialog.getByLabel("N").fill("many");
    await dialog.getByRole("button", { name: "Save" }).click();
    await page.getByText(/Cannot use --max-queued many/).waitFor();
    await dialog.getByLabel("N").fill("12");
    await dialog.getByRole("button", { name: "Save" }).click();
    await page.getByText("max-queued changed: that counts when the node is started again.").waitFor();
    await page.getByRole("button", { name: "Change share-hours" }).click();
    await dialog.getByLabel("HOURS").fill("mon-fri 22-7\nsat 0-24");
    await dialog.getByRole("button", { name: "Save" }).click();
    await dialog.waitFor({ state: "detached" });
    await page.getByRole("button", { name: "Change show-hardware" }).click();
    await dialog.getByRole("switch").check();
    await dialog.getByRole("button", { name: "Save" }).click();
    await dialog.waitFor({ state: "detached" });
    assert.equal(
      await Deno.readTextFile(file),
      `max-queued = "12"\nshare-hours = [ "mon-fri 22-7", "sat 0-24" ]\nshow-hardware = true\n`,
    );

    await page.getByRole("button", { name: "Change max-queued" }).click();
    await dialog.getByRole("button", { name: "Back to the usual" }).click();
    await dialog.waitFor({ state: "detached" });
    const { body } = await node.admin<{ settings: SettingView[] }>("/settings");
    const one = (wanted: string) => body.settings.find(({ name }) => name === wanted);
    assert.deepEqual([one("max-queued")?.from, one("share-hours")?.value], ["default", ["mon-fri 22-7", "sat 0-24"]]);
    assert.deepEqual(browser.complaints, []);
    // Nobody but the owner sees or changes any of it.
    for (const init of [{}, { method: "POST", body: `{"name":"max-queued","value":"1"}` }]) {
      const response = await fetch(`${node.api}/settings`, init);
      assert.equal(response.status, 401);
      await response.body?.cancel();
    }
  },
});
