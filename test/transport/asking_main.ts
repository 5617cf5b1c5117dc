/**
 * A client in a process of its own, so that what it takes can be told: asks whoever its standard input names, twice, and
 * prints what came of it.
 *
 * @module
 */
import { generateIdentity } from "@ark/node/identity";
import { MeshClient, type MeshPeer } from "@ark/node/transport";

/** What came of it. */
export interface Asked {
  /** The error of the second question, or null. */
  error: string | null;
  /** Memory that the second question took, in MiB. */
  grownMiB: number;
}

/** Asks a peer from a process of its own. */
export async function askApart(peer: MeshPeer): Promise<Asked> {
  const args = ["run", "-A", "--no-check", import.meta.filename ?? ""];
  const options = { args, cwd: import.meta.dirname ?? ".", stdin: "piped", stdout: "piped" } as const;
  const child = new Deno.Command(Deno.execPath(), options).spawn();
  const writer = child.stdin.getWriter();
  await writer.write(new TextEncoder().encode(JSON.stringify(peer)));
  await writer.close();
  const { stdout } = await child.output();
  return JSON.parse(new TextDecoder().decode(stdout));
}

if (import.meta.main) {
  const peer: MeshPeer = JSON.parse(await new Response(Deno.stdin.readable).text());
  const asked: Asked = { error: null, grownMiB: 0 };
  await using client = new MeshClient({ identity: generateIdentity() });
  for (let turn = 0; turn < 2; turn++) {
    // What the first one takes is room that any question needs.
    const before = Deno.memoryUsage().rss;
    try {
      const response = await client.request(peer, { method: "GET", path: "/", deadlineMs: 60_000 });
      for await (const _ of response.body);
    } catch (error) {
      asked.error = String(error);
    }
    asked.grownMiB = (Deno.memoryUsage().rss - before) / (1 << 20);
  }
  Deno.stdout.writeSync(new TextEncoder().encode(JSON.stringify(asked)));
}
