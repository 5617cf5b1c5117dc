import { createHmac, randomBytes, timingSafeEqual } from "node:crypto";

/**
 * Unguessable parts of addresses, one for each pack and only as long as this node runs.
 *
 * A page of a pack has an origin of nobody's (its sandbox), so what it asks for looks to this node like what any site's page
 * asks for. The key in its address tells them apart: its own pack's pages know it, and nobody else does.
 */
export class PageKeys {
  readonly #secret = randomBytes(32);

  /** The key of a pack. */
  of(pack: string): string {
    return createHmac("sha256", this.#secret).update(pack).digest("hex").slice(0, 32);
  }

  /** Whether a path, from `/content/` on, has the key of the pack that it names. */
  open(path: string): boolean {
    const [, key = "", pack = ""] = /^\/content\/~([0-9a-f]{32})\/([^/]+)\//.exec(path) ?? [];
    return key !== "" && timingSafeEqual(new TextEncoder().encode(key), new TextEncoder().encode(this.of(pack)));
  }
}
