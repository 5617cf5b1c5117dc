/** The key that signs releases, and signatures that openssl and ssh-keygen can check. */
import { Buffer } from "node:buffer";
import { createHash, createPrivateKey, createPublicKey, type KeyObject, sign } from "node:crypto";

/** What a signature is for: one made for something else does not count for a release. */
export const SIGNATURE_NAMESPACE = "ark-node-release";

const TYPE = Buffer.from("ssh-ed25519");

/** An Ed25519 key that signs releases. */
export class ReleaseKey {
  readonly #key: KeyObject;

  /**
   * Reads a private key as `openssl genpkey -algorithm ed25519` writes it.
   *
   * @throws {TypeError} for anything else.
   */
  constructor(pem: string) {
    try {
      this.#key = createPrivateKey(pem);
    } catch {
      throw new TypeError("This is no private key: make one with 'openssl genpkey -algorithm ed25519'");
    }
    if (this.#key.asymmetricKeyType !== "ed25519") {
      throw new TypeError("The key is not of the kind ed25519: make one with 'openssl genpkey -algorithm ed25519'");
    }
  }

  /** The public key as it stands behind `ssh-ed25519` in a file of OpenSSH. */
  get public(): string {
    return this.#publicBlob().toString("base64");
  }

  /** The 64 bytes of a signature over the message itself, as `openssl pkeyutl -rawin` checks it. */
  sign(message: Uint8Array): Uint8Array {
    return sign(null, message, this.#key);
  }

  /** A signature as `ssh-keygen -Y verify` checks it (PROTOCOL.sshsig of OpenSSH). */
  signForSsh(message: Uint8Array): string {
    const about = [texts(SIGNATURE_NAMESPACE, "", "sha512")];
    const signed = Buffer.concat([
      Buffer.from("SSHSIG"),
      ...about,
      prefixed(createHash("sha512").update(message).digest()),
    ]);
    const blob = Buffer.concat([
      Buffer.from("SSHSIG"),
      uint32(1),
      prefixed(this.#publicBlob()),
      ...about,
      prefixed(Buffer.concat([prefixed(TYPE), prefixed(sign(null, signed, this.#key))])),
    ]);
    const lines = blob.toString("base64").match(/.{1,70}/g) ?? [];
    return ["-----BEGIN SSH SIGNATURE-----", ...lines, "-----END SSH SIGNATURE-----", ""].join("\n");
  }

  #publicBlob(): Buffer {
    const { x = "" } = createPublicKey(this.#key).export({ format: "jwk" });
    return Buffer.concat([prefixed(TYPE), prefixed(Buffer.from(x, "base64url"))]);
  }
}

/** Bytes behind their length, as SSH writes a string. */
function prefixed(bytes: Uint8Array): Buffer {
  return Buffer.concat([uint32(bytes.length), bytes]);
}

function texts(...list: string[]): Buffer {
  return Buffer.concat(list.map((text) => prefixed(Buffer.from(text))));
}

function uint32(value: number): Buffer {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32BE(value);
  return bytes;
}
