/** The dashboard in a real browser, at two real nodes. */
import assert from "node:assert/strict";
import { auditOf, FIXTURES, MODEL, TestNode } from "./test_node.ts";
import { until } from "../inference/local_fixture.ts";
import { DASHBOARD_PAGES, noBrowser, OwnerBrowser, seriousFindings, visit } from "../support/owner_browser.ts";

const reason = await noBrowser();
// deno-lint-ignore no-console
if (reason !== null) console.log(`dashboard_test: skipped, ${reason}`);

/** What of an element is needed; the types of pages are none of Deno's. */
interface Box {
  scrollTop: number;
  readonly scrollHeight: number;
}

Deno.test({
  name:
    "Two owners pair by words in their dashboards, one asks the other's model, is watched, and is revoked while it streams",
  ignore: reason !== null,
  // The browser's own pipes and timers belong to its driver.
  sanitizeOps: false,
  sanitizeResources: false,
  async fn() {
    await using b = await TestNode.start({ name: "Bravo", models: [FIXTURES] });
    await using a = await TestNode.start({ name: "Alpha", peers: [b.mesh] });
    await using browser = await OwnerBrowser.start();
    const [alpha, bravo] = [await browser.dashboard(a), await browser.dashboard(b)];

    await visit(alpha, "neighbours");
    await visit(bravo, "neighbours");
    await alpha.getByLabel("Pair with a node by its address").fill(b.mesh);
    await alpha.getByRole("button", { name: "Pair", exact: true }).last().click();
    const words = await Promise.all([alpha, bravo].map((page) => page.locator(".words").first().innerText()));
    assert.equal(words[0]?.split(/\s+/).length, 4);
    assert.equal(words[1], words[0]);
    for (const page of [alpha, bravo]) await page.getByRole("button", { name: "The words are the same" }).click();
    await alpha.getByText("I only want to use its models").click();
    for (const page of [bravo, alpha]) await page.getByRole("button", { name: "Let it in" }).click();
    await bravo.locator("li.peer", { hasText: "Alpha" }).waitFor();
    await a.reaches(MODEL);

    await bravo.locator("li.peer", { hasText: "Alpha" }).getByRole("button", { name: "Permissions" }).click();
    await bravo.getByLabel("Questions a minute").fill("30");
    await bravo.getByRole("button", { name: "Save" }).click();
    await bravo.getByText("at most 30 a minute").waitFor();

    await visit(alpha, "chat");
    await alpha.getByLabel("Your question").fill("one two three");
    await alpha.getByRole("button", { name: "Ask" }).click();
    await alpha.getByText(/answered by Bravo/).waitFor();
    await alpha.getByText(/tokens? ·|tokens\/s/).first().waitFor();

    // An answer that goes on until somebody ends it.
    await alpha.getByLabel("Your question").fill("#slow=40");
    await alpha.getByRole("button", { name: "Ask" }).click();
    await visit(bravo, "home");
    await bravo.locator("li", { hasText: MODEL }).first().waitFor();
    await visit(bravo, "neighbours");
    await bravo.locator("li.peer", { hasText: "Alpha" }).getByRole("button", { name: "Revoke" }).click();
    await bravo.getByRole("button", { name: "Revoke now" }).click();
    await alpha.locator(".bubble .fault").waitFor();

    await visit(bravo, "activity");
    await bravo.getByRole("region", { name: "Entries" }).getByText("revoke").first().waitFor();
    await bravo.getByRole("button", { name: "Verify" }).click();
    await bravo.getByText(/are as they were written/).waitFor();
    assert.ok(auditOf(b).some(({ kind }) => kind === "revoke"));
    assert.deepEqual(browser.complaints, []);
  },
});

Deno.test({
  name: "Every page of the dashboard is free of what axe-core finds serious, in light and dark and on a phone",
  ignore: reason !== null,
  sanitizeOps: false,
  sanitizeResources: false,
  async fn() {
    await using b = await TestNode.start({ name: "Bravo", models: [FIXTURES] });
    await using a = await TestNode.start({ name: "Alpha", models: [FIXTURES], peers: [b.mesh] });
    await b.approve({ publicKey: a.publicKey, name: "A" });
    await a.approve({ publicKey: b.publicKey, name: "B" });
    await (await a.chat({ model: MODEL })).body?.cancel();
    await using browser = await OwnerBrowser.start();
    const found: string[] = [];
    for (const scheme of ["light", "dark"] as const) {
      for (const size of [{ width: 1280, height: 860 }, { width: 390, height: 844 }]) {
        const page = await browser.dashboard(a, { scheme, size });
        for (const name of DASHBOARD_PAGES) {
          await visit(page, name);
          await page.locator("main .card, main .chat").first().waitFor();
          for (const one of await seriousFindings(page)) found.push(`${name} ${scheme} ${size.width}: ${one}`);
          const wider = Number(await page.evaluate("document.documentElement.scrollWidth - innerWidth"));
          if (wider > 0) found.push(`${name} ${size.width}: ${wider} pixels wider than the screen`);
        }
        await page.context().close();
      }
    }
    assert.deepEqual(found, []);
    assert.deepEqual(browser.complaints, []);
  },
});

Deno.test({
  name: "A hundred thousand audit entries scroll with few rows in the page, and a thousand nodes are on the map",
  ignore: reason !== null,
  sanitizeOps: false,
  sanitizeResources: false,
  async fn() {
    await using node = await TestNode.start({ name: "Alpha" });
    await using browser = await OwnerBrowser.start();
    const page = await browser.dashboard(node);
    const entry = (seq: number) => ({
      seq,
      at: "2026-11-21T12:00:00.000Z",
      kind: "start",
      direction: "in",
      // As the node writes them: what there is nothing of is left out.
      ...seq % 7 === 0 ? {} : { peer: "abcdefghij" },
      model: `m${seq}`,
    });
    await page.route("**/audit?*", (route) => {
      const query = new URL(route.request().url()).searchParams;
      const [before, count] = [Number(query.get("before") ?? 100_001), Number(query.get("count"))];
      const from = Math.max(1, before - count);
      const entries = Array.from({ length: before - from }, (_, i) => entry(from + i));
      return route.fulfill({ json: { entries, fault: null } });
    });
    const { body: grid } = await node.admin<{ nodes: Record<string, unknown>[] }>("/grid");
    await page.route("**/grid", (route) => {
      const more = Array.from({ length: 1_000 }, (_, i) => ({
        ...grid.nodes[0],
        kind: "peer",
        name: `n${i}`,
        node_id: `id${i}`,
        running: i % 7 === 0 ? 1 : 0,
      }));
      return route.fulfill({ json: { ...grid, nodes: [...grid.nodes, ...more] } });
    });
    await visit(page, "activity");
    const rows = page.getByRole("region", { name: "Entries" });
    await rows.getByText("m100000", { exact: true }).waitFor();
    for (const part of [0.25, 0.5, 0.75]) {
      await rows.evaluate((box: Box, part: number) => void (box.scrollTop = box.scrollHeight * part), part);
      await until(async () => /\bm\d+\b/.test(await rows.locator("tbody tr").nth(5).innerText()));
      assert.ok(await rows.locator("tbody tr").count() < 40);
    }
    await rows.evaluate((box: Box) => void (box.scrollTop = box.scrollHeight));
    await rows.getByText("m1", { exact: true }).waitFor();
    await visit(page, "neighbours");
    await until(async () => await page.locator(".map .node").count() === 1_001);
    assert.deepEqual(browser.complaints, []);
  },
});
