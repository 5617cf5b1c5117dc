import assert from "node:assert/strict";
import { OwnSettings } from "@ark/node/config";

async function inRoot(test: (root: string) => Promise<void>): Promise<void> {
  const root = await Deno.makeTempDir({ prefix: "ark-settings-" });
  try {
    await test(root);
  } finally {
    await Deno.remove(root, { recursive: true });
  }
}

Deno.test("OwnSettings tells every setting with who gave it, and writes changes into the file of the data directory", () =>
  inRoot(async (root) => {
    const settings = await OwnSettings.begin({
      flags: { data: root, slots: "2" },
      env: (name) => name === "ARK_MAX_QUEUED" ? "9" : undefined,
    });
    const one = async (wanted: string) => (await settings.list()).settings.find(({ name }) => name === wanted);
    assert.equal((await settings.list()).file, `${root}/ark.toml`);
    assert.deepEqual([(await one("slots"))?.from, (await one("slots"))?.changes], ["flag", false]);
    assert.deepEqual([(await one("max-queued"))?.value, (await one("max-queued"))?.from], ["9", "environment"]);
    assert.deepEqual([(await one("hedge"))?.value, (await one("hedge"))?.from], [null, "default"]);

    await settings.change("hedge", "off");
    await settings.change("share-hours", ["22-7"]);
    assert.equal(await Deno.readTextFile(`${root}/ark.toml`), `hedge = "off"\nshare-hours = [ "22-7" ]\n`);
    // What counts at once waits for nothing.
    assert.deepEqual([(await one("hedge"))?.from, (await one("hedge"))?.waits], ["file", true]);
    assert.deepEqual([(await one("share-hours"))?.value, (await one("share-hours"))?.waits], [["22-7"], false]);
    await settings.change("hedge", null);
    assert.deepEqual([(await one("hedge"))?.from, (await one("hedge"))?.waits], ["default", false]);
    if (Deno.build.os !== "windows") assert.equal(((await Deno.stat(`${root}/ark.toml`)).mode ?? 0) & 0o777, 0o600);
  }));

Deno.test("OwnSettings refuses what would keep the node from starting, what is given elsewhere, and what opens the node", () =>
  inRoot(async (root) => {
    await Deno.writeTextFile(`${root}/ark.toml`, `name = "attic"\n`, { mode: 0o640 });
    const settings = await OwnSettings.begin({ flags: { data: root, slots: "2" }, env: () => undefined });
    const refused: [string, string | boolean | string[], RegExp][] = [
      ["max-loaded", "many", /^Cannot use --max-loaded many/],
      ["max-loaded", true, /max-loaded must be a text/],
      ["slots", "4", /it is given on the command line/],
      ["listen", "0.0.0.0:8910", /Cannot change listen here: write it into .*ark\.toml$/],
      ["upstream-key-file", ["a=/etc/shadow"], /write it into/],
      ["no-such", "1", /There is no setting no-such/],
      ["__proto__", "1", /There is no setting __proto__/],
    ];
    for (const [name, value, sentence] of refused) {
      await assert.rejects(settings.change(name, value), { code: "bad_request", message: sentence }, name);
    }
    assert.equal(await Deno.readTextFile(`${root}/ark.toml`), `name = "attic"\n`);
    // Many at once are done one after the other.
    await Promise.all(["1", "2", "3", "4"].map((count) => settings.change("max-loaded", count)));
    assert.equal(await Deno.readTextFile(`${root}/ark.toml`), `name = "attic"\nmax-loaded = "4"\n`);
    if (Deno.build.os !== "windows") assert.equal(((await Deno.stat(`${root}/ark.toml`)).mode ?? 0) & 0o777, 0o640);
    await Deno.writeTextFile(`${root}/ark.toml`, `name = \n`);
    await assert.rejects(settings.list(), { code: "unavailable" });
    await assert.rejects(settings.change("max-loaded", "2"), { code: "unavailable" });
    assert.equal(await Deno.readTextFile(`${root}/ark.toml`), `name = \n`);
  }));
