/** Real Chromium against a real node: DNS rebinding (T12) and pages of other sites (T13). */
import assert from "node:assert/strict";
import { formatPublicKey, generateIdentity } from "@ark/node/identity";
import { auditOf, FIXTURES, MODEL, TestNode } from "../mesh/test_node.ts";
import { Chromium, findChromium, type Page } from "../support/chromium.ts";
import { Relay } from "../support/relay.ts";
import { BROWSER_ATTACKS, PRELUDE } from "./browser_attacks.ts";

const QUESTION = JSON.stringify({ model: MODEL, messages: [{ role: "user", content: "hi" }], max_tokens: 2 });

function approvalOf(): string {
  return JSON.stringify({
    public_key: formatPublicKey(generateIdentity().publicKey),
    permissions: { models_shared: ["*"] },
  });
}

/** Everything that an attack could change. */
async function stateOf(node: TestNode) {
  const { body } = await node.admin<{ models: { loaded: unknown[] } }>("/status");
  return {
    audit: auditOf(node).length,
    peers: (await node.admin("/peers/status")).body,
    keys: (await node.admin("/keys")).body,
    settings: (await node.admin("/settings")).body,
    loaded: body.models.loaded,
    worker: node.workerLog(),
    answered: node.log.filter((line) => /Answered an API request.* status=2/.test(line)).length,
  };
}

/** The attacker's web server: an empty page, and redirects to the node that keep the method. */
function attackerServer(): Deno.HttpServer<Deno.NetAddr> {
  return Deno.serve({ hostname: "127.0.0.1", port: 0, onListen: () => {} }, ({ url }) => {
    const [, port, path] = /^\/(\d+)\/307(\/.*)$/.exec(new URL(url).pathname) ?? [];
    if (port !== undefined) {
      return new Response(null, { status: 307, headers: { location: `http://127.0.0.1:${port}${path}` } });
    }
    return new Response("<!doctype html><title>Win a prize</title><body>", {
      headers: { "content-type": "text/html" },
    });
  });
}

const program = Deno.build.os === "linux" ? await findChromium() : null;
const reason = program === null ? "there is no Chromium for Linux (package chromium)" : null;
// deno-lint-ignore no-console
if (reason !== null) console.log(`browser_test: skipped, ${reason}`);

Deno.test({
  name: "T12: A page whose name is resolved anew to this machine gets nothing from a node, in real Chromium",
  ignore: reason !== null,
  async fn() {
    await using node = await TestNode.start({ name: "N", models: [FIXTURES] });
    const { port } = node.daemon.api;
    // The name leads to 127.0.0.2 at first, and after the flip to the node: same name, same port, another address.
    await using evil = new Relay({
      listen: { hostname: "127.0.0.2", port },
      to: { hostname: "127.0.0.1", port },
      page: "<!doctype html><title>Evil</title>",
    });
    await using chromium = await Chromium.start(program ?? "", { "evil.test": "127.0.0.2" });
    const before = await stateOf(node);
    const page = await chromium.open(`http://evil.test:${port}/`);
    evil.flip();
    const statuses = await page.run(`(async () => {
      const statuses = [];
      const ask = async (path, init) => {
        const answer = await fetch(path, init);
        statuses.push([path, answer.status, await answer.text()]);
      };
      for (const path of ["/", "/healthz", "/metrics", "/status", "/keys", "/doctor", "/peers/discovered", "/v1/models",
        "/arknet/v1/models", "/audit/export", "/v1/models?x=localhost"]) await ask(path);
      const json = { "content-type": "application/json", "authorization": "Bearer ${"A".repeat(43)}" };
      await ask("/v1/chat/completions", { method: "POST", headers: json, body: ${JSON.stringify(QUESTION)} });
      await ask("/v1/completions", { method: "POST", headers: json, body: "{}" });
      await ask("/peers/approve", { method: "POST", headers: json, body: ${JSON.stringify(approvalOf())} });
      await ask("/keys", { method: "POST", headers: json, body: '{"name":"evil"}' });
      await ask("/settings", { method: "POST", headers: json, body: '{"name":"show-hardware","value":true}' });
      await ask("/keys/revoke", { method: "POST", headers: json, body: '{"key":"evil"}' });
      return statuses;
    })()`) as [string, number, string][];
    assert.equal(statuses.length, 17);
    const arrived = evil.seen.filter((line) => !line.includes("/favicon.ico"));
    assert.equal(arrived.length, statuses.length, "Every request arrived");
    for (const [path, status, text] of statuses) {
      assert.equal(status, 403, path);
      assert.match(text, /loopback names only/, path);
    }
    assert.deepEqual(await stateOf(node), before);
    await page.close();
  },
});

