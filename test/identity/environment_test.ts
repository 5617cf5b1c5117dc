import assert from "node:assert/strict";
import { unsafeEnvironment } from "@ark/node/identity";

Deno.test("unsafeEnvironment() is null in a clean environment, whatever else is set", () => {
  assert.equal(unsafeEnvironment((name) => (name === "PATH" ? "/bin" : undefined)), null);
});

Deno.test.each([
  { name: "SSLKEYLOGFILE" },
  { name: "DENO_CERT" },
  { name: "NODE_EXTRA_CA_CERTS" },
  { name: "DENO_TLS_CA_STORE" },
  { name: "NODE_TLS_REJECT_UNAUTHORIZED" },
])("unsafeEnvironment() names $name, even when it is empty", ({ name }) => {
  for (const value of ["1", ""]) {
    const sentence = unsafeEnvironment((asked) => (asked === name ? value : undefined));
    assert.match(sentence ?? "", new RegExp(`variable ${name} is set`));
  }
});
