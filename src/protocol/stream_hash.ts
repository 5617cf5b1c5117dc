import { createHash } from "node:crypto";

/** So many bytes are hashed at once: each call costs as much as hashing some kilobytes. */
const HASHED_BYTES = 4 << 10;

/** SHA-256 of a stream of small pieces, as a receipt states it. */
export class StreamHash {
  readonly #hash = createHash("sha256");
  readonly #held = new Uint8Array(HASHED_BYTES);
  #length = 0;

  /** Takes the next bytes; they may be changed afterwards. */
  update(bytes: Uint8Array): void {
    if (this.#length + bytes.length > HASHED_BYTES) this.#flush();
    if (bytes.length > HASHED_BYTES) return void this.#hash.update(bytes);
    this.#held.set(bytes, this.#length);
    this.#length += bytes.length;
  }

  /** The hash of all bytes in hex. Nothing can be added any more. */
  digest(): string {
    this.#flush();
    return this.#hash.digest("hex");
  }

  #flush(): void {
    if (this.#length > 0) this.#hash.update(this.#held.subarray(0, this.#length));
    this.#length = 0;
  }
}
