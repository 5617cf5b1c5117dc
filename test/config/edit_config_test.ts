import assert from "node:assert/strict";
import fc from "fast-check";
import { parse } from "smol-toml";
import { ConfigError } from "@ark/node/config";
import { editConfig } from "../../src/config/edit_config.ts";

const TEXT = `# My machine.
name = "attic"   # what friends see

share_hours = [
  "mon-fri 22-7", # nights
  "sat 0-24",
]
"max-queued" = 8
`;

Deno.test("editConfig() changes one setting, and leaves remarks and everything else as they were written", () => {
  const edit = (name: string, value: string | string[] | boolean | null) =>
    editConfig(TEXT, { path: "ark.toml", name, value });
  assert.equal(edit("slots", "4"), `${TEXT}slots = "4"\n`);
  assert.equal(edit("max-queued", "16"), TEXT.replace(`"max-queued" = 8`, `max-queued = "16"`));
  assert.equal(edit("share-hours", ["22-6"]), TEXT.replace(/share_hours = \[[^\]]*\]/, `share_hours = [ "22-6" ]`));
  assert.equal(edit("share-hours", null), TEXT.replace(/share_hours = \[[^\]]*\]\n/, ""));
  const on = true;
  assert.equal(edit("show-hardware", on), `${TEXT}show-hardware = true\n`);
  assert.equal(edit("registry", null), TEXT);
  assert.equal(editConfig("", { path: "ark.toml", name: "slots", value: "2" }), `slots = "2"\n`);
  assert.equal(editConfig("", { path: "ark.json", name: "slots", value: "2" }), `{\n  "slots": "2"\n}\n`);
  assert.equal(
    editConfig(`{"$schema":"x","max_queued":1}`, { path: "a.json", name: "max-queued", value: null }),
    `{\n  "$schema": "x"\n}\n`,
  );
});

Deno.test("editConfig() refuses what only a person can change", () => {
  const inline = `registry = """\nslots = "3"\n"""\nslots = "1"\n`;
  // What looks like the setting is a part of another one's text.
  try {
    const edited = editConfig(inline, { path: "ark.toml", name: "slots", value: "2" });
    assert.deepEqual({ ...parse(edited) }, { registry: `slots = "3"\n`, slots: "2" });
  } catch (error) {
    assert.ok(error instanceof ConfigError && /by hand/.test(error.message));
  }
});

Deno.test("editConfig() says exactly what it was told, whatever the texts are", () => {
  const key = fc.constantFrom("name", "slots", "registry", "peer", "alias");
  const value = fc.oneof(fc.string(), fc.boolean(), fc.array(fc.string(), { maxLength: 4 }));
  fc.assert(fc.property(fc.array(fc.tuple(key, fc.option(value)), { maxLength: 12 }), (changes) => {
    let text = "# kept\n";
    const wanted = new Map<string, unknown>();
    for (const [name, next] of changes) {
      try {
        text = editConfig(text, { path: "ark.toml", name, value: next });
      } catch (error) {
        assert.ok(error instanceof ConfigError);
        continue;
      }
      if (next === null) wanted.delete(name);
      else wanted.set(name, next);
      assert.deepEqual({ ...parse(text) }, Object.fromEntries(wanted));
      assert.ok(text.startsWith("# kept\n"));
    }
  }));
});
