/**
 * `deno task screens [DIR]`: pictures of every page of the dashboard, light, dark and as on a phone, for somebody to look at;
 * and what the page weighs, and how soon it is painted.
 */
// deno-lint-ignore-file no-console
import type { Page } from "playwright-core";
import { FIXTURES, MODEL, TestNode } from "../mesh/test_node.ts";
import { DASHBOARD_PAGES, noBrowser, OwnerBrowser, visit } from "../support/owner_browser.ts";

const directory = Deno.args[0] ?? "coverage/screens";
const VIEWS = [
  { name: "light", size: { width: 1280, height: 860 }, scheme: "light" },
  { name: "dark", size: { width: 1280, height: 860 }, scheme: "dark" },
  { name: "phone", size: { width: 390, height: 844 }, scheme: "light" },
] as const;

const reason = await noBrowser();
if (reason !== null) {
  console.error(`No pictures: ${reason}`);
  Deno.exit(1);
}
await Deno.mkdir(directory, { recursive: true });
await using b = await TestNode.start({ name: "gaming-pc", models: [FIXTURES] });
await using c = await TestNode.start({ name: "nas", models: [FIXTURES] });
await using stranger = await TestNode.start({ name: "stranger" });
await using a = await TestNode.start({
  name: "living-room",
  models: [FIXTURES],
  peers: [b.mesh, c.mesh, stranger.mesh],
});
for (const peer of [b, c]) {
  await peer.approve({ publicKey: a.publicKey, name: "living-room" });
  await a.approve({ publicKey: peer.publicKey, name: peer === b ? "gaming-pc" : "nas" });
}
await a.reaches(MODEL);
for (let i = 0; i < 6; i++) await (await a.chat({ model: MODEL, max_tokens: 40 })).text();
const endless = new AbortController();
const running = a.chat({ model: MODEL, stream: true, messages: [{ role: "user", content: "#slow=50" }] }, {
  signal: endless.signal,
}).then((response) => response.text()).catch(() => {});
await using browser = await OwnerBrowser.start();
for (const { name, ...view } of VIEWS) {
  const page = await browser.dashboard(a, view);
  for (const one of DASHBOARD_PAGES) {
    await visit(page, one);
    if (one === "chat") await askSomething(page);
    // What is drawn after the first answers, such as the curves.
    await page.waitForLoadState("networkidle", { timeout: 1_500 }).catch(() => {});
    await page.screenshot({ path: `${directory}/${one}-${name}.png`, fullPage: name !== "phone" });
  }
  await page.context().close();
}
endless.abort();
await running;

const paints: number[] = [];
let bytes = 0;
for (let round = 0; round < 9; round++) {
  const page = await browser.stranger();
  let sum = 0;
  page.on("requestfinished", async (request) => void (sum += (await request.sizes()).responseBodySize));
  await page.goto(`${a.api}/ui/`);
  await page.getByRole("heading", { level: 1 }).waitFor();
  paints.push(Number(await page.evaluate("performance.getEntriesByName('first-contentful-paint')[0].startTime")));
  bytes = Math.max(bytes, sum);
  await page.context().close();
}
paints.sort((x, y) => x - y);
console.log(`Pictures in ${directory}`);
console.log(
  `First paint on the loopback: median ${paints[4]?.toFixed(0)} ms, worst ${paints.at(-1)?.toFixed(0)} ms (goal 300)`,
);
console.log(`Sent for it: ${(bytes / 1024).toFixed(1)} KiB (goal 150 for everything)`);
if (browser.complaints.length > 0) {
  console.error(`Pages complained: ${browser.complaints.join("; ")}`);
  Deno.exit(1);
}

async function askSomething(page: Page): Promise<void> {
  await page.getByLabel("Your question").fill("one two three four");
  await page.getByRole("button", { name: "Ask" }).click();
  await page.getByText(/answered by/).last().waitFor();
}
