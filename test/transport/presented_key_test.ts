import assert from "node:assert/strict";
import { generateKeyPairSync, sign, X509Certificate } from "node:crypto";
import { once } from "node:events";
import type { AddressInfo } from "node:net";
import { createServer } from "node:tls";
import { generateIdentity, type Identity } from "@ark/node/identity";
import { presentedKey } from "@ark/node/transport";
import { der, keyInCertificate, pem } from "../../src/transport/certificate.ts";
import { TestMesh } from "./mesh_fixture.ts";

/** A TLS server with whatever certificate and key. */
class TlsServer implements AsyncDisposable {
  readonly port: number;
  readonly #server;

  private constructor(server: ReturnType<typeof createServer>) {
    this.#server = server;
    this.port = (server.address() as AddressInfo).port;
  }

  static async start(options: { cert: string; key: string }): Promise<TlsServer> {
    const server = createServer({ ...options, minVersion: "TLSv1.3", ALPNProtocols: ["http/1.1"] });
    server.on("secureConnection", (socket) => socket.on("error", () => {}).resume());
    server.listen(0, "127.0.0.1");
    await once(server, "listening");
    return new TlsServer(server);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const closed = once(this.#server, "close");
    this.#server.close();
    await closed;
  }
}

/** What accepts connections and does with them as it is told. */
async function withListener(
  act: (conn: Deno.TcpConn) => Promise<void> | void,
  use: (port: number) => Promise<void>,
): Promise<void> {
  const listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const held: Deno.TcpConn[] = [];
  const accepting = (async () => {
    for await (const conn of listener) {
      held.push(conn);
      await act(conn);
    }
  })();
  try {
    await use(listener.addr.port);
  } finally {
    listener.close();
    await accepting;
    for (const conn of held) {
      try {
        conn.close();
      } catch {
        // Closed by the test.
      }
    }
  }
}

/** A certificate of Mallory's own, in whose name the bytes of Bob's public key stand as a certificate would have them. */
function certificateThatShows(bob: Identity, mallory: Identity): string {
  const algorithm = der(0x30, Uint8Array.fromHex("06032b6570"));
  const spki = (key: Uint8Array) => der(0x30, algorithm, der(3, Uint8Array.of(0), key));
  const name = der(0x30, der(0x31, der(0x30, Uint8Array.fromHex("0603550403"), der(4, spki(bob.publicKey)))));
  const time = (text: string) => der(0x18, new TextEncoder().encode(text));
  const tbs = der(
    0x30,
    Uint8Array.fromHex("a003020102020101"),
    algorithm,
    name,
    der(0x30, time("20200101000000Z"), time("99991231235959Z")),
    name,
    spki(mallory.publicKey),
  );
  return pem(der(0x30, tbs, algorithm, der(3, Uint8Array.of(0), mallory.sign(tbs))));
}

/** Certificate and key of some server that is no node: ECDSA on P-256. */
function otherServer(): { cert: string; key: string } {
  const { privateKey, publicKey } = generateKeyPairSync("ec", { namedCurve: "P-256" });
  const algorithm = der(0x30, Uint8Array.fromHex("06082a8648ce3d040302"));
  const name = der(0x30, der(0x31, der(0x30, Uint8Array.fromHex("0603550403"), der(0x0c, Uint8Array.of(0x78)))));
  const time = (text: string) => der(0x18, new TextEncoder().encode(text));
  const tbs = der(
    0x30,
    Uint8Array.fromHex("a003020102020101"),
    algorithm,
    name,
    der(0x30, time("20200101000000Z"), time("99991231235959Z")),
    name,
    new Uint8Array(publicKey.export({ format: "der", type: "spki" })),
  );
  const signature = new Uint8Array(sign("sha256", tbs, privateKey));
  const cert = pem(der(0x30, tbs, algorithm, der(3, Uint8Array.of(0), signature)));
  return { cert, key: String(privateKey.export({ format: "pem", type: "pkcs8" })) };
}

function at(port: number): { hostname: string; port: number } {
  return { hostname: "127.0.0.1", port };
}

Deno.test("presentedKey() gives the key of the node that answers", async () => {
  await using mesh = await TestMesh.start();
  assert.deepEqual(await presentedKey(at(mesh.listener.port)), mesh.bob.publicKey);
  assert.deepEqual(mesh.handled, []);
});

Deno.test("presentedKey() refuses a server whose certificate shows somebody else's key beside its own", async () => {
  const [bob, mallory] = [generateIdentity(), generateIdentity()];
  const cert = certificateThatShows(bob, mallory);
  // The test is worth something only if the careless first look is fooled.
  assert.deepEqual(keyInCertificate(new Uint8Array(new X509Certificate(cert).raw)), bob.publicKey);
  await using server = await TlsServer.start({ cert, key: mallory.privateKeyPem() });
  await assert.rejects(presentedKey(at(server.port)), { code: "unavailable", message: /does not prove/ });
});

Deno.test("presentedKey() refuses a server without an Ed25519 key", async () => {
  await using mesh = await TestMesh.start();
  await using server = await TlsServer.start(otherServer());
  await assert.rejects(presentedKey(at(server.port)), { code: "unavailable", message: /not of a node/ });
  assert.deepEqual(await presentedKey(at(mesh.listener.port)), mesh.bob.publicKey);
});

Deno.test("presentedKey() takes the key that the second handshake proves, whoever relayed the first", async () => {
  await using mesh = await TestMesh.start();
  // A relay that carries bytes to Bob and back is Bob, for all that TLS can tell, and gains nothing.
  const pipes: Promise<unknown>[] = [];
  await withListener(async (conn) => {
    const far = await Deno.connect(at(mesh.listener.port));
    pipes.push(
      conn.readable.pipeTo(far.writable).catch(() => {}),
      far.readable.pipeTo(conn.writable).catch(() => {}),
    );
  }, async (port) => {
    assert.deepEqual(await presentedKey(at(port)), mesh.bob.publicKey);
    await Promise.all(pipes);
  });
});

Deno.test("presentedKey() refuses an address where Bob answers first and Mallory then, or the other way round", async () => {
  await using bob = await TestMesh.start();
  await using mallory = await TestMesh.start();
  for (const order of [[bob, mallory], [mallory, bob]]) {
    const pipes: Promise<unknown>[] = [];
    const turns = [...order];
    await withListener(async (conn) => {
      const far = await Deno.connect(at((turns.shift() ?? bob).listener.port));
      pipes.push(
        conn.readable.pipeTo(far.writable).catch(() => {}),
        far.readable.pipeTo(conn.writable).catch(() => {}),
      );
    }, async (port) => {
      await assert.rejects(presentedKey(at(port)), { code: "unavailable" });
      await Promise.all(pipes);
    });
  }
});

Deno.test("presentedKey() reports an address where nobody answers, or no node", async () => {
  const listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const { port } = listener.addr;
  listener.close();
  await assert.rejects(presentedKey(at(port)), { code: "unavailable" });
  await withListener((conn) => conn.close(), async (port) => {
    await assert.rejects(presentedKey(at(port)), { code: "unavailable" });
  });
  await withListener(async (conn) => {
    await conn.write(new TextEncoder().encode("HTTP/1.1 400 Bad Request\r\n\r\n"));
  }, async (port) => {
    await assert.rejects(presentedKey(at(port)), { code: "unavailable" });
  });
});

Deno.test("presentedKey() does not wait for ever, and ends with its signal", async () => {
  await withListener(() => {}, async (port) => {
    await assert.rejects(presentedKey(at(port), { timeoutMs: 50 }), { code: "unavailable" });
    const stop = new AbortController();
    const probe = presentedKey(at(port), { timeoutMs: 60_000, signal: stop.signal });
    stop.abort();
    await assert.rejects(probe, { code: "cancelled" });
    await assert.rejects(presentedKey(at(port), { signal: AbortSignal.abort() }), { code: "cancelled" });
  });
});
