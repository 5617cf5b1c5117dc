import assert from "node:assert/strict";
import { requestText, TestMesh } from "./mesh_fixture.ts";
import { until } from "../inference/local_fixture.ts";

/** Bytes that the system still has to send on each connection of a local port; Linux tells. */
function unsent(port: number): number[] {
  const local = `:${port.toString(16).toUpperCase().padStart(4, "0")}`;
  const rows = ["tcp", "tcp6"].flatMap((table) => Deno.readTextFileSync(`/proc/net/${table}`).split("\n").slice(1));
  return rows.map((row) => row.trim().split(/\s+/))
    .filter(([, at = "", , state]) => at.endsWith(local) && state !== "0A")
    .map(([, , , , queues = ""]) => parseInt(queues, 16));
}

function torrent(): Response {
  const piece = new Uint8Array(64 << 10);
  return new Response(new ReadableStream({ pull: (controller) => controller.enqueue(piece) }));
}

Deno.test({
  name: "T02: What a cut peer has not taken yet is thrown away, and not delivered after the cut",
  ignore: skipped(),
  fn: async () => {
    await using mesh = await TestMesh.start({ handler: () => Promise.resolve(torrent()) });
    using connection = await mesh.connect();
    await connection.send(requestText(mesh.request()));
    const { port } = mesh.listener;
    // The caller does not read, so the system's buffers fill up.
    await until(() => unsent(port).some((bytes) => bytes > 100_000));
    assert.equal(mesh.listener.disconnect(mesh.alice.id), 1);
    assert.deepEqual(unsent(port), [], "The connection is gone, with all that it had to send");
    await until(() => mesh.handled[0]?.signal.aborted === true);
  },
});

function skipped(): boolean {
  if (Deno.build.os === "linux") return false;
  // deno-lint-ignore no-console
  console.log("mesh_cut_test: skipped, since only Linux tells in /proc/net/tcp what is not sent yet");
  return true;
}
