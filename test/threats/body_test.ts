/** Bodies that no peer should send, to a node in a process of its own whose memory can be told. */
import assert from "node:assert/strict";
import { formatNodeId, generateIdentity, type Identity, publicKeyOf } from "@ark/node/identity";
import { parsePeerAddress } from "@ark/node/discovery";
import { rawRequest, sendRaw } from "../mesh/raw_peer.ts";
import { NodeProcess } from "../support/node_process.ts";
import { freshNonce, headText, type RawRequest, signed, withFields } from "../transport/mesh_fixture.ts";
import { pour } from "../transport/pourer.ts";

const LONG = Deno.env.get("ARK_LONG") === "1";
const MIB = 1 << 20;
const PIECE = "x".repeat(64 << 10);

/** A way to send a body. */
interface Shape {
  head(): string;
  piece: string;
  /** Most bytes that are sent; without it, as many as the other side takes. */
  most?: number;
  answer: RegExp;
}

/** A request to infer that is signed by the letter, with a nonce of the node's. */
function asking(
  signer: Identity,
  options: { to: string; nonce: string; body?: string; contentLength?: number },
): RawRequest {
  const nonce = `${options.nonce}.${freshNonce()}`;
  return signed(signer, { target: "/ark/v1/infer", body: "x", ...options, nonce });
}

function shapesFor(signer: Identity, { to, nonce }: { to: string; nonce: string }): Record<string, Shape> {
  const withLength = (contentLength: number) => () => headText(asking(signer, { to, nonce, contentLength }));
  const withoutLength = () => headText(withFields(asking(signer, { to, nonce }), { "Content-Length": null }));
  return {
    "2 GiB, signed": { head: withLength(2 ** 31), piece: PIECE, answer: /^(HTTP\/1\.1 413 |$)/ },
    "2 GiB, not signed": {
      head: () => "POST /ark/v1/infer HTTP/1.1\r\nHost: x\r\nContent-Length: 2147483648\r\n\r\n",
      piece: PIECE,
      answer: /^(HTTP\/1\.1 401 |$)/,
    },
    "no length": { head: withoutLength, piece: PIECE, answer: /^(HTTP\/1\.1 40[01] |$)/ },
    "chunks of a byte, for ever": {
      head: () => withoutLength().replace("\r\n\r\n", "\r\nTransfer-Encoding: chunked\r\n\r\n"),
      piece: "1\r\nx\r\n".repeat(8 << 10),
      answer: /^(HTTP\/1\.1 40[01] |$)/,
    },
    "more than was announced": { head: withLength(10), piece: PIECE, answer: /^(HTTP\/1\.1 40[01] |$)/ },
    "another body than was signed": {
      head: withLength(PIECE.length),
      piece: PIECE,
      most: PIECE.length,
      answer: /^HTTP\/1\.1 401 /,
    },
    // What the listener gives a whole request is a quarter of a minute.
    ...(LONG
      ? { "a megabyte that does not come": { head: withLength(MIB), piece: "", answer: /^(HTTP\/1\.1 40[18] |$)/ } }
      : {}),
  };
}

Deno.test("T22: A body that is too large, has no length, lies about it or never ends is cut off, and takes no memory", async () => {
  await using bob = await NodeProcess.start({ name: "bob", args: ["--no-mdns", "--wireguard", "off"] });
  const alice = generateIdentity();
  await bob.json("peers", "approve", formatNodeId(alice.id), "--name", "alice");
  const address = parsePeerAddress(bob.ready.mesh);
  const { nonce } = await sendRaw(address, rawRequest("{}", { to: bob.id, signer: alice }));
  assert.ok(nonce !== null);
  const memory = async () => {
    const status = await Deno.readTextFile(`/proc/${bob.ready.pid}/status`);
    return Number(/^VmRSS:\s+(\d+) kB/m.exec(status)?.[1]) / 1_024;
  };
  const key = publicKeyOf(bob.id).toHex();
  const lines: string[] = [];
  for (
    const [what, { head, piece, most = (LONG ? 2_048 : 64) * MIB, answer }] of Object.entries(
      shapesFor(alice, { to: bob.id, nonce }),
    )
  ) {
    const before = await memory();
    let peak = before;
    let over = false;
    const watching = (async () => {
      while (!over) {
        peak = Math.max(peak, await memory());
        await new Promise((resolve) => setTimeout(resolve, 20));
      }
    })();
    const { text, taken } = await pour({ port: address.port, key, head: head(), piece, most });
    over = true;
    await watching;
    assert.match(text, answer, what);
    lines.push(
      `T22 ${what}: ${(taken / MIB).toFixed(1)} MiB taken by its connection, ${
        (peak - before).toFixed(1)
      } MiB of memory`,
    );
    assert.ok(peak - before <= 32, lines.at(-1));
  }
  // deno-lint-ignore no-console
  console.log(lines.join("\n"));
});
