/** Hostile pages against the dashboard whose owner is logged in in the same browser: real Chromium, a real node (T12, T13). */
import assert from "node:assert/strict";
import { DatabaseSync } from "node:sqlite";
import { until } from "../inference/local_fixture.ts";
import { auditOf, FIXTURES, TestNode } from "../mesh/test_node.ts";
import { Chromium, findChromium, type Page } from "../support/chromium.ts";
import { Relay } from "../support/relay.ts";
import { DASHBOARD_ATTACKS, DASHBOARD_PRELUDE, STOPPED_BY_BROWSERS } from "./dashboard_attacks.ts";
import { UnprotectedDashboard } from "./unprotected_dashboard.ts";

const program = Deno.build.os === "linux" ? await findChromium() : null;
const reason = program === null ? "there is no Chromium for Linux (package chromium)" : null;
// deno-lint-ignore no-console
if (reason !== null) console.log(`dashboard_attack_test: skipped, ${reason}`);

const TOKEN = "A".repeat(43);
const UI = new URL("../../src/http/dashboard/ui/", import.meta.url);

/** Every path that the dashboard calls, read from its own source, so that a new one is attacked as well. */
async function dashboardCalls(): Promise<string[]> {
  const paths = new Set<string>(["/ui/code"]);
  for await (const { name } of Deno.readDir(UI)) {
    if (!name.endsWith(".js")) continue;
    const text = await Deno.readTextFile(new URL(name, UI));
    for (const [, path = ""] of text.matchAll(/\b(?:call|open)\(\s*["`](\/[^"`]*)["`]/g)) {
      paths.add(path.replace(/\$\{[^}]*\}/g, "x"));
    }
  }
  return [...paths];
}

/** Everything that an attack could change: what the owner sees of it, and the rows of each table of the database. */
async function stateOf(node: TestNode) {
  const files: string[] = [];
  for await (const { name } of Deno.readDir(node.data)) if (!/^audit\.log\./.test(name)) files.push(name);
  const { body: status } = await node.admin<{ models: { loaded: unknown[] } }>("/status");
  using db = new DatabaseSync(`${node.data}/node.db`, { readOnly: true });
  const tables = db.prepare("SELECT name FROM sqlite_master WHERE type = 'table' ORDER BY name").all();
  return {
    audit: auditOf(node).length,
    peers: (await node.admin("/peers/status")).body,
    pending: (await node.admin("/peers/pending")).body,
    keys: (await node.admin("/keys")).body,
    invites: (await node.admin("/invites")).body,
    loaded: status.models.loaded,
    worker: node.workerLog(),
    // The log's own files, and the checkpoints that it signs now and then by itself, are not what a page could cause.
    files: files.sort(),
    rows: tables.map(({ name }) => String(name)).filter((name) => name !== "audit_checkpoints")
      .map((name) => [name, db.prepare(`SELECT count(*) AS n FROM "${name}"`).get()?.n]),
  };
}

/** The owner's own tab, logged in. */
async function ownersTab(chromium: Chromium, node: TestNode): Promise<Page> {
  const { body: { code } } = await node.admin<{ code: string }>("/ui/code", {});
  const owner = await chromium.open(`${node.api}/ui/#code=${code}`);
  await until(async () => await owner.run(`document.querySelector("nav a") !== null`) === true);
  return owner;
}

/** Whether the owner's tab still does what he wants. */
function works(owner: Page): Promise<unknown> {
  return owner.run(`import("/ui/api.js").then(({ call }) => call("/status")).then(({ name }) => name)`);
}

function attacking(script: string, constants: Record<string, unknown>): string {
  const known = Object.entries(constants).map(([name, value]) => `const ${name} = ${JSON.stringify(value)};`);
  return `(async () => { ${known.join("\n")} ${DASHBOARD_PRELUDE} return await (${script}); })()`;
}

