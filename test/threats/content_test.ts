/** A hostile content pack in real Chromium: its pages work, and get nothing of the node that serves them. */
import assert from "node:assert/strict";
import { join } from "node:path";
import { TestNode } from "../mesh/test_node.ts";
import { Chromium, findChromium } from "../support/chromium.ts";
import { withDirectory } from "../support/temporary.ts";
import { PIXEL, zimBytes } from "../support/zim_writer.ts";

const PAGE = `<!doctype html><html><head><title>Page</title><link rel="stylesheet" href="css/style.css">
  <script src="js/own.js"></script></head><body><p id="text">Text</p><img id="dot" src="../img/dot.png">
  <a id="next" href="../Other?x=1">Next</a></body></html>`;

/** The name of the folder of the page has to be kept: pictures are beside it. */
const PACK = zimBytes({
  items: [
    { path: "pages/Main", title: "Main", body: PAGE },
    {
      path: "pages/css/style.css",
      type: "text/css",
      body: "#text { color: rgb(1, 2, 3) } @import 'http://127.0.0.1:1/x'",
    },
    { path: "pages/js/own.js", type: "text/javascript", body: "globalThis.ran = 'own'" },
    { path: "pages/data.json", type: "application/json", body: '{"own":true}' },
    { path: "img/dot.png", type: "image/png", body: PIXEL },
    { path: "Other", title: "Other", body: "<!doctype html><title>Other page</title>" },
    {
      path: "picture.svg",
      type: "image/svg+xml",
      body: "<svg xmlns='http://www.w3.org/2000/svg'><script>globalThis.svg=1</script></svg>",
    },
  ],
  facts: { Title: "<script>alert(1)</script>" },
  main: "pages/Main",
});

const program = Deno.build.os === "linux" ? await findChromium() : null;
const reason = program === null ? "there is no Chromium for Linux (package chromium)" : null;
// deno-lint-ignore no-console
if (reason !== null) console.log(`content_test: skipped, ${reason}`);

