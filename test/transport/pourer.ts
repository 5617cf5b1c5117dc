/**
 * A caller in a process of its own, so that what it takes is not taken for the listener's. Reads what to do from its
 * standard input: a port and its key, a head, and a piece of a body that is sent again and again, up to so many bytes, for as long as
 * the other side takes it. Prints what came back, and how many bytes were taken.
 *
 * @module
 */
import { RawConnection } from "./mesh_fixture.ts";

/** What to do. */
export interface Pour {
  port: number;
  /** Of the listener, hex. */
  key: string;
  head: string;
  piece: string;
  most: number;
}

/** What became of it. */
export interface Poured {
  text: string;
  taken: number;
}

/** Runs one to its end. */
export async function pour(what: Pour): Promise<Poured> {
  const args = ["run", "-A", "--no-check", import.meta.filename ?? ""];
  const child = new Deno.Command(Deno.execPath(), {
    args,
    cwd: import.meta.dirname ?? ".",
    stdin: "piped",
    stdout: "piped",
  }).spawn();
  const writer = child.stdin.getWriter();
  await writer.write(new TextEncoder().encode(JSON.stringify(what)));
  await writer.close();
  const { stdout } = await child.output();
  return JSON.parse(new TextDecoder().decode(stdout));
}

if (import.meta.main) {
  const { port, key, head, piece, most }: Pour = JSON.parse(await new Response(Deno.stdin.readable).text());
  using connection = await RawConnection.open({ port }, Uint8Array.fromHex(key));
  const reading = connection.readToEnd();
  const poured: Poured = { text: "", taken: 0 };
  await connection.send(head);
  while (piece !== "" && poured.taken < most && await connection.send(piece)) poured.taken += piece.length;
  // It ends when the listener hangs up, and not before.
  poured.text = await reading;
  Deno.stdout.writeSync(new TextEncoder().encode(JSON.stringify(poured)));
}
