/** What the dashboard's page may do at most, and what hostile names in it come to: real Chromium, real nodes (T13). */
import assert from "node:assert/strict";
import type { Page } from "playwright-core";
import { FIXTURES, MODEL, TestNode } from "../mesh/test_node.ts";
import { DASHBOARD_PAGES, noBrowser, OwnerBrowser, visit } from "../support/owner_browser.ts";

const reason = await noBrowser();
// deno-lint-ignore no-console
if (reason !== null) console.log(`dashboard_policy_test: skipped, ${reason}`);

/** The directives of a policy; one that is there twice, which browsers ignore, is a fault. */
function directivesOf(policy: string): Map<string, string[]> {
  const directives = new Map<string, string[]>();
  for (const directive of policy.split(";")) {
    const [name = "", ...sources] = directive.trim().split(/\s+/);
    assert.ok(!directives.has(name), `${name} is there twice`);
    directives.set(name, sources);
  }
  return directives;
}

Deno.test("T13: The policy of the dashboard lets nothing in but its own files, by a closed list of directives", async () => {
  await using node = await TestNode.start({ name: "N" });
  const page = await (await fetch(`${node.api}/ui/`)).text();
  const files = [...page.matchAll(/(?:src|href)="(\/ui\/[^"]+)"/g)].map(([, path = ""]) => path);
  assert.ok(files.length > 3);
  for (const path of ["/ui/", ...files]) {
    const response = await fetch(node.api + path);
    await response.body?.cancel();
    const directives = directivesOf(response.headers.get("content-security-policy") ?? "");
    const [script = [], ...more] = [directives.get("script-src")];
    assert.deepEqual(more, []);
    assert.equal(script[0], "'self'");
    assert.match(script[1] ?? "", /^'sha256-[A-Za-z0-9+/]{43}='$/);
    assert.equal(script.length, 2);
    directives.delete("script-src");
    // What is not named here falls back to default-src: objects, frames, workers, fonts, media, manifests.
    assert.deepEqual(Object.fromEntries(directives), {
      "default-src": ["'none'"],
      "style-src": ["'self'"],
      "img-src": ["'self'", "data:"],
      "connect-src": ["'self'"],
      "base-uri": ["'none'"],
      "form-action": ["'none'"],
      "frame-ancestors": ["'none'"],
      "require-trusted-types-for": ["'script'"],
      "trusted-types": ["'none'"],
    }, path);
    assert.equal(response.headers.get("x-frame-options"), "DENY");
    assert.equal(response.headers.get("cross-origin-opener-policy"), "same-origin");
    assert.equal(response.headers.get("cross-origin-resource-policy"), "same-origin");
    assert.equal(response.headers.get("referrer-policy"), "no-referrer");
    assert.equal(response.headers.get("set-cookie"), null);
  }
});