Deno.test({
  name:
    "T13: Pages of a content pack work, and read nothing of the node's API, its other packs or its storage, in real Chromium",
  ignore: reason !== null,
  async fn() {
    await withDirectory(async (directory) => {
      await Deno.writeFile(join(directory, "hostile.zim"), PACK);
      await Deno.writeFile(
        join(directory, "private.zim"),
        zimBytes({ items: [{ path: "a", body: "private" }], uuid: 7 }),
      );
      await using node = await TestNode.start({ name: "N", flags: { content: [directory] } });
      const token = (await Deno.readTextFile(`${node.data}/admin.token`)).trim();
      await using chromium = await Chromium.start(program ?? "", {});
      const page = await chromium.open(`${node.api}/content/hostile/`);
      const works = await page.run(`(async () => {
        const dot = document.getElementById("dot");
        await dot.decode();
        return {
          title: document.title,
          picture: dot.naturalWidth,
          color: getComputedStyle(document.getElementById("text")).color,
          script: globalThis.ran,
          fetched: (await (await fetch("data.json")).json()).own,
          origin: self.origin,
          address: location.pathname.replace(/~[0-9a-f]{32}/, "~KEY"),
        };
      })()`);
      assert.deepEqual(works, {
        title: "Page",
        picture: 1,
        color: "rgb(1, 2, 3)",
        script: "own",
        fetched: true,
        origin: "null",
        address: "/content/~KEY/hostile/pages/Main",
      });

      const before = await stateOf(node);
      const tried = await page.run(`(async () => {
        const node = ${JSON.stringify(node.api)}, token = ${JSON.stringify(token)};
        const tried = {};
        const attempt = async (name, work) => {
          const late = new Promise((_, failed) => setTimeout(() => failed(new DOMException("", "TimeoutError")), 2000));
          try { tried[name] = String(await Promise.race([work(), late])); } catch (error) { tried[name] = error.name; }
        };
        const paths = ["/v1/models", "/api/v1/requests", "/api/v1/peers", "/api/tags", "/peers/discovered", "/status", "/metrics",
          "/healthz", "/grid", "/keys", "/audit/export", "/content/", "/content/private/a", "/content/search?q=a"];
        for (const path of paths) {
          await attempt("fetch " + path, async () => (await fetch(node + path)).text());
          await attempt("token " + path, async () =>
            (await fetch(node + path, { headers: { authorization: "Bearer " + token } })).text());
          await attempt("credentials " + path, async () => (await fetch(node + path, { credentials: "include" })).text());
          await attempt("XMLHttpRequest " + path, () => new Promise((done, failed) => {
            const request = new XMLHttpRequest();
            request.open("GET", node + path);
            request.onload = () => done(request.responseText);
            request.onerror = () => failed(new TypeError("refused"));
            request.send();
          }));
          await attempt("image " + path, () => new Promise((done, failed) => {
            const image = new Image();
            image.onload = () => done("loaded");
            image.onerror = () => failed(new TypeError("refused"));
            image.src = node + path;
          }));
          await attempt("script " + path, () => new Promise((done, failed) => {
            const script = document.createElement("script");
            script.onload = () => done("loaded");
            script.onerror = () => failed(new TypeError("refused"));
            script.src = node + path;
            document.head.append(script);
          }));
          await attempt("frame " + path, () => new Promise((done, failed) => {
            const frame = document.createElement("iframe");
            frame.onload = () => {
              try {
                done(frame.contentDocument.body.textContent);
              } catch (error) {
                failed(error);
              }
            };
            frame.src = node + path;
            document.body.append(frame);
          }));
        }
        await attempt("approve", async () => (await fetch(node + "/peers/approve", { method: "POST", mode: "no-cors",
          body: "{}", headers: { "content-type": "text/plain" } })).text());
        await attempt("approve with the token", async () => (await fetch(node + "/peers/approve", { method: "POST", body: "{}",
          headers: { "content-type": "application/json", authorization: "Bearer " + token } })).text());
        await attempt("cookie", () => document.cookie = "a=b");
        await attempt("storage", () => localStorage.setItem("a", "b"));
        await attempt("database", () => indexedDB.open("a"));
        await attempt("service worker", () => navigator.serviceWorker.register("js/own.js"));
        await attempt("worker", () => new Promise((done, failed) => {
          const worker = new Worker(URL.createObjectURL(new Blob(["fetch('" + node + "/v1/models').then((a) => a.text()).then(postMessage)" +
            ".catch(() => postMessage('TypeError'))"])));
          worker.onmessage = ({ data }) => done(data);
          worker.onerror = () => failed(new TypeError("refused"));
        }));
        await attempt("beacon", () => navigator.sendBeacon(node + "/peers/approve", "{}") ? "SecurityError" : "TypeError");
        return tried;
      })()`) as Record<string, string>;
      assert.ok(Object.keys(tried).length > 100);
      const refusals = /^(?:TypeError|SecurityError|InvalidStateError|NotSupportedError)$/;
      const got = Object.entries(tried).filter(([, result]) => !refusals.test(result));
      assert.deepEqual(got, []);
      assert.deepEqual(await stateOf(node), before);

      // A page may lead its own tab elsewhere, as every page may: where it then is, it is not any more.
      const next = await page.run(`document.getElementById("next").click(),
        new Promise((done) => setTimeout(done, 50)).then(() => "")`).catch(() => "");
      assert.equal(next, "");
      await until(async () => await page.run("document.title") === "Other page");
      await page.run(`location.href = ${JSON.stringify(`${node.api}/status`)}; ""`);
      await until(async () =>
        /Web pages of other sites|may not use this/.test(
          String(await page.run("document.body.innerText").catch(() => "")),
        )
      );
      await page.close();

      // Titles are the packs', too: our own pages show them as text.
      const listing = await chromium.open(`${node.api}/content/`);
      assert.equal(await listing.run("document.querySelectorAll('script').length"), 0);
      assert.match(String(await listing.run("document.body.innerText")), /<script>alert\(1\)<\/script>/);
      await listing.run("document.querySelector('li a').click()");
      await until(async () => await listing.run("document.title").catch(() => "") === "Page");
      await listing.close();
      const picture = await chromium.open(`${node.api}/content/hostile/picture.svg`);
      assert.equal(await picture.run("self.origin"), "null", "A picture that is a document is nobody's, too");
      await picture.close();
    });
  },
});

Deno.test("A page of nobody's origin is refused by the API itself, with and without the admin token", async () => {
  await using node = await TestNode.start({ name: "N" });
  const token = (await Deno.readTextFile(`${node.data}/admin.token`)).trim();
  for (const path of ["/v1/models", "/api/v1/requests", "/api/tags", "/status", "/peers/discovered", "/content/"]) {
    for (const headers of [{ origin: "null" }, { origin: "null", authorization: `Bearer ${token}` }]) {
      const { status, headers: { "access-control-allow-origin": allowed } = {} as Record<string, string>, body } =
        await answerOf(node.api + path, headers);
      assert.deepEqual([status, allowed], [403, undefined], path);
      assert.match(body, /may not use/);
    }
  }
});

async function answerOf(url: string, headers: Record<string, string>) {
  const response = await fetch(url, { headers });
  return { status: response.status, headers: Object.fromEntries(response.headers), body: await response.text() };
}

async function stateOf(node: TestNode) {
  return { peers: (await node.admin("/peers/status")).body, keys: (await node.admin("/keys")).body };
}

async function until(holds: () => Promise<boolean>): Promise<void> {
  const deadline = performance.now() + 15_000;
  while (!await holds()) {
    assert.ok(performance.now() < deadline, "It never came to be");
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
}
