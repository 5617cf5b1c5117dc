/** Data directories that earlier versions of this program wrote, each as one gzipped file of JSON. */
import { dirname } from "node:path";

/** A data directory and what its version said of it. */
export interface Fixture {
  /** Commit of the program that wrote it. */
  revision: string;
  /** Number of the last step of its database. */
  version: string;
  /** Text of an API key that is in force, and of one that was taken back; null before there were any. */
  keys: { good: string; revoked: string } | null;
  /** Ids of the peers: one that is approved, one that was revoked. */
  peers: { approved: string; revoked: string };
  /** Files by name, as base64. */
  files: Record<string, string>;
}

/** The versions of which there is a fixture. */
export const VERSIONS = ["0001", "0007", "0008", "0009", "0010"];

function pathOf(version: string): URL {
  return new URL(`fixtures/${version}.json.gz`, import.meta.url);
}

/** Reads a fixture. */
export async function readFixture(version: string): Promise<Fixture> {
  const bytes = await Deno.readFile(pathOf(version));
  return await new Response(new Blob([bytes]).stream().pipeThrough(new DecompressionStream("gzip"))).json();
}

/** Writes one. */
export async function writeFixture(fixture: Fixture): Promise<void> {
  const stream = new Blob([JSON.stringify(fixture)]).stream().pipeThrough(new CompressionStream("gzip"));
  await Deno.writeFile(pathOf(fixture.version), stream);
}

/** Lays a data directory out as it was. */
export async function layOut(fixture: Fixture, data: string): Promise<void> {
  await Deno.mkdir(data, { recursive: true, mode: 0o700 });
  for (const [name, content] of Object.entries(fixture.files)) {
    await Deno.mkdir(dirname(`${data}/${name}`), { recursive: true, mode: 0o700 });
    await Deno.writeFile(`${data}/${name}`, Uint8Array.fromBase64(content), { mode: 0o600 });
  }
}