Deno.test({
  name: "T13: Pages of other origins get nothing from the dashboard of an owner who is logged in, in real Chromium",
  ignore: reason !== null,
  async fn() {
    const calls = await dashboardCalls();
    assert.ok(calls.length > 25, `${calls.length} calls were found in the dashboard`);
    await using attacker = Deno.serve(
      { hostname: "127.0.0.1", port: 0, onListen: () => {} },
      () =>
        new Response("<!doctype html><title>Win a prize</title><body>", { headers: { "content-type": "text/html" } }),
    );
    const { port } = attacker.addr;
    await using node = await TestNode.start({ name: "Owned", models: [FIXTURES] });
    await node.admin("/keys", { name: "phone" });
    await using bare = new UnprotectedDashboard();
    await using chromium = await Chromium.start(program ?? "", {
      "evil.test": "127.0.0.1",
      "node.evil.test": "127.0.0.1",
    });
    const owner = await ownersTab(chromium, node);
    const before = await stateOf(node);

    // Another site, one under its name, and other programs of this machine: those are of the same site as the dashboard, for a
    // browser that looks at names and not at ports.
    for (const site of ["evil.test", "node.evil.test", "127.0.0.1", "localhost"]) {
      const evil = await chromium.open(`http://${site}:${port}/`);
      // Cookies are for all ports of a name: whatever is thrown at the node must neither count nor keep the owner out.
      await evil.run(
        `for (const name of ["ark.session", "session", "token"]) document.cookie = name + "=${TOKEN}; path=/ui/"`,
      );
      const constants = { node: node.api, calls, token: TOKEN, patience: 1_500 };
      await Promise.all(DASHBOARD_ATTACKS.map(async ({ name, script }) => {
        assert.equal(await evil.run(attacking(script, constants)), null, `A page of ${site} ${name}`);
      }));
      await evil.close();
    }
    assert.deepEqual(await stateOf(node), before);
    assert.equal(await works(owner), "Owned");

    // Each of them, at a dashboard that lets them: they see what they get.
    const evil = await chromium.open(`http://evil.test:${port}/`);
    for (const { name, script } of DASHBOARD_ATTACKS) {
      if (STOPPED_BY_BROWSERS.has(name)) continue;
      const count = bare.done.length;
      const loot = await evil.run(attacking(script, { node: bare.origin, calls, token: TOKEN, patience: 20_000 }));
      assert.ok(loot !== null || bare.done.length > count, `A page that ${name} would not be noticed`);
    }
  },
});

Deno.test({
  name: "T12: A name that is resolved anew to a dashboard gets nothing from it, though its owner is logged in",
  ignore: reason !== null,
  async fn() {
    const calls = await dashboardCalls();
    await using node = await TestNode.start({ name: "Owned", models: [FIXTURES] });
    const { port } = node.daemon.api;
    await using evil = new Relay({
      listen: { hostname: "127.0.0.2", port },
      to: { hostname: "127.0.0.1", port },
      page: "<!doctype html><title>Evil</title><body>",
    });
    await using chromium = await Chromium.start(program ?? "", { "evil.test": "127.0.0.2" });
    const owner = await ownersTab(chromium, node);
    const before = await stateOf(node);
    const page = await chromium.open(`http://evil.test:${port}/`);
    evil.flip();
    const files = ["/ui", "/ui/", "/ui/api.js", "/ui/app.js", "/ui/mark.svg", "/ui/style.css"];
    const asked = await page.run(`(async () => {
      const asked = [];
      const ask = async (path, init) => {
        const answer = await fetch(path, init);
        asked.push([path, answer.status, await answer.text()]);
      };
      const headers = { "content-type": "application/json", authorization: "Bearer ${TOKEN}" };
      for (const path of ${JSON.stringify([...calls, ...files])}) {
        await ask(path);
        await ask(path, { method: "POST", headers, body: '{"code":"${TOKEN}","name":"evil"}' });
      }
      return asked;
    })()`) as [string, number, string][];
    assert.equal(asked.length, 2 * (calls.length + files.length));
    for (const [path, status, text] of asked) {
      assert.equal(status, 403, path);
      assert.match(text, /loopback names only/, path);
    }
    assert.equal(await page.run("sessionStorage.length + localStorage.length"), 0);
    assert.ok(evil.seen.length >= asked.length, "Every request arrived at the node");
    assert.deepEqual(await stateOf(node), before);
    assert.equal(await works(owner), "Owned");
  },
});
