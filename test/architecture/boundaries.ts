/**
 * Lint plugin that holds the order of modules and the doors of dependencies.
 *
 * - A module imports only modules to its left in {@linkcode MODULES}, by `@ark/node/<module>`.
 * - Inside a module imports are relative and stay inside.
 * - A dependency has one door: only the folders of {@linkcode DOORS} import it.
 *
 * @module
 */

/** Modules of `src/`, from the bottom to the top. */
export const MODULES: readonly string[] =
  ("identity protocol telemetry store transport discovery peers audit models content inference routing overlay verification " +
    "control ledger http config daemon roles cli").split(" ");

/** Where each dependency may be imported, as prefixes of paths from the project's root. */
const DOORS: Record<string, readonly string[]> = {
  "hono": ["src/http/"],
  "kysely": ["src/store/", "migrations/"],
  "node:sqlite": ["src/store/"],
  "pg": ["src/store/"],
  "smol-toml": ["src/config/"],
  "multicast-dns": ["src/discovery/"],
  "node-llama-cpp": ["src/inference/worker/"],
  "@huggingface/jinja": ["src/inference/worker/"],
  "@scure/bip39": ["src/peers/"],
  "uqr": ["src/cli/"],
  "node:tls": ["src/transport/"],
  // Servers and clients of our own take less time, and are stricter.
  "node:http": [],
  "node:https": [],
  // Second opinions in tests.
  "fast-check": [],
  "http-message-sig": [],
};

/** Says what is wrong with an import, or null. `file` is a path from the project's root. */
export function importFault(file: string, specifier: string): string | null {
  const module = file.match(/^src\/([^/]+)\//)?.[1];
  const inTest = file.startsWith("test/");
  const dependency = Object.keys(DOORS).find((name) => specifier === name || specifier.startsWith(name + "/"));
  if (dependency !== undefined && !inTest && !(DOORS[dependency] ?? []).some((door) => file.startsWith(door))) {
    return `${dependency} is imported only in ${DOORS[dependency]?.join(", ") || "tests"}`;
  }
  if (module === undefined) return null;
  if (!MODULES.includes(module)) return `src/${module} is not in the list of modules`;
  if (specifier === "@ark/node") return "Nothing imports the program itself";
  const own = specifier.match(/^@ark\/node\/(.+)$/)?.[1];
  if (own !== undefined) {
    if (own === module) return `Inside ${module} imports are relative`;
    if (!MODULES.includes(own)) return `${own} is not in the list of modules`;
    if (MODULES.indexOf(own) > MODULES.indexOf(module)) return `${module} stands left of ${own} and cannot import it`;
  }
  if (specifier.startsWith(".")) {
    const target = new URL(specifier, `file:///${file}`).pathname.slice(1);
    if (target.startsWith("src/") && !target.startsWith(`src/${module}/`)) {
      return `${module} reaches another module only by @ark/node/<module>`;
    }
    if (target === "main.ts") return "Nothing imports the program itself";
    if (target.startsWith("test/")) return "Product code does not import tests";
  }
  return null;
}

const root = decodeURIComponent(new URL("../../", import.meta.url).pathname);

const plugin: Deno.lint.Plugin = {
  name: "ark",
  rules: {
    boundaries: {
      create(context): Deno.lint.LintVisitor {
        const file = context.filename.startsWith(root) ? context.filename.slice(root.length) : context.filename;
        const check = (node: Deno.lint.Node, source: unknown) => {
          const specifier = (source as { value?: unknown } | null)?.value;
          if (typeof specifier !== "string") return;
          const fault = importFault(file, specifier);
          if (fault !== null) context.report({ node, message: fault });
        };
        return {
          ImportDeclaration: (node) => check(node, node.source),
          ExportNamedDeclaration: (node) => check(node, node.source),
          ExportAllDeclaration: (node) => check(node, node.source),
          ImportExpression: (node) => check(node, node.source),
          TSImportType: (node) => check(node, (node.argument as { literal?: unknown }).literal),
        };
      },
    },
  },
};
export default plugin;
