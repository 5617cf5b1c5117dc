import assert from "node:assert/strict";
import { ROLE_NAMES } from "@ark/node/config";
import { ROLES } from "@ark/node/roles";

Deno.test("ROLES has a role for each name that --role takes, and each file of roles is short", async () => {
  assert.deepEqual(ROLES.map(({ name }) => name), [...ROLE_NAMES]);
  for await (const { name } of Deno.readDir("src/roles")) {
    const lines = (await Deno.readTextFile(`src/roles/${name}`)).split("\n").length;
    assert.ok(lines <= 80, `${name} has ${lines} lines`);
  }
});
