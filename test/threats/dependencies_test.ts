import assert from "node:assert/strict";
import project from "../../deno.json" with { type: "json" };
import { finished } from "../support/node_process.ts";

/** Every package that the program itself imports, and why there is no doing without. */
const IMPORTED: Record<string, string> = {
  "@huggingface/jinja": "renders the chat templates of models, which are Jinja; without dependencies",
  "@scure/bip39": "the words that two people compare when they pair",
  "hono": "routes of the HTTP APIs; without dependencies",
  "kysely": "typed SQL on node:sqlite; without dependencies",
  "multicast-dns": "mDNS packets and sockets",
  "node-llama-cpp": "llama.cpp for every platform and GPU; only the worker loads it",
  "pg": "PostgreSQL for a registry that has many nodes; loaded there only",
  "smol-toml": "reads ark.toml; without dependencies",
  "uqr": "the picture of an invite that a phone reads; without dependencies",
};

/** Packages of which files are served to the owner's browser; the program runs nothing of them. */
const SERVED = ["htm", "preact", "uplot"];

/** Packages of the tests alone. */
const TEST_ONLY = [
  "@ai-sdk/openai-compatible",
  "@anthropic-ai/sdk",
  "@noble/curves",
  "ajv",
  "axe-core",
  "compatcanary",
  "fast-check",
  "http-message-sig",
  "ollama",
  "openai",
  "openai7",
  "playwright-core",
];

/** What comes along with the packages above, by the one that brings it. A new name here is to be read before it is added. */
const BROUGHT: Record<string, string> = {
  "@huggingface/jinja": "",
  "@scure/bip39": "@noble/hashes",
  "hono": "",
  "kysely": "",
  "multicast-dns": "@leichtgewicht/ip-codec dns-packet thunky",
  "node-llama-cpp": "@huggingface/jinja @isaacs/fs-minipass @kwsites/file-exists @kwsites/promise-deferred " +
    "@node-llama-cpp/linux-arm64 @node-llama-cpp/linux-armv7l @node-llama-cpp/linux-riscv64 " +
    "@node-llama-cpp/linux-x64 @node-llama-cpp/linux-x64-cuda @node-llama-cpp/linux-x64-cuda-ext " +
    "@node-llama-cpp/linux-x64-vulkan @node-llama-cpp/mac-arm64-metal @node-llama-cpp/mac-x64 " +
    "@node-llama-cpp/win-arm64 @node-llama-cpp/win-x64 @node-llama-cpp/win-x64-cuda " +
    "@node-llama-cpp/win-x64-cuda-ext @node-llama-cpp/win-x64-vulkan @reflink/reflink " +
    "@reflink/reflink-darwin-arm64 @reflink/reflink-darwin-x64 @reflink/reflink-linux-arm64-gnu " +
    "@reflink/reflink-linux-arm64-musl @reflink/reflink-linux-x64-gnu @reflink/reflink-linux-x64-musl " +
    "@reflink/reflink-win32-arm64-msvc @reflink/reflink-win32-x64-msvc @simple-git/args-pathspec " +
    "@simple-git/argv-parser @tinyhttp/content-disposition ansi-escapes ansi-regex ansi-styles " +
    "async-retry bytes chalk chmodrp chownr ci-info cli-cursor cli-spinners cliui cmake-js color-convert " +
    "color-name commander cross-spawn debug deep-extend emoji-regex env-var escalade eventemitter3 " +
    "filename-reserved-regex filenamify fs-extra get-caller-file get-east-asian-width graceful-fs ignore " +
    "ini ipull is-fullwidth-code-point is-interactive is-unicode-supported isexe jsonfile lifecycle-utils " +
    "lodash.debounce log-symbols lowdb mimic-function minimist minipass minizlib ms nanoid node-addon-api " +
    "node-api-headers onetime ora parse-ms path-key pretty-bytes pretty-ms proper-lockfile rc " +
    "require-directory restore-cursor retry semver shebang-command shebang-regex signal-exit simple-git " +
    "sleep-promise slice-ansi stdin-discarder stdout-update steno string-width strip-ansi " +
    "strip-json-comments tar universalify url-join validate-npm-package-name which wrap-ansi y18n yallist " +
    "yargs yargs-parser yoctocolors",
  "pg":
    "pg pg-cloudflare pg-connection-string pg-int8 pg-pool pg-protocol pg-types pgpass postgres-array postgres-bytea " +
    "postgres-date postgres-interval split2 xtend",
  "smol-toml": "",
  "uqr": "",
};

