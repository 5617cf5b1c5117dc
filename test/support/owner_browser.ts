/** The owner's browser at dashboards of real nodes: Debian's Chromium, driven by Playwright; nothing is downloaded. */
import { createRequire } from "node:module";
import { type Browser, chromium, type Page } from "playwright-core";
import { findChromium } from "./chromium.ts";

/** Where a dashboard is, and whose it is. */
export interface DashboardNode {
  /** Base URL of its API. */
  readonly api: string;
  /** Makes an admin call. */
  admin<T>(path: string, body?: unknown): Promise<{ status: number; body: T }>;
}

/** How a page is shown. */
export interface DashboardView {
  /** Width and height in pixels. @default {{ width: 1280, height: 860 }} */
  size?: { width: number; height: number };
  /** Light or dark. @default {"light"} */
  scheme?: "light" | "dark";
}

/** Pages of the dashboard, by the name in their address. */
export const DASHBOARD_PAGES = ["home", "neighbours", "models", "chat", "activity", "grid", "settings"] as const;

/** Why there is no browser here, or null where there is one. */
export async function noBrowser(): Promise<string | null> {
  if (Deno.build.os !== "linux") return "the browser is started on Linux only";
  return await findChromium() === null ? "there is no Chromium (package chromium)" : null;
}

/** A browser of which each page is a dashboard that its owner has logged in to. */
export class OwnerBrowser implements AsyncDisposable {
  readonly #browser: Browser;
  /** What pages complained of: errors of scripts, and what the policy of the page refused. */
  readonly complaints: string[] = [];

  private constructor(browser: Browser) {
    this.#browser = browser;
  }

  /** Starts it. */
  static async start(): Promise<OwnerBrowser> {
    const { stdout } = await new Deno.Command("which", { args: [await findChromium() ?? ""] }).output();
    const executablePath = new TextDecoder().decode(stdout).trim();
    return new OwnerBrowser(
      await chromium.launch({ executablePath, args: ["--no-sandbox", "--disable-dev-shm-usage"] }),
    );
  }

  /** A page that no owner has logged in to. */
  async stranger({ size = { width: 1280, height: 860 }, scheme = "light" }: DashboardView = {}): Promise<Page> {
    const context = await this.#browser.newContext({ viewport: size, colorScheme: scheme, reducedMotion: "reduce" });
    const page = await context.newPage();
    page.on("pageerror", ({ message }) => this.complaints.push(message));
    page.on("console", (message) => {
      const text = message.text();
      // A call that the node refuses is told to the user, and is no fault of the page.
      if (message.type() === "error" && !/^Failed to load resource/.test(text)) this.complaints.push(text);
    });
    return page;
  }

  /** The dashboard of a node, at its home page. */
  async dashboard(node: DashboardNode, view: DashboardView = {}): Promise<Page> {
    const page = await this.stranger(view);
    const { body } = await node.admin<{ code: string }>("/ui/code", {});
    await page.goto(`${node.api}/ui/#code=${body.code}`);
    await page.getByRole("navigation", { name: "Pages" }).waitFor();
    return page;
  }

  /** Ends it, with its pages. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.#browser.close();
  }
}

/** Goes to another page of the dashboard, as its menu does. */
export async function visit(page: Page, name: typeof DASHBOARD_PAGES[number]): Promise<void> {
  await page.getByRole("navigation", { name: "Pages" }).getByRole("link", { name, exact: false }).last().click();
  await page.getByRole("heading", { level: 1, name: new RegExp(name, "i") }).waitFor();
}

const require = createRequire(import.meta.url);

interface Axe {
  axe: { run(): Promise<{ violations: { id: string; impact: string; nodes: { html: string }[] }[] }> };
}

/** What axe-core finds serious or critical on a page as it is now: the rule, and the first element. */
export async function seriousFindings(page: Page): Promise<string[]> {
  // The page's policy lets no foreign script in; the driver's own world is not bound by it.
  await page.evaluate(await Deno.readTextFile(require.resolve("axe-core/axe.min.js")));
  const { violations } = await page.evaluate(() => (globalThis as unknown as Axe).axe.run());
  const serious = violations.filter(({ impact }) => impact === "serious" || impact === "critical");
  return serious.map(({ id, nodes }) => `${id} ${nodes[0]?.html}`);
}
