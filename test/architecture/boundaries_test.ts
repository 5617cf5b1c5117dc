import assert from "node:assert/strict";
import config from "../../deno.json" with { type: "json" };
import plugin, { importFault, MODULES } from "./boundaries.ts";

const ROOT = decodeURIComponent(new URL("../../", import.meta.url).pathname);

/** What the lint plugin says of a file with this text. */
function faults(file: string, source: string): string[] {
  return Deno.lint.runPlugin(plugin, `${ROOT}${file}`, source).map(({ message }) => message);
}

for (
  const [file, source, fault] of [
    [
      "src/protocol/offer.ts",
      `import { PeerBook } from "@ark/node/peers";`,
      "protocol stands left of peers and cannot import it",
    ],
    [
      "src/peers/gate.ts",
      `import type { Router } from "@ark/node/routing";`,
      "peers stands left of routing and cannot import it",
    ],
    ["src/peers/gate.ts", `export * from "@ark/node/routing";`, "peers stands left of routing and cannot import it"],
    [
      "src/peers/gate.ts",
      `export { Router } from "@ark/node/routing";`,
      "peers stands left of routing and cannot import it",
    ],
    ["src/peers/gate.ts", `await import("@ark/node/routing");`, "peers stands left of routing and cannot import it"],
    [
      "src/peers/gate.ts",
      `export type X = import("@ark/node/routing").Router;`,
      "peers stands left of routing and cannot import it",
    ],
    ["src/peers/gate.ts", `import { Gate } from "@ark/node/peers";`, "Inside peers imports are relative"],
    [
      "src/peers/gate.ts",
      `import { x } from "../protocol/mod.ts";`,
      "peers reaches another module only by @ark/node/<module>",
    ],
    [
      "src/http/mesh/app.ts",
      `import { x } from "../../peers/gate.ts";`,
      "http reaches another module only by @ark/node/<module>",
    ],
    ["src/peers/gate.ts", `import { x } from "../../test/support/x.ts";`, "Product code does not import tests"],
    ["src/peers/gate.ts", `import { x } from "../../main.ts";`, "Nothing imports the program itself"],
    ["src/peers/gate.ts", `import { x } from "@ark/node";`, "Nothing imports the program itself"],
    [
      "src/peers/gate.ts",
      `import { x } from "@ark/node/peers/gate.ts";`,
      "peers/gate.ts is not in the list of modules",
    ],
    ["src/peers/gate.ts", `import { x } from "@ark/node/utils";`, "utils is not in the list of modules"],
    ["src/utils/x.ts", `import { x } from "@ark/node/protocol";`, "src/utils is not in the list of modules"],
    [
      "src/peers/peer_book.ts",
      `import { Kysely } from "kysely";`,
      "kysely is imported only in src/store/, migrations/",
    ],
    [
      "src/peers/peer_book.ts",
      `import { Migrator } from "kysely/migration";`,
      "kysely is imported only in src/store/, migrations/",
    ],
    ["src/cli/main.ts", `import { Hono } from "hono";`, "hono is imported only in src/http/"],
    [
      "src/inference/local_backend.ts",
      `import("node-llama-cpp");`,
      "node-llama-cpp is imported only in src/inference/worker/",
    ],
    ["src/http/mesh/app.ts", `import tls from "node:tls";`, "node:tls is imported only in src/transport/"],
    [
      "src/audit/audit_log.ts",
      `import { DatabaseSync } from "node:sqlite";`,
      "node:sqlite is imported only in src/store/",
    ],
    ["src/protocol/offer.ts", `import fc from "fast-check";`, "fast-check is imported only in tests"],
    ["main.ts", `import { Hono } from "hono";`, "hono is imported only in src/http/"],
  ] as const
) {
  Deno.test(`The lint plugin reports ${source} in ${file}`, () => {
    assert.deepEqual(faults(file, source), [fault]);
  });
}

for (
  const [file, source] of [
    ["src/routing/router.ts", `import type { NodeId } from "@ark/node/identity"; import { rank } from "./rank.ts";`],
    [
      "src/http/mesh/mesh_app.ts",
      `import { Hono } from "hono"; import { x } from "../ark_error.ts"; export * from "./x.ts";`,
    ],
    ["src/http/mod.ts", `import { stream } from "hono/streaming"; import { createHash } from "node:crypto";`],
    [
      "src/store/open_store.ts",
      `import { initial } from "../../migrations/0001_initial.ts"; import { Kysely } from "kysely";`,
    ],
    ["src/inference/worker/addon_engine.ts", `import("node-llama-cpp"); const name = "hono"; import(name);`],
    ["src/peers/gate.ts", `export const hono = 1; export { hono as x };`],
    [
      "test/http/mesh_test.ts",
      `import { Hono } from "hono"; import fc from "fast-check"; import { x } from "../../src/http/mod.ts";`,
    ],
    ["main.ts", `import { main } from "@ark/node/cli";`],
  ] as const
) {
  Deno.test(`The lint plugin lets pass ${source} in ${file}`, () => {
    assert.deepEqual(faults(file, source), []);
  });
}

Deno.test("importFault() lets a module import each one to its left and none to its right", () => {
  for (const [here, module] of MODULES.entries()) {
    for (const [there, other] of MODULES.entries()) {
      const fault = importFault(`src/${module}/x.ts`, `@ark/node/${other}`);
      assert.equal(fault === null, there < here, `${module} imports ${other}: ${fault}`);
    }
  }
});

Deno.test("MODULES has every export of deno.json, and the plugin is switched on there", () => {
  const exported = Object.keys(config.exports).filter((name) => name !== ".").map((name) => name.slice(2));
  for (const name of exported) assert.ok(MODULES.includes(name), name);
  assert.ok(config.lint.plugins.includes("./test/architecture/boundaries.ts"));
});