interface Locked {
  integrity?: string;
  dependencies?: string[];
  optionalDependencies?: string[];
  scripts?: boolean;
}

const lock = JSON.parse(Deno.readTextFileSync("deno.lock")) as {
  specifiers: Record<string, string>;
  npm: Record<string, Locked>;
};
const NPM = lock.npm;

function nameOf(id: string): string {
  return id.slice(0, id.indexOf("@", 1) < 0 ? undefined : id.indexOf("@", 1));
}

/** Names of everything below a package in the lock file, in order. */
function below(root: string): string[] {
  const byName = Map.groupBy(Object.keys(NPM), nameOf);
  const found = new Set<string>();
  const visit = (id: string) => {
    const { dependencies = [], optionalDependencies = [] } = NPM[id] ?? {};
    for (const one of [...dependencies, ...optionalDependencies]) {
      // The lock file leaves the version out where there is but one.
      for (const next of NPM[one] === undefined ? byName.get(nameOf(one)) ?? [] : [one]) {
        if (found.has(next)) continue;
        found.add(next);
        visit(next);
      }
    }
  };
  for (const id of byName.get(root) ?? []) visit(id);
  return [...new Set([...found].map(nameOf))].sort();
}

Deno.test("T57: The program imports the packages that are listed with reasons, and no other", async () => {
  const { code, stdout, stderr } = await finished(Deno.execPath(), { args: ["info", "--json", "--frozen", "main.ts"] });
  assert.equal(code, 0, stderr);
  const modules = (JSON.parse(stdout).modules as { specifier: string }[]).map(({ specifier }) => specifier);
  const imported = modules.flatMap((one) => /^npm:\/?((?:@[^/]+\/)?[^/@]+)@/.exec(one)?.[1] ?? []);
  assert.deepEqual([...new Set(imported)].filter((name) => IMPORTED[name] === undefined), []);
  assert.deepEqual(Object.keys(project.imports).sort(), [...Object.keys(IMPORTED), ...SERVED, ...TEST_ONLY].sort());
  // Everything else is ours, or Deno's own.
  assert.deepEqual(modules.filter((one) => !/^(file|node|npm):/.test(one)), []);
});

Deno.test("T57: What these packages bring along is listed, too", () => {
  for (const name of Object.keys(IMPORTED)) {
    assert.deepEqual(below(name), BROUGHT[name]?.split(" ").filter(Boolean), name);
  }
  const all = new Set(Object.keys(IMPORTED).flatMap((name) => [name, ...below(name)]));
  const rest = [...new Set(Object.keys(NPM).map(nameOf))].filter((name) => !all.has(name)).sort();
  assert.deepEqual(SERVED.flatMap(below), []);
  const tests = new Set([...SERVED, ...TEST_ONLY].flatMap((name) => [name, ...below(name)]));
  assert.deepEqual(rest.filter((name) => !tests.has(name)), []);
});

Deno.test("T57: Every package is locked by its hash, and no install script runs", async () => {
  for (const [id, { integrity }] of Object.entries(NPM)) assert.match(integrity ?? "", /^sha512-/, id);
  assert.deepEqual(Object.keys(lock).sort(), ["npm", "specifiers", "version", "workspace"]);
  assert.deepEqual(
    Object.keys(lock.specifiers).map((one) => nameOf(one.replace(/^npm:/, ""))).sort(),
    // One package may stand under two names, in two versions.
    Object.values(project.imports).map((one) => nameOf(one.replace(/^npm:/, ""))).sort(),
  );
  // Deno runs none unless it is told to.
  assert.ok(!("allowScripts" in project));
  for (const file of ["compile.sh", "Dockerfile", ".ci/run", "deno.json"]) {
    const text = await Deno.readTextFile(file);
    assert.doesNotMatch(text, /allow-scripts/, file);
    for (const line of text.split("\n").filter((one) => /deno"? install\b(?!.*global)/.test(one) && !/npm/.test(one))) {
      assert.match(line, /--frozen/, `${file}: ${line.trim()}`);
    }
  }
});
