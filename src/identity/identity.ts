import {
  createPrivateKey,
  createPublicKey,
  generateKeyPairSync,
  type KeyObject,
  sign as signEd25519,
} from "node:crypto";
import { type NodeId, nodeIdOf } from "./node_id.ts";

/** A node's own key pair. The private half leaves only by {@linkcode Identity.privateKeyPem}. */
export class Identity {
  /** The node's id. */
  readonly id: NodeId;
  /** The node's public key, 32 bytes. */
  readonly publicKey: Uint8Array<ArrayBuffer>;
  readonly #privateKey: KeyObject;

  /**
   * Takes an Ed25519 private key as PKCS#8 in PEM.
   *
   * @throws {SyntaxError} when the text is anything else. The text is not part of the error.
   */
  constructor(privateKeyPem: string) {
    const key = readPrivateKey(privateKeyPem);
    if (key?.asymmetricKeyType !== "ed25519") {
      throw new SyntaxError("Cannot read a private key: the text is no Ed25519 key as PKCS#8 in PEM");
    }
    this.#privateKey = key;
    this.publicKey = new Uint8Array(createPublicKey(key).export({ format: "der", type: "spki" }).subarray(-32));
    this.id = nodeIdOf(this.publicKey);
  }

  /**
   * Signs a message: 64 bytes, Ed25519. Every message must begin with a domain of its own, and must never be bytes that
   * a peer chose.
   */
  sign(message: Uint8Array): Uint8Array<ArrayBuffer> {
    return new Uint8Array(signEd25519(null, message, this.#privateKey));
  }

  /** The private key as PKCS#8 in PEM, for the key file and the TLS server. */
  privateKeyPem(): string {
    return String(this.#privateKey.export({ format: "pem", type: "pkcs8" }));
  }
}

/** Makes a new identity from the system's random numbers. Nothing is written. */
export function generateIdentity(): Identity {
  const { privateKey } = generateKeyPairSync("ed25519");
  return new Identity(String(privateKey.export({ format: "pem", type: "pkcs8" })));
}

function readPrivateKey(pem: string): KeyObject | null {
  try {
    return createPrivateKey({ key: pem, format: "pem", type: "pkcs8" });
  } catch {
    return null;
  }
}