Deno.test({
  name: "T13: Pages of other sites change nothing in a node, in real Chromium",
  ignore: reason !== null,
  async fn() {
    assert.ok(BROWSER_ATTACKS.length >= 25);
    // The second site is one that the owner named; that its page gets an answer shows that the others could have.
    await using attacker = attackerServer();
    const { port } = attacker.addr;
    const good = `http://good.test:${port}`;
    await using node = await TestNode.start({ name: "N", models: [FIXTURES], flags: { "allow-origin": [good] } });
    await node.admin("/keys", { name: "phone" });
    const before = await stateOf(node);
    await using chromium = await Chromium.start(program ?? "", { "evil.test": "127.0.0.1", "good.test": "127.0.0.1" });

    const file = await Deno.makeTempFile({ suffix: ".html" });
    const [fromFile, named] = [await chromium.open(`file://${file}`), await chromium.open(`${good}/`)];
    await Deno.remove(file);
    // The last one is in front; in those behind it a video does not load.
    const evil = await chromium.open(`http://evil.test:${port}/`);

    /** Makes one attack on a way of its own, which tells whether it reached the node, and waits until it did. */
    const attack = async (page: Page, script: string, name: string) => {
      await using relay = new Relay({
        listen: { hostname: "127.0.0.1", port: 0 },
        to: { hostname: "127.0.0.1", port: node.daemon.api.port },
      });
      const host = `127.0.0.1:${relay.port}`;
      const own = `http://evil.test:${port}/${relay.port}`;
      const known = { node: `http://${host}`, host, own, approval: approvalOf(), question: QUESTION };
      const constants = Object.entries(known).map(([name, value]) => `const ${name} = ${JSON.stringify(value)};`);
      const value = await page.run(`(async () => { ${constants.join("\n")} ${PRELUDE} return await (${script}); })()`);
      const deadline = performance.now() + 10_000;
      while (relay.seen.length === 0) {
        assert.ok(performance.now() < deadline, `${name} never reached the node`);
        await new Promise((resolve) => setTimeout(resolve, 20));
      }
      return value;
    };
    await Promise.all([
      ...BROWSER_ATTACKS.map(({ script, name }) => attack(evil, script, name)),
      // The same from a file that was downloaded, whose origin is null, and from a page that may use the API and no more.
      ...BROWSER_ATTACKS.slice(0, 6).map(({ script, name }) => attack(fromFile, script, name)),
      ...BROWSER_ATTACKS.slice(0, 4).map(({ script, name }) => attack(named, script, name)),
    ]);
    assert.deepEqual(await stateOf(node), before);

    const value = await attack(
      named,
      `fetch(node + "/v1/chat/completions", { method: "POST", body: question,
        headers: { "content-type": "application/json", "x-stainless-os": "Linux" } })
        .then(async (answer) => [answer.status, answer.headers.get("x-ark-node"), (await answer.json()).usage])`,
      "The named page",
    );
    const usage = {
      prompt_tokens: 1,
      completion_tokens: 2,
      total_tokens: 3,
      prompt_tokens_details: { cached_tokens: 0 },
    };
    assert.deepEqual(value, [200, "N", usage]);
    assert.notDeepEqual(await stateOf(node), before);
  },
});
