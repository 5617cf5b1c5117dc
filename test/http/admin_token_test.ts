import assert from "node:assert/strict";
import { loadAdminToken, readAdminToken, sameToken } from "@ark/node/http";
import { withDirectory } from "../support/temporary.ts";

Deno.test("loadAdminToken() makes a token once, for its owner only", () =>
  withDirectory(async (directory) => {
    const path = `${directory}/admin.token`;
    const token = await loadAdminToken(path);
    assert.match(token, /^[A-Za-z0-9_-]{43}$/);
    assert.equal(await loadAdminToken(path), token);
    assert.equal(await readAdminToken(path), token);
    assert.notEqual(await loadAdminToken(`${directory}/other`), token);
    assert.equal(((await Deno.stat(path)).mode ?? 0) & 0o777, 0o600);
  }));

Deno.test("readAdminToken() refuses a file that others can read, and one without a token", () =>
  withDirectory(async (directory) => {
    const path = `${directory}/admin.token`;
    await assert.rejects(readAdminToken(path), Deno.errors.NotFound);
    await loadAdminToken(path);
    await Deno.chmod(path, 0o640);
    await assert.rejects(loadAdminToken(path), { name: "AdminTokenError", message: /chmod 600/ });
    await Deno.chmod(path, 0o600);
    await Deno.writeTextFile(path, "");
    await assert.rejects(loadAdminToken(path), { name: "AdminTokenError", message: /delete it to get a new one/ });
  }));

Deno.test("sameToken() is true for the same text only", () => {
  assert.ok(sameToken("abc", "abc"));
  for (const other of ["", "ab", "abcd", "abd", "ABC"]) assert.ok(!sameToken(other, "abc"), other);
});