/** What code that got into the page would try; each says whether it came through. */
const ESCAPES: Record<string, string> = {
  "markup as a text": `(() => { document.createElement("div").innerHTML = "<b>x</b>"; return true; })()`,
  "a script in the page": `(() => { const one = document.createElement("script"); one.append("globalThis.ran = true");
    document.body.append(one); return globalThis.ran === true; })()`,
  "a script from elsewhere": `load(Object.assign(document.createElement("script"), { src: elsewhere + "/a.js" }))`,
  "a picture from elsewhere": `load(Object.assign(document.createElement("img"), { src: elsewhere + "/a.svg" }))`,
  "a style from elsewhere": `load(Object.assign(document.createElement("link"),
    { rel: "stylesheet", href: elsewhere + "/a.css" }))`,
  "a style in the page": `(() => { const one = document.createElement("style"); one.append("body { --x: 1 }");
    document.head.append(one); return getComputedStyle(document.body).getPropertyValue("--x") !== ""; })()`,
  "a frame": `load(Object.assign(document.createElement("iframe"), { src: elsewhere + "/frame" }))
    .then(() => told.includes("frame"))`,
  "a call to elsewhere": `fetch(elsewhere + "/call").then(() => true)`,
  "a beacon to elsewhere":
    `(navigator.sendBeacon(elsewhere + "/beacon", "x"), soon(300)).then(() => arrived("beacon"))`,
  "a WebSocket to elsewhere":
    `new Promise((done) => { const one = new WebSocket(elsewhere.replace("http", "ws") + "/socket");
    one.onopen = () => done(true); one.onerror = () => done(false); })`,
  "events from elsewhere": `new Promise((done) => { const one = new EventSource(elsewhere + "/events");
    one.onopen = () => done(true); one.onerror = () => (one.close(), done(false)); })`,
  "a worker": `new Promise((done) => { const one = new Worker(URL.createObjectURL(new Blob(["postMessage(1)"])));
    one.onmessage = () => done(true); one.onerror = () => done(false); })`,
  "another base": `(() => { document.head.prepend(Object.assign(document.createElement("base"), { href: elsewhere }));
    return document.baseURI.startsWith(elsewhere); })()`,
};

function trying(script: string, elsewhere: string): string {
  return `(async () => {
    const elsewhere = ${JSON.stringify(elsewhere)};
    const soon = (ms) => new Promise((done) => setTimeout(done, ms));
    const told = [];
    addEventListener("message", ({ data }) => told.push(data));
    const arrived = (what) => fetch(elsewhere + "/arrived?" + what).then((answer) => answer.json());
    const load = (element) => new Promise((done) => { element.onload = () => done(true); element.onerror = () => done(false);
      setTimeout(done, 3000, false); document.body.append(element); });
    try { return await (${script}); } catch { return false; }
  })()`;
}

Deno.test({
  name: "T13: Code that got into the dashboard could neither load, send nor write markup, in real Chromium",
  ignore: reason !== null,
  sanitizeOps: false,
  sanitizeResources: false,
  async fn() {
    const asked: string[] = [];
    await using elsewhere = Deno.serve({ hostname: "127.0.0.1", port: 0, onListen: () => {} }, (request) => {
      const { pathname, search } = new URL(request.url);
      if (pathname === "/page") {
        return new Response("<!doctype html><body>", { headers: { "content-type": "text/html" } });
      }
      const headers = { "access-control-allow-origin": "*", "content-type": typeOf(pathname) };
      if (pathname === "/arrived") return Response.json(asked.includes(`/${search.slice(1)}`), { headers });
      asked.push(pathname);
      if (request.headers.get("upgrade") === "websocket") return Deno.upgradeWebSocket(request).response;
      return new Response(BODIES[pathname] ?? "", { headers });
    });
    const origin = `http://127.0.0.1:${elsewhere.addr.port}`;
    await using node = await TestNode.start({ name: "N" });
    await using browser = await OwnerBrowser.start();
    const page = await browser.dashboard(node);
    for (const [what, script] of Object.entries(ESCAPES)) {
      assert.ok(await page.evaluate(trying(script, origin)) === false, what);
    }
    assert.deepEqual(asked, []);
    // The same in a page without a policy.
    const bare = await browser.stranger();
    await bare.goto(`${origin}/page`);
    for (const [what, script] of Object.entries(ESCAPES)) {
      assert.ok(await bare.evaluate(trying(script, origin)) === true, `${what} would not be noticed`);
    }
  },
});

function typeOf(path: string): string {
  const types: Record<string, string> = {
    "/a.js": "text/javascript",
    "/a.svg": "image/svg+xml",
    "/a.css": "text/css",
    "/frame": "text/html",
    "/events": "text/event-stream",
  };
  return types[path] ?? "text/plain";
}

const BODIES: Record<string, string> = {
  "/a.svg": `<svg xmlns="http://www.w3.org/2000/svg" width="1" height="1"/>`,
  "/frame": `<!doctype html><script>parent.postMessage("frame", "*")</script>`,
  "/events": ": hello\n\n",
};

