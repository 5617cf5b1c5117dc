/**
 * What the owner's browser has to do for the dashboard of a node in another process: how soon a page is painted; how smoothly
 * the real log of 100,000 entries scrolls, against a plain list of as many lines in the same browser, in turn; and what a
 * map of 1,000 nodes takes. A frame is missed where a page draws nothing for more than one and a half of its turns.
 */
import type { CDPSession, Page } from "playwright-core";
import { AuditLog } from "@ark/node/audit";
import { loadIdentity } from "@ark/node/identity";
import { openStore } from "@ark/node/store";
import { NodeProcess } from "../support/node_process.ts";
import { type DashboardNode, noBrowser, OwnerBrowser, visit } from "../support/owner_browser.ts";
import { heading, result, Samples } from "./samples.ts";

const ENTRIES = 100_000;
const NODES = 1_000;
const ROUNDS = 5;
const PAINTS = 15;
/** One turn of a screen with 60 pictures a second, in milliseconds. */
const TURN_MS = 1_000 / 60;
const LINE = 28;

/** Measures and prints. */
export async function dashboardBench(): Promise<void> {
  heading(`The dashboard in Chromium, a log of ${ENTRIES} entries, ${ROUNDS} rounds in turn`);
  const reason = await noBrowser();
  if (reason !== null) return result("The dashboard", `left out, ${reason}`);
  const data = await Deno.makeTempDir({ prefix: "ark-bench-" });
  try {
    await writeLog(data);
    await using node = await NodeProcess.start({ name: "bench", data, args: ["--no-mdns", "--wireguard", "off"] });
    await using browser = await OwnerBrowser.start();
    const owner = ownerOf(node);
    await measurePaints(browser, owner);
    await measureScrolling(browser, owner);
    await measureMap(browser, owner);
  } finally {
    await Deno.remove(data, { recursive: true });
  }
}

async function writeLog(data: string): Promise<void> {
  await Deno.chmod(data, 0o700);
  const identity = await loadIdentity(`${data}/node.key`);
  await using store = await openStore(`${data}/node.db`);
  await using audit = await AuditLog.open({ store, mirror: `${data}/audit.log`, identity });
  for (let done = 0; done < ENTRIES; done += 1_000) {
    await Promise.all(Array.from({ length: 1_000 }, (_, index) =>
      audit.append({
        kind: "end",
        direction: "in",
        peer: identity.id,
        model: `llama3.1:${done + index}`,
        prompt_tokens: 512,
        completion_tokens: 128,
        ms: 1234.5,
        outcome: "ok",
      })));
  }
}

function ownerOf(node: NodeProcess): DashboardNode {
  return {
    api: node.ready.api,
    async admin<T>(path: string, body?: unknown) {
      const response = await fetch(`${node.ready.api}${path}`, {
        ...(body === undefined ? {} : { method: "POST", body: JSON.stringify(body) }),
        headers: {
          authorization: `Bearer ${(await Deno.readTextFile(`${node.ready.data}/admin.token`)).trim()}`,
          "content-type": "application/json",
        },
      });
      return { status: response.status, body: await response.json() as T };
    },
  };
}

async function measurePaints(browser: OwnerBrowser, node: DashboardNode): Promise<void> {
  const paints = new Samples();
  for (let round = 0; round < PAINTS; round++) {
    const page = await browser.dashboard(node);
    paints.add(Number(await page.evaluate("performance.getEntriesByName('first-contentful-paint')[0].startTime")));
    await page.context().close();
  }
  result(
    "first paint, nothing cached",
    `median ${paints.median.toFixed(0)} ms   worst ${paints.at(1).toFixed(0)} ms`,
    "300 ms",
  );
}

