/** Somebody between two nodes, with every certificate that he can make. */
import assert from "node:assert/strict";
import { generateKeyPairSync, type KeyObject, sign } from "node:crypto";
import { once } from "node:events";
import type { AddressInfo } from "node:net";
import { connect, createServer, type Server } from "node:tls";
import { generateIdentity, type Identity, shortId } from "@ark/node/identity";
import { MeshClient } from "@ark/node/transport";
import { der, mintCertificate, pem, TLS_NAME, trustAnchor } from "../../src/transport/certificate.ts";
import { TestMesh } from "./mesh_fixture.ts";

const ROUNDS = Deno.env.get("ARK_LONG") === "1" ? 50 : 5;
const ENCODER = new TextEncoder();
const ED25519 = der(0x30, Uint8Array.fromHex("06032b6570"));
const ECDSA = der(0x30, Uint8Array.fromHex("06082a8648ce3d040302"));
const V3 = Uint8Array.fromHex("a003020102");
const VALIDITY = der(0x30, time("20200101000000Z"), time("99991231235959Z"));

function time(text: string): Uint8Array {
  return der(0x18, ENCODER.encode(text));
}

function named(text: string): Uint8Array {
  return der(0x30, der(0x31, der(0x30, Uint8Array.fromHex("0603550403"), der(0x0c, ENCODER.encode(text)))));
}

function spkiOf(identity: Identity): Uint8Array {
  return der(0x30, ED25519, der(3, Uint8Array.of(0), identity.publicKey));
}

/** The names that a certificate is for, and whether it may sign others. */
function extensions(names: readonly string[], { authority = false } = {}): Uint8Array {
  const constraints = authority ? der(0x30, Uint8Array.of(1, 1, 0xff)) : der(0x30);
  return der(
    0xa3,
    der(
      0x30,
      der(0x30, Uint8Array.fromHex("0603551d13"), Uint8Array.of(1, 1, 0xff), der(4, constraints)),
      der(
        0x30,
        Uint8Array.fromHex("0603551d11"),
        der(4, der(0x30, ...names.map((name) => der(0x82, ENCODER.encode(name))))),
      ),
    ),
  );
}

/** What to sign, and with what. */
interface Draft {
  version?: Uint8Array | null;
  algorithm?: Uint8Array;
  issuer?: string;
  subject?: string;
  spki: Uint8Array;
  extensions?: Uint8Array | null;
  sign(tbs: Uint8Array): Uint8Array;
}

function certificate(draft: Draft): string {
  const { version = V3, algorithm = ED25519, issuer = "ark", subject = "ark", spki } = draft;
  const more = draft.extensions === undefined ? extensions([TLS_NAME]) : draft.extensions;
  const parts = [version, Uint8Array.of(2, 1, 7), algorithm, named(issuer), VALIDITY, named(subject), spki, more];
  const tbs = der(0x30, ...parts.filter((part) => part !== null));
  return pem(der(0x30, tbs, algorithm, der(3, Uint8Array.of(0), draft.sign(tbs))));
}

function ecdsa(key: KeyObject): (tbs: Uint8Array) => Uint8Array {
  return (tbs) => new Uint8Array(sign("sha256", tbs, key));
}

/** Certificate chain and key of each kind of man in the middle, against a node. */
function impostors(bob: Identity): Record<string, { cert: string; key: string }> {
  const mallory = generateIdentity();
  const key = mallory.privateKeyPem();
  const spki = spkiOf(mallory);
  const own = (tbs: Uint8Array) => mallory.sign(tbs);
  const zeros = () => new Uint8Array(64);
  // An authority as browsers have them, that certifies whoever asks.
  const authority = generateKeyPairSync("ec", { namedCurve: "P-256" });
  const server = generateKeyPairSync("ec", { namedCurve: "P-256" });
  const der8 = (pair: typeof authority) => new Uint8Array(pair.publicKey.export({ format: "der", type: "spki" }));
  const byAuthority = { algorithm: ECDSA, issuer: "Public Root R1", sign: ecdsa(authority.privateKey) };
  const root = certificate({
    ...byAuthority,
    subject: "Public Root R1",
    spki: der8(authority),
    extensions: extensions([], { authority: true }),
  });
  const chain = certificate({ ...byAuthority, subject: TLS_NAME, spki: der8(server) }) + root;
  const named = extensions([TLS_NAME, bob.id, `${shortId(bob.id)}.local`]);
  return {
    "his own key": { cert: mintCertificate(mallory), key },
    "his own key and the victim's name": {
      cert: certificate({ spki, subject: bob.id, extensions: named, sign: own }),
      key,
    },
    "the victim's anchor as his authority": {
      cert: certificate({ spki, sign: own }) + trustAnchor(bob.publicKey),
      key,
    },
    "a signature of zeros": { cert: certificate({ spki, sign: zeros }), key },
    "a certificate of a public authority": {
      cert: chain,
      key: String(server.privateKey.export({ format: "pem", type: "pkcs8" })),
    },
    // Deno's node:https takes both of these (denoland/deno#36248): a certificate that webpki cannot parse is not verified.
    "an X.509 v1 certificate": { cert: certificate({ version: null, extensions: null, spki, sign: own }), key },
    "an X.509 v1 certificate that nobody signed": {
      cert: certificate({ version: null, extensions: null, spki, sign: zeros }),
      key,
    },
    "a certificate that is an authority": {
      cert: certificate({ spki, extensions: extensions([TLS_NAME], { authority: true }), sign: own }),
      key,
    },
  };
}

