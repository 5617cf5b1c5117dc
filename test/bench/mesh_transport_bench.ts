/**
 * Times signed round trips over a warm pinned connection: client and listener in one process, so the figures hold the work
 * of both ends. Run: `deno run -A test/bench/mesh_transport_bench.ts`.
 *
 * @module
 */
// deno-lint-ignore-file no-console
import { generateIdentity } from "@ark/node/identity";
import { listenMesh, MeshClient } from "@ark/node/transport";
import { baseBytes, contentDigest } from "../../src/transport/message_signature.ts";
import { parseSignedHead, signRequest } from "../../src/transport/signed_request.ts";
import { verify } from "@ark/node/identity";

const WARM_UP = 500;
const ROUNDS = 3_000;

function report(name: string, samples: number[]): void {
  samples.sort((a, b) => a - b);
  const at = (share: number) => (samples[Math.floor(share * (samples.length - 1))] ?? 0).toFixed(3);
  console.log(`${name.padEnd(44)} median ${at(0.5)} ms   p99 ${at(0.99)} ms   (${samples.length} samples)`);
}

async function time(name: string, act: () => Promise<unknown> | unknown, rounds = ROUNDS): Promise<void> {
  for (let i = 0; i < Math.min(WARM_UP, rounds); i++) await act();
  const samples: number[] = [];
  for (let i = 0; i < rounds; i++) {
    const began = performance.now();
    await act();
    samples.push(performance.now() - began);
  }
  report(name, samples);
}

const [alice, bob] = [generateIdentity(), generateIdentity()];
const body = new Uint8Array(1_024).fill(0x61);
const nonce = "A".repeat(22);

function signed(): { method: string; target: string; rawHeaders: string[] } {
  const head = {
    method: "POST",
    target: "/ark/v1/infer",
    contentType: "application/json",
    contentLength: body.length,
    contentDigest: contentDigest(body),
    to: bob.id,
    deadlineMs: 60_000,
    created: 1_790_000_000,
    nonce,
  };
  const { signatureInput, signatureField } = signRequest(alice, head);
  // deno-fmt-ignore
  const rawHeaders = [
    "Host", "node.ark.invalid", "Ark-To", head.to, "Ark-Deadline", String(head.deadlineMs), "Content-Type",
    head.contentType, "Content-Length", String(head.contentLength), "Content-Digest", head.contentDigest,
    "Signature-Input", signatureInput, "Signature", signatureField,
  ];
  return { method: head.method, target: head.target, rawHeaders };
}

await time("sign 1 KiB (digest, base, signature)", signed);
const request = signed();
await time("verify 1 KiB (parse, base, signature, digest)", () => {
  const head = parseSignedHead(request);
  if (head === null || !verify(alice.publicKey, baseBytes(head.base), head.signature)) throw new Error("Not valid");
  if (contentDigest(body) !== head.contentDigest) throw new Error("Not the body");
});

{
  const chunk = new TextEncoder().encode(`data: {"type":"text","text":" token","tokens":1}\n\n`);
  await using listener = await listenMesh({
    identity: bob,
    hostname: "127.0.0.1",
    port: 0,
    standing: () => "approved",
    handler: async (request) => {
      const { pathname } = new URL(request.url);
      if (pathname === "/echo") return Response.json({ length: (await request.arrayBuffer()).byteLength });
      if (pathname === "/bulk") return new Response(new Uint8Array(64 << 20));
      let left = 2_000;
      return new Response(
        new ReadableStream({
          async pull(controller) {
            // One token at a time, as an engine gives them.
            await new Promise((resolve) => setTimeout(resolve, 0));
            controller.enqueue(chunk);
            if (--left === 0) controller.close();
          },
        }, { highWaterMark: 0 }),
        { headers: { "content-type": "text/event-stream" } },
      );
    },
    limits: { noncesPerPeer: 1_000_000 },
  });
  await using client = new MeshClient({ identity: alice });
  const to = { id: bob.id, addresses: [{ hostname: "127.0.0.1", port: listener.port }] };
  const ask = async (path: string) => {
    const response = await client.request(to, { method: "POST", path, body, deadlineMs: 60_000 });
    let count = 0;
    for await (const part of response.body) count += part.length;
    return count;
  };
  await time("warm signed round trip, 1 KiB", () => ask("/echo"));
  await time(
    "32 warm signed round trips at once",
    () => Promise.all(Array.from({ length: 32 }, () => ask("/echo"))),
    100,
  );
  await time("2,000 tokens, one chunk each", () => ask("/stream"), 10);
  await time("64 MiB of answer", () => ask("/bulk"), 5);
  await time("cold: dial, handshake, signed round trip", async () => {
    client.disconnect(bob.id);
    await ask("/echo");
  }, 200);
}