const CANARY =
  `"><img class=canary src=/canary onerror="globalThis.canary=1"><script>globalThis.canary=1</script>{{7*7}}javascript:canary`;

/** Fields whose values the dashboard compares with what it knows: they are of closed sets that the node itself writes. */
const OWN_WORDS = new Set([
  "type",
  "kind",
  "state",
  "outcome",
  "at",
  "status",
  "code",
  "from",
  "mode",
  "direction",
  "object",
]);

/** A value with every text in it replaced by a canary. */
function poisoned(value: unknown, key = ""): unknown {
  if (typeof value === "string") return OWN_WORDS.has(key) ? value : `${value}${CANARY}`;
  if (Array.isArray(value)) return value.map((one) => poisoned(one, key));
  if (typeof value !== "object" || value === null) return value;
  return Object.fromEntries(Object.entries(value).map(([name, one]) => [name, poisoned(one, name)]));
}

/** What of a canary came to life in a page. */
function alive(page: Page): Promise<unknown> {
  return page.evaluate(`globalThis.canary === 1 || document.querySelector(".canary") !== null ||
    [...document.querySelectorAll("[href]")].some(({ href }) => /^(?:javascript|data):/i.test(href))`);
}

Deno.test({
  name:
    "T13: Markup in every text that the dashboard shows stays text, and it asks nobody but its node, in real Chromium",
  ignore: reason !== null,
  sanitizeOps: false,
  sanitizeResources: false,
  async fn() {
    // A real peer that calls itself so, as far as names may be: the rest is what a node would say if it checked nothing.
    await using b = await TestNode.start({ name: "<b>B</b>", models: [FIXTURES] });
    await using c = await TestNode.start({ name: "<i>C</i>", models: [FIXTURES] });
    await using a = await TestNode.start({ name: "A", models: [FIXTURES], peers: [b.mesh, c.mesh] });
    await b.approve({ publicKey: a.publicKey, name: "A" });
    await a.approve({ publicKey: b.publicKey, name: "<u>B</u>" });
    await a.reaches(MODEL);
    await (await a.chat({ model: MODEL, max_tokens: 4 })).text();
    await a.chat({ model: "<s>none</s>" }).then((response) => response.body?.cancel());
    await using browser = await OwnerBrowser.start();
    for (const hostile of [false, true]) {
      const page = await browser.dashboard(a);
      const asked: string[] = [];
      page.context().on("request", (request) => asked.push(request.url()));
      let changed = 0;
      if (hostile) {
        const answers = (url: URL) => !url.pathname.startsWith("/ui/") && !url.pathname.endsWith("/events");
        await page.route(answers, async (route) => {
          const response = await route.fetch();
          if (!(response.headers()["content-type"] ?? "").includes("json")) return await route.fulfill({ response });
          changed++;
          await route.fulfill({ response, json: poisoned(await response.json()) });
        });
      }
      for (const name of DASHBOARD_PAGES) {
        await visit(page, name);
        await page.locator("main .card, main .chat").first().waitFor();
        if (hostile && name !== "chat" && name !== "settings") {
          await page.getByText("javascript:canary").first().waitFor();
        }
        assert.ok(await alive(page) === false, `${name} has markup of somebody else`);
      }
      assert.ok(!hostile || changed > 7, "Answers were changed");
      assert.deepEqual(asked.filter((url) => !url.startsWith(`${a.api}/`)), [], "It asked somebody else");
      assert.ok(asked.length > 7);
      assert.ok(!asked.some((url) => url.endsWith("/canary")));
      // Answers that are under way when the page goes are nobody's fault.
      await page.unrouteAll({ behavior: "ignoreErrors" });
      await page.context().close();
    }
    assert.deepEqual(browser.complaints.filter((text) => !/WebSocket|history/.test(text)), []);
  },
});