/** A man in the middle, and what he got to see. */
class Middle implements AsyncDisposable {
  bytes = 0;
  connections = 0;
  readonly #server: Server;

  private constructor(server: Server) {
    this.#server = server;
    server.on("connection", () => this.connections++);
    server.on("secureConnection", (socket) => {
      socket.on("error", () => {});
      socket.on("data", (chunk) => this.bytes += chunk.length);
    });
    server.on("tlsClientError", () => {});
  }

  static async start(options: { cert: string; key: string }): Promise<Middle> {
    const middle = new Middle(createServer({ ...options, minVersion: "TLSv1.3", ALPNProtocols: ["http/1.1"] }));
    middle.#server.listen(0, "127.0.0.1");
    await once(middle.#server, "listening");
    return middle;
  }

  get address(): { hostname: string; port: number } {
    return { hostname: "127.0.0.1", port: (this.#server.address() as AddressInfo).port };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const closed = once(this.#server, "close");
    this.#server.close();
    await closed;
  }
}

/** Whether a client that believes everything gets through: else nothing would be proved by one that does not. */
async function fools({ address }: Middle): Promise<boolean> {
  const socket = connect({
    host: address.hostname,
    port: address.port,
    servername: TLS_NAME,
    rejectUnauthorized: false,
    ALPNProtocols: ["http/1.1"],
  });
  const { promise, resolve } = Promise.withResolvers<"shaken" | "failed">();
  socket.once("secureConnect", () => resolve("shaken"));
  socket.once("error", () => resolve("failed"));
  const outcome = await promise;
  const closed = Promise.withResolvers<void>();
  if (socket.closed) closed.resolve();
  else socket.once("close", () => closed.resolve());
  socket.destroy();
  await closed.promise;
  return outcome === "shaken";
}

Deno.test("T08: A client sends nothing to a man in the middle, whatever certificate he shows, and reaches the node", async () => {
  await using mesh = await TestMesh.start();
  let handshakes = 0;
  for (const [what, credentials] of Object.entries(impostors(mesh.bob))) {
    await using middle = await Middle.start(credentials);
    assert.ok(await fools(middle), `${what} convinces nobody at all`);
    const from = middle.connections;
    for (let round = 0; round < ROUNDS; round++) {
      await using client = mesh.client();
      const call = { method: "POST", path: "/ark/v1/infer", body: "a secret", deadlineMs: 60_000 };
      const there = { id: mesh.bob.id, addresses: [middle.address] };
      await assert.rejects(client.request(there, call), { code: "unavailable", message: /does not prove/ }, what);
    }
    assert.equal(middle.connections - from, ROUNDS, what);
    assert.equal(middle.bytes, 0, what);
    handshakes += ROUNDS;
    // With the real address behind his, the question arrives all the same.
    await using client = mesh.client();
    const both = { id: mesh.bob.id, addresses: [middle.address, ...mesh.peer.addresses] };
    const response = await client.request(both, { method: "GET", path: "/", deadlineMs: 60_000 });
    assert.deepEqual([response.status, response.address], [200, mesh.peer.addresses[0]]);
    await response.body.cancel();
    assert.equal(middle.bytes, 0, what);
  }
  assert.ok(handshakes >= 40);
  await using stranger = new MeshClient({ identity: generateIdentity(), clock: mesh.clock });
  const honest = stranger.request(mesh.peer, { method: "GET", path: "/", deadlineMs: 60_000 });
  await assert.rejects(honest, { code: "unauthenticated" });
});
