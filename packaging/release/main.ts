/** `deno task release DIR --key FILE`: makes a release, for this kind of machine and for others whose executables are given. */
import { resolve } from "node:path";
import { parseArgs } from "node:util";
import project from "../../deno.json" with { type: "json" };
import { makeRelease, portableExecutable } from "./release.ts";
import { ReleaseKey } from "./release_key.ts";

const USAGE = `Makes a release, from which install.sh installs.

Usage: deno task release DIR --key FILE [--variant cpu|vulkan|cuda]... [--executable FILE]...

  --key FILE         private key that signs it: openssl genpkey -algorithm ed25519 -out FILE
  --variant NAME     variants for this kind of machine (default: cpu); may be repeated
  --executable FILE  what compile.sh made on another machine, or for one; may be repeated
`;

/** Runs the command, and returns the exit status. */
async function main(args: string[]): Promise<number> {
  const { values, positionals } = parseArgs({
    args,
    allowPositionals: true,
    options: {
      key: { type: "string" },
      variant: { type: "string", multiple: true },
      executable: { type: "string", multiple: true },
      help: { type: "boolean" },
    },
  });
  const [folder, ...more] = positionals;
  if (values.help === true || folder === undefined || values.key === undefined || more.length > 0) {
    tell(USAGE);
    return values.help === true ? 0 : 2;
  }
  const key = new ReleaseKey(await Deno.readTextFile(values.key));
  const work = await Deno.makeTempDir({ prefix: "ark-release-" });
  try {
    const executables = [...values.executable ?? []];
    for (const variant of values.variant ?? ["cpu"]) {
      const output = `${work}/ark-node-${Deno.build.target}${variant === "cpu" ? "" : `-${variant}`}`;
      await portableExecutable(output, variant);
      executables.push(output);
    }
    const names = await makeRelease({ folder: resolve(folder), version: project.version, key, executables });
    tell(`${resolve(folder)}: ${names.join(", ")}\nSigned with: ssh-ed25519 ${key.public}\nInstall it with: sh `);
    tell(`${resolve(folder)}/install.sh\n`);
    return 0;
  } finally {
    await Deno.remove(work, { recursive: true });
  }
}

function tell(text: string): void {
  Deno.stdout.writeSync(new TextEncoder().encode(text));
}

try {
  Deno.exitCode = await main(Deno.args);
} catch (error) {
  Deno.stderr.writeSync(new TextEncoder().encode(`release: ${error instanceof Error ? error.message : error}\n`));
  Deno.exitCode = 1;
}