async function measureScrolling(browser: OwnerBrowser, node: DashboardNode): Promise<void> {
  const page = await browser.dashboard(node);
  await visit(page, "activity");
  await page.getByText(`llama3.1:${ENTRIES - 1}`, { exact: true }).waitFor();
  const plain = await browser.stranger();
  await plain.setContent(
    `<div class="rows" style="height: 450px; overflow: auto">${
      `<div style="height: ${LINE}px">an entry of a list that has nothing else to do</div>`.repeat(20_000)
    }</div>`,
  );
  const [own, other] = [new Frames(), new Frames()];
  for (let round = 0; round < ROUNDS; round++) {
    for (const [which, frames] of [[page, own], [plain, other]] as const) {
      await which.bringToFront();
      await which.evaluate("document.querySelector('.rows').scrollTop = 0");
      frames.add(await framesOf(which, (devtools) => scroll(which, devtools)));
    }
  }
  result("scrolling a plain list", other.words);
  result("scrolling the log", own.words);
  result("frames missed above the plain list's", percent(own.missed - other.missed), "5 %");
  await page.context().close();
  await plain.context().close();
}

async function measureMap(browser: OwnerBrowser, node: DashboardNode): Promise<void> {
  const page = await browser.dashboard(node);
  const { body: grid } = await node.admin<{ nodes: Record<string, unknown>[] }>("/grid");
  // A thousand neighbours are told of by the answer alone: what is measured is the page.
  await page.route("**/grid", (route) => {
    const more = Array.from({ length: NODES }, (_, i) => ({
      ...grid.nodes[0],
      kind: "peer",
      name: `n${i}`,
      node_id: `id${i}`,
      running: Math.random() < 0.2 ? 1 : 0,
    }));
    return route.fulfill({ json: { ...grid, nodes: [...grid.nodes, ...more] } });
  });
  const [began, drawn] = [performance.now(), page.locator(".map .node").nth(NODES)];
  await visit(page, "neighbours");
  await drawn.waitFor();
  result(`a map of ${NODES} nodes is there`, `after ${(performance.now() - began).toFixed(0)} ms`);
  const frames = new Frames();
  frames.add(await framesOf(page, () => new Promise((resolve) => setTimeout(resolve, 5_000))));
  result("a map that is live for 5 s", frames.words, "5 % missed");
  await page.context().close();
}

/** A wheel that turns for some seconds, as fast as people do. */
async function scroll(page: Page, devtools: CDPSession): Promise<void> {
  const box = await page.locator(".rows").boundingBox();
  if (box === null) throw new Error("There is nothing to scroll");
  await devtools.send("Input.synthesizeScrollGesture", {
    x: Math.round(box.x + box.width / 2),
    y: Math.round(box.y + 200),
    yDistance: -12_000,
    speed: 4_000,
    gestureSourceType: "mouse",
  });
}

/** Times between two frames while something goes on, in milliseconds. */
async function framesOf(page: Page, during: (devtools: CDPSession) => Promise<unknown>): Promise<number[]> {
  const devtools = await page.context().newCDPSession(page);
  await page.evaluate(`{
    const times = globalThis.frameTimes = [];
    const turn = (time) => { times.push(time); if (globalThis.frameTimes === times) requestAnimationFrame(turn); };
    requestAnimationFrame(turn);
  }`);
  await during(devtools);
  const times = await page.evaluate<number[]>("{ const all = frameTimes; frameTimes = null; all }");
  await devtools.detach();
  return times.slice(1).map((time, index) => time - (times[index] ?? time));
}

/** Times between frames of several rounds. */
class Frames {
  readonly #times: number[] = [];

  add(times: readonly number[]): void {
    this.#times.push(...times);
  }

  /** Share of the frames that should have been drawn and were not. */
  get missed(): number {
    const missed = this.#times.filter((time) => time > 1.5 * TURN_MS).map((time) => Math.round(time / TURN_MS) - 1);
    const lost = missed.reduce((sum, each) => sum + each, 0);
    return lost / (lost + this.#times.length);
  }

  get words(): string {
    const longest = Math.max(...this.#times).toFixed(0);
    return `${percent(this.missed)} of the frames missed, ${this.#times.length} drawn, the longest ${longest} ms`;
  }
}

function percent(share: number): string {
  return `${(100 * share).toFixed(1)} %`;
}
